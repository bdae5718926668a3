//! The handles that count: one relaxed atomic addition each, on a cache line of their own.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Histogram, SizeHistogram};
use super::series::{Kind, Source};

/// One number on a cache line of its own, so that two cores which count different things
/// never wait for each other. Sums of cells wrap, which makes it hold signed numbers as well.
#[repr(align(64))]
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    pub(crate) fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A kind of handle that a [`Registry`](super::Registry) and a [`Family`](super::Family) can make.
///
/// Implemented by [`Counter`], [`TimeCounter`], [`Gauge`], [`Histogram`] and [`SizeHistogram`];
/// closed to others, because the text format knows no more kinds.
pub trait Instrument: Clone + Debug + Send + Sync + sealed::Sealed {}

pub(crate) mod sealed {
    use super::{Kind, Source};

    pub trait Sealed: Sized {
        const KIND: Kind;

        fn create() -> Self;

        fn source(&self) -> Source;
    }
}

/// Counts events; only goes up. Its name ends with `_total`.
#[derive(Clone, Debug)]
pub struct Counter(Arc<Cell>);

impl Counter {
    /// Counts one.
    pub fn increment(&self) {
        self.0.add(1);
    }

    /// Counts `count` at once.
    pub fn add(&self, count: u64) {
        self.0.add(count);
    }

    /// What this handle and its clones have counted; other handles of the series are not in it.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Adds up time, shown in seconds; only goes up. Its name ends with `_seconds_total`.
#[derive(Clone, Debug)]
pub struct TimeCounter(Arc<Cell>);

impl TimeCounter {
    /// Adds `time`, to the nanosecond.
    pub fn add(&self, time: Duration) {
        self.0.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What this handle and its clones have added up; other handles of the series are not in it.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.get())
    }
}

/// A whole number that goes up and down. Handles of one series are added up, so that each
/// shard can hold its own part of the number.
///
/// A number that is computed, or that has a fraction, is a
/// [`gauge_with`](super::Registry::gauge_with).
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Cell>);

impl Gauge {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// One less.
    pub fn decrement(&self) {
        self.add(-1);
    }

    /// Goes up, or down when `change` is negative.
    pub fn add(&self, change: i64) {
        self.0.add(change.cast_unsigned());
    }

    /// Replaces this handle's part of the number.
    pub fn set(&self, value: i64) {
        self.0.set(value.cast_unsigned());
    }

    /// This handle's part of the number.
    pub fn get(&self) -> i64 {
        self.0.get().cast_signed()
    }
}

impl Instrument for Counter {}
impl Instrument for TimeCounter {}
impl Instrument for Gauge {}
impl Instrument for Histogram {}
impl Instrument for SizeHistogram {}

impl sealed::Sealed for Counter {
    const KIND: Kind = Kind::Counter;

    fn create() -> Counter {
        Counter(Arc::default())
    }

    fn source(&self) -> Source {
        Source::Cell(self.0.clone())
    }
}

impl sealed::Sealed for TimeCounter {
    const KIND: Kind = Kind::TimeCounter;

    fn create() -> TimeCounter {
        TimeCounter(Arc::default())
    }

    fn source(&self) -> Source {
        Source::Cell(self.0.clone())
    }
}

impl sealed::Sealed for Gauge {
    const KIND: Kind = Kind::Gauge;

    fn create() -> Gauge {
        Gauge(Arc::default())
    }

    fn source(&self) -> Source {
        Source::Cell(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed;
    use super::*;

    #[test]
    fn a_gauge_goes_below_zero() {
        let gauge = Gauge::create();
        gauge.decrement();
        gauge.add(-2);
        assert_eq!(gauge.get(), -3);
        gauge.set(5);
        gauge.increment();
        assert_eq!(gauge.get(), 6);
    }

    #[test]
    fn a_cell_has_a_cache_line_to_itself() {
        assert_eq!(size_of::<Cell>(), 64);
        assert_eq!(align_of::<Cell>(), 64);
    }

    #[test]
    fn time_is_added_to_the_nanosecond() {
        let counter = TimeCounter::create();
        counter.add(Duration::from_nanos(1));
        counter.add(Duration::from_secs(2));
        assert_eq!(counter.get(), Duration::new(2, 1));
    }
}
