//! Until when a piece of work is worth doing, because every wait in Tenfold ends there.

use std::time::Duration;

use crate::clock::Moment;

/// The moment after which nobody wants the answer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Moment);

impl Deadline {
    /// A deadline at `moment`.
    pub const fn at(moment: Moment) -> Deadline {
        Deadline(moment)
    }

    /// A deadline `duration` from now.
    pub fn after(duration: Duration) -> Deadline {
        Deadline(Moment::now() + duration)
    }

    /// The moment itself.
    pub const fn moment(self) -> Moment {
        self.0
    }

    /// The time left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.0.since(Moment::now())
    }

    /// Whether it has passed at `now`.
    pub fn is_past(self, now: Moment) -> bool {
        now >= self.0
    }

    /// The earlier of the two: a step may shorten what it was given, never lengthen it.
    #[must_use]
    pub fn earlier(self, other: Deadline) -> Deadline {
        self.min(other)
    }

    /// The same point for tokio's timers.
    pub fn instant(self) -> tokio::time::Instant {
        self.0.instant()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn runs_out() {
        let deadline = Deadline::after(Duration::from_millis(10));
        assert!(!deadline.is_past(Moment::now()));
        tokio::time::advance(Duration::from_millis(10)).await;
        assert!(deadline.is_past(Moment::now()));
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[test]
    fn is_never_lengthened() {
        let near = Deadline::at(Moment::from_nanos(1));
        let far = Deadline::at(Moment::from_nanos(2));
        assert_eq!(near.earlier(far), near);
        assert_eq!(far.earlier(near), near);
    }
}
