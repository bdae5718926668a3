//! The course of a run, second by second, in a bounded number of buckets.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ending::Ending;

/// Ten minutes in seconds. What lasts longer is seen in steps of two seconds, then of four: a
/// picture has no more columns than that anyway.
const BUCKETS_MAX: usize = 600;

const SECOND_NS: u64 = 1_000_000_000;

/// What happened when. A request belongs to the time at which it was intended, so that each
/// bucket's share of good ones is exact; the youngest are incomplete while the run goes on.
#[derive(Clone, Debug)]
pub struct Timeline {
    width_ns: u64,
    classes: usize,
    buckets: Vec<Bucket>,
}

/// What happened to the requests of one stretch of time.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// Requests that were intended in it, retries included.
    pub intended: u64,
    /// Of these, retries.
    pub retries: u64,
    /// Of these, how many the generator could not send.
    pub not_offered: u64,
    /// How many ended how, in the order of [`Ending::ALL`].
    pub endings: [u64; Ending::ALL.len()],
    /// Per class, in the scenario's order: how many were intended, and how many were good.
    pub classes: Vec<(u64, u64)>,
    /// How long right answers, good and slow ones, took from their intended moment, in
    /// microseconds, to two digits.
    pub latency_us: Histogram<u32>,
}

impl Timeline {
    pub(super) fn new(classes: usize) -> Timeline {
        Timeline { width_ns: SECOND_NS, classes, buckets: Vec::new() }
    }

    /// How much time a bucket covers: a second, or a power of two of them.
    pub fn width(&self) -> Duration {
        Duration::from_nanos(self.width_ns)
    }

    /// The buckets, the first beginning with the run.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub(super) fn at(&mut self, moment_ns: u64) -> &mut Bucket {
        while moment_ns / self.width_ns >= BUCKETS_MAX as u64 {
            self.widen();
        }
        let index = (moment_ns / self.width_ns) as usize;
        while self.buckets.len() <= index {
            self.buckets.push(Bucket::new(self.classes));
        }
        &mut self.buckets[index]
    }

    fn widen(&mut self) {
        self.width_ns *= 2;
        let mut narrow = std::mem::take(&mut self.buckets).into_iter();
        while let Some(mut bucket) = narrow.next() {
            if let Some(next) = narrow.next() {
                bucket.absorb(&next);
            }
            self.buckets.push(bucket);
        }
    }

    pub(super) fn absorb(&mut self, other: &Timeline) {
        while self.width_ns < other.width_ns {
            self.widen();
        }
        for (index, bucket) in other.buckets.iter().enumerate() {
            self.at(index as u64 * other.width_ns).absorb(bucket);
        }
    }
}

impl Bucket {
    fn new(classes: usize) -> Bucket {
        Bucket {
            intended: 0,
            retries: 0,
            not_offered: 0,
            endings: [0; Ending::ALL.len()],
            classes: vec![(0, 0); classes],
            latency_us: Histogram::new(2).expect("two digits are within what a histogram can have"),
        }
    }

    /// How many ended like that.
    pub fn count(&self, ending: Ending) -> u64 {
        self.endings[ending as usize]
    }

    pub(super) fn intend(&mut self, class: usize, retry: bool) {
        self.intended += 1;
        self.retries += u64::from(retry);
        self.classes[class].0 += 1;
    }

    pub(super) fn end(&mut self, class: usize, ending: Ending, latency_us: u64) {
        self.endings[ending as usize] += 1;
        if ending == Ending::Good {
            self.classes[class].1 += 1;
        }
        if let Ending::Good | Ending::Slow = ending {
            let noted = self.latency_us.record(latency_us);
            noted.expect("a histogram that resizes itself takes every value");
        }
    }

    fn absorb(&mut self, other: &Bucket) {
        self.intended += other.intended;
        self.retries += other.retries;
        self.not_offered += other.not_offered;
        super::sum(&mut self.endings, &other.endings);
        for (class, other) in self.classes.iter_mut().zip(&other.classes) {
            class.0 += other.0;
            class.1 += other.1;
        }
        let added = self.latency_us.add(&other.latency_us);
        added.expect("a histogram that resizes itself takes every value");
    }
}
