//! Pauses between attempts to connect, so that a Postgres that is down or has just come back is
//! not overrun by those who want it.

use std::time::Duration;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause. What was promised is to be back within two seconds of Postgres, and to
/// connect to one that has just come back takes a part of them.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long to wait before each further attempt.
#[derive(Debug)]
pub(crate) struct Backoff {
    pause: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Backoff {
        Backoff { pause: PAUSE_MIN }
    }

    /// The pause before the next attempt; those after it are longer. Anything between half and
    /// the whole of it, so that shards and replicas do not come back in step.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_longest_and_are_never_nothing() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..20).map(|_| backoff.next()).collect();
        assert!(pauses[0] >= PAUSE_MIN / 2 && pauses[0] <= PAUSE_MIN, "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause >= PAUSE_MIN / 2 && *pause <= PAUSE_MAX));
        assert!(pauses[5..].iter().all(|pause| *pause >= PAUSE_MAX / 2), "{pauses:?}");
    }
}
