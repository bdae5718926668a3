//! What can be seen of a run while it goes on.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ending::Ending;

/// How often a running load is looked at.
pub(crate) const EVERY_NS: u64 = 100_000_000;

/// Percentiles are those of the last second: single tenths of one say too little.
const RECENT: usize = 10;

/// The state of a running load, ten times per second. Counters count from the start.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Time since the start.
    pub elapsed: Duration,
    /// Requests that were intended.
    pub intended: u64,
    /// Of these, how many the generator could not send.
    pub not_offered: u64,
    /// How many ended how, in the order of [`Ending::ALL`].
    pub endings: [u64; Ending::ALL.len()],
    /// Connections that are open.
    pub connections: usize,
    /// Requests that are on their way.
    pub in_flight: usize,
    /// Half of the right answers of the last second were at least as fast as this; none if there
    /// was no answer.
    pub p50: Option<Duration>,
    /// 99 of 100 right answers of the last second were at least as fast as this.
    pub p99: Option<Duration>,
}

impl Snapshot {
    /// How many ended like that, since the start.
    pub fn count(&self, ending: Ending) -> u64 {
        self.endings[ending as usize]
    }
}

/// What one thread has to tell.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) intended: u64,
    pub(crate) not_offered: u64,
    pub(crate) connections: usize,
    pub(crate) in_flight: usize,
    endings: [u64; Ending::ALL.len()],
    /// Latencies of right answers since they were last taken, in microseconds.
    latency_us: Histogram<u32>,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress {
            intended: 0,
            not_offered: 0,
            connections: 0,
            in_flight: 0,
            endings: [0; Ending::ALL.len()],
            latency_us: rough(),
        }
    }
}

impl Progress {
    pub(crate) fn end(&mut self, ending: Ending, latency_us: u64) {
        self.endings[ending as usize] += 1;
        if let Ending::Good | Ending::Slow = ending {
            let noted = self.latency_us.record(latency_us);
            noted.expect("a histogram that resizes itself takes every value");
        }
    }

    /// Hands over to another, which may still have latencies that nobody has taken.
    pub(crate) fn publish(&mut self, to: &mut Progress) {
        let untaken = std::mem::replace(&mut to.latency_us, rough());
        add(&mut self.latency_us, &untaken);
        let latency_us = std::mem::replace(&mut self.latency_us, rough());
        *to = Progress { latency_us, ..self.clone() };
    }
}

/// Puts together what the threads tell.
#[derive(Default)]
pub(crate) struct Observer {
    recent: VecDeque<Histogram<u32>>,
}

impl Observer {
    pub(crate) fn look<'a>(
        &mut self,
        elapsed: Duration,
        threads: impl Iterator<Item = std::sync::MutexGuard<'a, Progress>>,
    ) -> Snapshot {
        let mut snapshot = Snapshot { elapsed, ..Snapshot::default() };
        let mut latest = rough();
        for mut progress in threads {
            snapshot.intended += progress.intended;
            snapshot.not_offered += progress.not_offered;
            snapshot.connections += progress.connections;
            snapshot.in_flight += progress.in_flight;
            for (sum, one) in snapshot.endings.iter_mut().zip(progress.endings) {
                *sum += one;
            }
            add(&mut latest, &progress.latency_us);
            progress.latency_us.reset();
        }
        self.recent.push_back(latest);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let mut second = rough();
        for latency_us in &self.recent {
            add(&mut second, latency_us);
        }
        let at = |quantile: f64| {
            (!second.is_empty()).then(|| Duration::from_micros(second.value_at_quantile(quantile)))
        };
        (snapshot.p50, snapshot.p99) = (at(0.5), at(0.99));
        snapshot
    }
}

fn rough() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are within what a histogram can have")
}

fn add(into: &mut Histogram<u32>, other: &Histogram<u32>) {
    into.add(other).expect("a histogram that resizes itself takes every value");
}
