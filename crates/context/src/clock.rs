//! The one place that reads a monotonic clock, so that tests can pause time and the
//! decisions that take a time can be run again in a simulation.

use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// A point in time: nanoseconds since this process first asked for the time.
///
/// A plain number, so that a decision which takes one can be replayed in virtual time and a
/// shared one fits an atomic. It says nothing about the time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// The beginning of time.
    pub const ZERO: Moment = Moment(0);

    /// Later than everything: 584 years after the process started.
    pub const FAR_FUTURE: Moment = Moment(u64::MAX);

    /// Reads the clock. In a test with paused time this is the paused time.
    pub fn now() -> Moment {
        Moment(nanos(Instant::now().saturating_duration_since(epoch())))
    }

    /// The moment that many nanoseconds after [`Moment::ZERO`].
    pub const fn from_nanos(nanos: u64) -> Moment {
        Moment(nanos)
    }

    /// Nanoseconds since [`Moment::ZERO`].
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time that has passed since `earlier`; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Moment) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same point for tokio's timers. A moment too far away for them becomes one in thirty years.
    pub fn instant(self) -> Instant {
        const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        let after_epoch = Duration::from_nanos(self.0).min(THIRTY_YEARS);
        epoch() + after_epoch
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    /// Saturates at [`Moment::FAR_FUTURE`].
    fn add(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    /// Saturates at [`Moment::ZERO`].
    fn sub(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_sub(nanos(duration)))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time() {
        let before = Moment::now();
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(Moment::now().since(before), Duration::from_secs(7));
    }

    #[test]
    fn saturates_at_both_ends() {
        assert_eq!(Moment::FAR_FUTURE + Duration::from_secs(1), Moment::FAR_FUTURE);
        assert_eq!(Moment::ZERO - Duration::from_secs(1), Moment::ZERO);
        assert_eq!(Moment::ZERO + Duration::MAX, Moment::FAR_FUTURE);
        assert_eq!(Moment::ZERO.since(Moment::FAR_FUTURE), Duration::ZERO);
    }

    #[test]
    fn the_far_future_is_a_usable_instant() {
        assert!(Moment::FAR_FUTURE.instant() > Instant::now());
    }
}
