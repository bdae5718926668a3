//! The bytes that all requests and answers of the process may occupy at once: one budget, so
//! that neither the number of HTTP/2 streams times their windows, nor that of uploads times
//! their size, is what the machine runs out of memory by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The budget. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct BytesInFlight(Arc<Budget>);

#[derive(Debug)]
struct Budget {
    max: u64,
    used: AtomicU64,
}

/// A part of the budget. It goes back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    bytes: u64,
    budget: BytesInFlight,
}

impl BytesInFlight {
    pub(crate) fn new(max: u64) -> BytesInFlight {
        BytesInFlight(Arc::new(Budget { max, used: AtomicU64::new(0) }))
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.max
    }

    pub(crate) fn used(&self) -> u64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// A charge of so many bytes; nothing if they are not to be had.
    pub(crate) fn charge(&self, bytes: u64) -> Option<Charge> {
        self.take(bytes).then(|| Charge { bytes, budget: self.clone() })
    }

    /// A charge of so many bytes, to be had or not: what is already there cannot be refused, but
    /// it keeps others out.
    pub(crate) fn charge_always(&self, bytes: u64) -> Charge {
        self.0.used.fetch_add(bytes, Ordering::Relaxed);
        Charge { bytes, budget: self.clone() }
    }

    fn take(&self, bytes: u64) -> bool {
        let before = self.0.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.0.max;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    fn give_back(&self, bytes: u64) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Charge {
    /// Makes it at least this large; whether that could be had.
    pub(crate) fn reaches(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let reached = more == 0 || self.budget.take(more);
        if reached {
            self.bytes += more;
        }
        reached
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_given_out_than_there_is_and_all_of_it_comes_back() {
        let bytes = BytesInFlight::new(100);
        let mut first = bytes.charge(40).unwrap();
        assert!(bytes.charge(61).is_none());
        let second = bytes.charge(60).unwrap();
        assert!(first.reaches(40) && first.reaches(7));
        assert!(!first.reaches(41), "there is none left");
        drop(second);
        assert!(first.reaches(100));
        assert_eq!(bytes.used(), 100);
        drop(first);
        assert_eq!(bytes.used(), 0);
    }

    #[test]
    fn what_cannot_be_refused_keeps_others_out() {
        let bytes = BytesInFlight::new(100);
        let answers = bytes.charge_always(150);
        assert!(bytes.charge(1).is_none());
        drop(answers);
        assert!(bytes.charge(1).is_some());
    }
}
