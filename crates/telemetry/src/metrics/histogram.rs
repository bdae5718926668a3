//! How long things take and how large they are: two atomic additions per value, and quantiles
//! whose error is known.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::instrument::{Cell, sealed::Sealed};
use super::layout::{self, Layout};
use super::series::{Kind, Source};

/// How long things take. Its name ends with `_seconds`.
///
/// Kept in buckets at most 12.5 % wide between 1 µs and 69 s, under 2 KiB per handle, so a
/// [quantile](Snapshot::quantile) is at most 6.25 % off. Prometheus is shown 29 round bounds
/// from 100 µs to 60 s, with exact counts.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

impl Histogram {
    /// Records one duration.
    pub fn record(&self, duration: Duration) {
        self.0.record(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What this handle and its clones have recorded.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

/// How large things are. Its name ends with `_bytes`.
///
/// Kept as a [`Histogram`] is, between 64 bytes and 16 GiB; shown in powers of four.
#[derive(Clone, Debug)]
pub struct SizeHistogram(Arc<Buckets>);

impl SizeHistogram {
    /// Records one size in bytes.
    pub fn record(&self, bytes: u64) {
        self.0.record(bytes);
    }

    /// What this handle and its clones have recorded.
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }
}

impl Sealed for Histogram {
    const KIND: Kind = Kind::Histogram;

    fn create() -> Histogram {
        Histogram(Arc::new(Buckets::new(&layout::TIME)))
    }

    fn source(&self) -> Source {
        Source::Buckets(self.0.clone())
    }
}

impl Sealed for SizeHistogram {
    const KIND: Kind = Kind::SizeHistogram;

    fn create() -> SizeHistogram {
        SizeHistogram(Arc::new(Buckets::new(&layout::SIZE)))
    }

    fn source(&self) -> Source {
        Source::Buckets(self.0.clone())
    }
}

/// The counts of one handle.
pub struct Buckets {
    layout: &'static Layout,
    sum: Cell,
    counts: Box<[AtomicU64]>,
}

impl Buckets {
    fn new(layout: &'static Layout) -> Buckets {
        let counts = (0..layout.buckets()).map(|_| AtomicU64::new(0)).collect();
        Buckets { layout, sum: Cell::default(), counts }
    }

    fn record(&self, value: u64) {
        self.counts[self.layout.bucket(value)].fetch_add(1, Ordering::Relaxed);
        self.sum.add(value);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        Snapshot { layout: self.layout, counts, sum: self.sum.get() }
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// The counts of a histogram at one point in time, in the unit that Prometheus sees: seconds
/// or bytes.
#[derive(Clone)]
pub struct Snapshot {
    layout: &'static Layout,
    counts: Vec<u64>,
    sum: u64,
}

impl Snapshot {
    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All values added up, in seconds or bytes.
    pub fn sum(&self) -> f64 {
        self.sum as f64 / self.layout.raw_per_unit
    }

    /// The average in seconds or bytes, if there is any value.
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum() / count as f64)
    }

    /// The value below which the part `quantile` (0 to 1) of all values lies, in seconds or
    /// bytes: the middle of its bucket, hence at most 6.25 % off; of the last bucket, its lower
    /// bound (69 s, 16 GiB). `None` when nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let rank = (quantile.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= rank
        };
        let bucket = self.counts.iter().position(reached)?;
        let (lower, upper) = self.layout.range(bucket);
        Some((lower as f64 + upper as f64) / 2.0 / self.layout.raw_per_unit)
    }

    /// Every bucket that has values: its upper bound in seconds or bytes (infinite for the
    /// last) and how many values are in it alone.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(bucket, &count)| (self.upper_bound(bucket), count))
    }

    /// Adds the values of another histogram of the same kind, such as another shard's.
    /// One of the other kind (times and sizes) has other buckets and is left out.
    pub fn merge(&mut self, other: &Snapshot) {
        if std::ptr::eq(self.layout, other.layout) {
            self.counts.iter_mut().zip(&other.counts).for_each(|(mine, other)| *mine += other);
            self.sum = self.sum.wrapping_add(other.sum);
        }
    }

    /// What was recorded since `earlier`, a snapshot of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Snapshot) -> Snapshot {
        let counts = self.counts.iter().zip(&earlier.counts);
        Snapshot {
            layout: self.layout,
            counts: counts.map(|(now, then)| now.saturating_sub(*then)).collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
        }
    }

    /// The round bounds in seconds or bytes, each with how many values are not above it.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut bucket = 0;
        let mut seen = 0;
        self.layout.shown().iter().map(move |&bound| {
            while self.layout.range(bucket).1 <= bound && bucket + 1 < self.counts.len() {
                seen += self.counts[bucket];
                bucket += 1;
            }
            (bound as f64 / self.layout.raw_per_unit, seen)
        })
    }

    fn upper_bound(&self, bucket: usize) -> f64 {
        if bucket + 1 == self.counts.len() {
            return f64::INFINITY;
        }
        self.layout.range(bucket).1 as f64 / self.layout.raw_per_unit
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("count", &self.count())
            .field("mean", &self.mean())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_one_has_no_quantile() {
        let snapshot = Histogram::create().snapshot();
        assert_eq!(snapshot.count(), 0);
        assert_eq!(snapshot.quantile(0.5), None);
        assert_eq!(snapshot.mean(), None);
    }

    #[test]
    fn what_is_shown_counts_values_up_to_and_with_the_bound() {
        let histogram = Histogram::create();
        histogram.record(Duration::from_micros(100));
        histogram.record(Duration::from_nanos(100_001));
        histogram.record(Duration::from_secs(60));
        histogram.record(Duration::from_secs(600));
        let snapshot = histogram.snapshot();
        let shown: Vec<_> = snapshot.cumulative().collect();
        assert_eq!(shown[0], (0.0001, 1));
        assert_eq!(shown[1], (0.0002, 2));
        assert_eq!(*shown.last().unwrap(), (60.0, 3));
        assert_eq!(snapshot.count(), 4);
        assert_eq!(snapshot.buckets().last(), Some((f64::INFINITY, 1)));
    }

    #[test]
    fn values_out_of_range_are_counted_at_the_ends() {
        let histogram = Histogram::create();
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 2);
        assert!(snapshot.quantile(0.0).unwrap() < 1e-6);
        assert!(snapshot.quantile(1.0).unwrap() > 60.0);
    }

    #[test]
    fn snapshots_add_and_subtract() {
        let (one, other) = (SizeHistogram::create(), SizeHistogram::create());
        one.record(100);
        let before = one.snapshot();
        one.record(5000);
        other.record(300);
        assert_eq!(one.snapshot().since(&before).sum(), 5000.0);

        let mut both = one.snapshot();
        both.merge(&other.snapshot());
        assert_eq!((both.count(), both.sum()), (3, 5400.0));
        both.merge(&Histogram::create().snapshot());
        assert_eq!(both.count(), 3);
    }

    proptest! {
        #[test]
        fn a_quantile_is_as_near_as_promised(
            mut micros in prop::collection::vec(1_u64..60_000_000, 1..200),
            quantile in 0.0_f64..=1.0,
        ) {
            let histogram = Histogram::create();
            micros.iter().for_each(|&micros| histogram.record(Duration::from_micros(micros)));
            micros.sort_unstable();
            let rank = (quantile * micros.len() as f64).ceil().max(1.0) as usize;
            let exact = micros[rank - 1] as f64 / 1e6;
            let estimate = histogram.snapshot().quantile(quantile).unwrap();
            prop_assert!((estimate - exact).abs() <= exact * 0.0625 + 1e-6, "{estimate} {exact}");
        }
    }
}
