//! How old the data of a replica are: decided from where the primary's log was at which time, and
//! how far the replica has come in it.
//!
//! The usual way, to subtract the time of the last transaction that was replayed from the time of
//! day, says that a replica falls back while nobody writes, and is as wrong as the two clocks are.
//! This one needs no clock but ours: a replica that has replayed the log up to where it was at
//! some time has all that had been confirmed by then.

use std::collections::VecDeque;

use tenfold_context::Moment;

use super::lsn::Lsn;

/// How many positions are kept. With more, some of those between the first and the last are
/// forgotten, which makes replicas look a little older, and never younger.
const KEPT_MAX: usize = 128;

/// Where the primary's log was, and when. Both only rise from one to the next.
#[derive(Debug, Default)]
pub(super) struct Positions(VecDeque<(Moment, Lsn)>);

impl Positions {
    /// At `at`, everything that had been confirmed stood before `lsn`.
    pub(super) fn note(&mut self, at: Moment, lsn: Lsn) {
        match self.0.back_mut() {
            // Nobody has written: who has replayed this far has all of now.
            Some((last, same)) if *same == lsn => {
                *last = at;
                return;
            }
            // Another primary, which has not come as far as the former one had.
            Some((_, later)) if *later > lsn => self.0.clear(),
            _ => {}
        }
        self.0.push_back((at, lsn));
        if self.0.len() > KEPT_MAX {
            self.forget_one();
        }
    }

    /// Forgets the one that leaves the smallest gap, compared with how long ago it is: so they lie
    /// close together where it is about seconds, and far apart where it is about hours.
    fn forget_one(&mut self) {
        let Some((now, _)) = self.0.back().copied() else { return };
        let gap = |index: usize| {
            let gap = self.0[index + 1].0.since(self.0[index - 1].0);
            gap.as_secs_f64() / now.since(self.0[index].0).as_secs_f64()
        };
        let inner = 1..self.0.len() - 1;
        if let Some(index) = inner.min_by(|one, other| gap(*one).total_cmp(&gap(*other))) {
            self.0.remove(index);
        }
    }

    /// The latest time of which a server that has replayed the log up to `replayed` certainly has
    /// all data; none if that was before all that is known.
    pub(super) fn fresh_as_of(&self, replayed: Lsn) -> Option<Moment> {
        let reached = self.0.iter().rev().find(|(_, lsn)| *lsn <= replayed);
        reached.map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn lsn(position: u64) -> Lsn {
        Lsn::new(position)
    }

    #[test]
    fn a_replica_is_as_fresh_as_the_last_position_that_it_has_reached() {
        let mut positions = Positions::default();
        assert_eq!(positions.fresh_as_of(lsn(9)), None, "nothing is known");
        positions.note(at(1), lsn(100));
        positions.note(at(2), lsn(200));
        assert_eq!(positions.fresh_as_of(lsn(99)), None);
        assert_eq!(positions.fresh_as_of(lsn(100)), Some(at(1)));
        assert_eq!(positions.fresh_as_of(lsn(199)), Some(at(1)));
        assert_eq!(positions.fresh_as_of(lsn(200)), Some(at(2)));
        assert_eq!(
            positions.fresh_as_of(lsn(500)),
            Some(at(2)),
            "it may be ahead of what is known"
        );
    }

    #[test]
    fn while_nobody_writes_a_replica_does_not_age() {
        let mut positions = Positions::default();
        for second in 0..1000 {
            positions.note(at(second), lsn(7));
        }
        assert_eq!(positions.fresh_as_of(lsn(7)), Some(at(999)));
        assert_eq!(positions.0.len(), 1);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_old_never_looks_younger() {
        let mut positions = Positions::default();
        for second in 0..10_000 {
            positions.note(at(second), lsn(second * 10));
            assert!(positions.0.len() <= KEPT_MAX);
            for replayed in [second / 2, second.saturating_sub(20), second] {
                if let Some(fresh) = positions.fresh_as_of(lsn(replayed * 10)) {
                    assert!(fresh <= at(replayed), "{fresh:?} at {second} for {replayed}");
                }
            }
        }
        let second = 10_000 - 1;
        assert_eq!(positions.fresh_as_of(lsn(second * 10)), Some(at(second)));
        for lag in [1, 10, 300, 5000] {
            let fresh = positions.fresh_as_of(lsn((second - lag) * 10)).unwrap();
            let exact = at(second - lag);
            assert!(exact.since(fresh) <= Duration::from_secs(lag) / 4, "{lag}: {fresh:?}");
        }
    }

    #[test]
    fn a_log_that_goes_back_begins_anew() {
        let mut positions = Positions::default();
        positions.note(at(1), lsn(100));
        positions.note(at(2), lsn(200));
        positions.note(at(3), lsn(150));
        assert_eq!(positions.fresh_as_of(lsn(149)), None, "100 was another primary's");
        assert_eq!(positions.fresh_as_of(lsn(150)), Some(at(3)));
    }
}
