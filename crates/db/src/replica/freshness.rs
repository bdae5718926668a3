//! What is known of one replica at this moment, for those who read: written by the one task that
//! follows it, and read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenfold_context::Moment;

use super::lsn::Lsn;

/// How fresh a replica is.
#[derive(Debug, Default)]
pub(crate) struct Freshness {
    /// In nanoseconds; 0 if it is not known to be a replica that follows.
    fresh_as_of: AtomicU64,
    replayed: AtomicU64,
}

impl Freshness {
    /// It has all that had been confirmed at `fresh_as_of`, and all that stands before `replayed`.
    pub(super) fn set(&self, fresh_as_of: Moment, replayed: Lsn) {
        self.replayed.store(replayed.as_u64(), Ordering::Relaxed);
        // Whoever sees this sees the position too.
        self.fresh_as_of.store(fresh_as_of.as_nanos(), Ordering::Release);
    }

    /// Nothing is known of it any more.
    pub(super) fn set_unknown(&self) {
        self.fresh_as_of.store(0, Ordering::Release);
    }

    /// How old its data may be, at most; none if nobody knows. While it is not heard of, they
    /// grow older.
    pub(crate) fn lag(&self, now: Moment) -> Option<Duration> {
        match self.fresh_as_of.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(now.since(Moment::from_nanos(nanos))),
        }
    }

    /// Whether its data are no older than that, and have all that stands before `after`.
    pub(crate) fn serves(&self, now: Moment, lag_max: Duration, after: Option<Lsn>) -> bool {
        let is_fresh = self.lag(now).is_some_and(|lag| lag <= lag_max);
        is_fresh && after.is_none_or(|lsn| lsn.as_u64() <= self.replayed.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_within_its_lag_and_up_to_its_position() {
        let second = Duration::from_secs(1);
        let at = |seconds: u32| Moment::ZERO + second * seconds;
        let freshness = Freshness::default();
        assert_eq!(freshness.lag(at(10)), None);
        assert!(!freshness.serves(at(10), Duration::MAX, None), "nothing is known of it");
        freshness.set(at(8), Lsn::new(50));
        assert_eq!(freshness.lag(at(10)), Some(second * 2));
        assert!(freshness.serves(at(10), second * 2, None));
        assert!(!freshness.serves(at(10), second, None));
        assert!(!freshness.serves(at(11), second * 2, None), "it is not heard of and ages");
        assert!(freshness.serves(at(10), second * 2, Some(Lsn::new(50))));
        assert!(!freshness.serves(at(10), second * 2, Some(Lsn::new(51))));
        freshness.set_unknown();
        assert!(!freshness.serves(at(10), Duration::MAX, None));
    }
}
