//! Which bucket a value falls into, computed from its leading zeros instead of searched.
//!
//! Log-linear, the idea of HdrHistogram: each power of two is cut into eight equal steps, so a
//! bucket is at most an eighth of its lower bound wide. The round bounds that Prometheus sees
//! (`le`) are cut in as well, which makes the shown counts exact rather than interpolated.

use std::sync::LazyLock;

/// Each power of two has 2³ steps: a bucket is at most 12.5 % wide, and its middle is at most
/// 6.25 % away from any value in it.
const STEP_BITS: u32 = 3;

/// The bounds of one kind of histogram. A value belongs to the first bucket whose bound is not
/// below it; the last bucket has no bound.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Values up to 2^`octave_first` share the first bucket.
    octave_first: u32,
    /// For each step of each power of two: the first bucket in it.
    first: Vec<u16>,
    /// The upper bound of each bucket, in the raw unit (nanoseconds, bytes), inclusive.
    bounds: Vec<u64>,
    /// The round bounds that are shown, each of them one of `bounds`.
    shown: Vec<u64>,
    /// How many raw units make one of the shown unit: 10⁹ nanoseconds are a second.
    pub(crate) raw_per_unit: f64,
}

/// 1 µs to 69 s in nanoseconds, shown in seconds from 100 µs to 60 s.
pub(crate) static TIME: LazyLock<Layout> = LazyLock::new(|| {
    let mut shown = Vec::new();
    for decade in [100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000] {
        shown.extend([1, 2, 3, 5, 7].map(|digit| digit * decade));
    }
    shown.extend([10, 20, 30, 60].map(|seconds| seconds * 1_000_000_000));
    Layout::new(10..36, shown, 1e9)
});

/// 64 bytes to 16 GiB, shown in powers of four.
pub(crate) static SIZE: LazyLock<Layout> = LazyLock::new(|| {
    let shown = (6..=34).step_by(2).map(|exponent| 1 << exponent).collect();
    Layout::new(6..34, shown, 1.0)
});

impl Layout {
    fn new(octaves: std::ops::Range<u32>, shown: Vec<u64>, raw_per_unit: f64) -> Layout {
        let (octave_first, octave_end) = (octaves.start, octaves.end);
        let steps = octaves.flat_map(|octave| {
            (1..=1 << STEP_BITS).map(move |step| (1 << octave) + (step << (octave - STEP_BITS)))
        });
        let steps: Vec<u64> = steps.collect();

        let mut bounds = vec![1 << octave_first];
        bounds.extend(&steps);
        bounds.extend(&shown);
        bounds.sort_unstable();
        bounds.dedup();

        let lower_bounds = std::iter::once(1 << octave_first).chain(steps);
        let first = lower_bounds
            .take(((octave_end - octave_first) << STEP_BITS) as usize)
            .map(|lower| bounds.partition_point(|bound| *bound <= lower) as u16)
            .collect();
        Layout { octave_first, first, bounds, shown, raw_per_unit }
    }

    /// How many buckets there are, the one without a bound included.
    pub(crate) fn buckets(&self) -> usize {
        self.bounds.len() + 1
    }

    /// The bucket of `value`.
    pub(crate) fn bucket(&self, value: u64) -> usize {
        // A bucket ends *at* its bound, hence the step down.
        let below = value.saturating_sub(1);
        let octave = u64::BITS - 1 - (below | 1).leading_zeros();
        if octave < self.octave_first {
            return 0;
        }
        let step = (below >> (octave - STEP_BITS)) & ((1 << STEP_BITS) - 1);
        let position = (((octave - self.octave_first) << STEP_BITS) as usize) + step as usize;
        let Some(&first) = self.first.get(position) else { return self.bounds.len() };
        // A step is cut in two where a round bound lies within it, never in three.
        let first = usize::from(first);
        first + usize::from(value > self.bounds[first])
    }

    /// The exclusive lower and inclusive upper bound of a bucket; the last one ends where it begins.
    pub(crate) fn range(&self, bucket: usize) -> (u64, u64) {
        let lower = if bucket == 0 { 0 } else { self.bounds[bucket - 1] };
        (lower, self.bounds.get(bucket).copied().unwrap_or(lower))
    }

    /// The round bounds that are shown, rising.
    pub(crate) fn shown(&self) -> &[u64] {
        &self.shown
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layouts() -> [&'static Layout; 2] {
        [&TIME, &SIZE]
    }

    #[test]
    fn every_bound_is_the_last_value_of_its_bucket() {
        for layout in layouts() {
            for (bucket, &bound) in layout.bounds.iter().enumerate() {
                assert_eq!(layout.bucket(bound), bucket, "{bound}");
                assert_eq!(layout.bucket(bound + 1), bucket + 1, "{bound} + 1");
            }
        }
    }

    #[test]
    fn the_ends_are_open() {
        for layout in layouts() {
            assert_eq!(layout.bucket(0), 0);
            assert_eq!(layout.bucket(u64::MAX), layout.buckets() - 1);
        }
    }

    #[test]
    fn what_is_shown_is_a_bound_and_not_too_much() {
        for layout in layouts() {
            assert!(layout.shown().len() < 30);
            for bound in layout.shown() {
                assert!(layout.bounds.contains(bound), "{bound}");
            }
        }
        assert!(TIME.buckets() < 256, "a histogram stays below 2 KiB");
    }

    proptest! {
        #[test]
        fn a_value_lies_within_its_bucket_which_is_narrow(value: u64, shift in 0_u32..64) {
            let value = value >> shift;
            for layout in layouts() {
                let bucket = layout.bucket(value);
                let (lower, upper) = layout.range(bucket);
                let last = bucket == layout.buckets() - 1;
                prop_assert!(value > lower || (bucket == 0 && value == 0));
                prop_assert!(last || value <= upper);
                if bucket > 0 && !last {
                    prop_assert!(upper - lower <= lower / 8);
                }
            }
        }
    }
}
