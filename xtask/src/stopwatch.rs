//! Measures how long programs take in real time.

use std::time::{Duration, Instant};

/// A running stopwatch.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts one.
    // Real programs take real time, and nobody pauses it here: the clock of `context` is for code
    // that a test or a simulation runs in time of its own.
    #[allow(clippy::disallowed_methods)]
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// A duration as a person reads it: `41.3 s`, `2 min 5 s`.
pub(crate) fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(shown(Duration::from_millis(41_340)), "41.3 s");
        assert_eq!(shown(Duration::from_secs(125)), "2 min 5 s");
    }
}
