//! Counts and latencies of requests of one kind, by how they ended.

use hdrhistogram::Histogram;

use super::{absorb, histogram};
use crate::ending::Ending;

/// Requests of one kind. `intended` is always the sum of what was not offered, what ended, and
/// what was unfinished when a run was stopped early.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests that the schedule asked for.
    pub intended: u64,
    /// Of these, how many the generator could not send.
    pub not_offered: u64,
    /// Of these, how many were sent, but came to nothing, because the wait for a free connection
    /// had taken more than half of their time: they timed out, were slow, or their client left; and
    /// how many were slow that would have been in time without that wait.
    /// They are counted by their ending as well.
    pub spoilt: u64,
    /// Of these, how many had no ending yet when the run was stopped early.
    pub unfinished: u64,
    /// Latencies by ending, in the order of [`Ending::ALL`]; how many there are is the count.
    latencies_us: [Option<Box<Histogram<u64>>>; Ending::ALL.len()],
    service_us: Option<Box<Histogram<u64>>>,
}

impl Tally {
    /// How many ended like that.
    pub fn count(&self, ending: Ending) -> u64 {
        self.latency_us(ending).map_or(0, Histogram::len)
    }

    /// The latencies from the intended moment, in microseconds, of those that ended like that;
    /// none if none did.
    pub fn latency_us(&self, ending: Ending) -> Option<&Histogram<u64>> {
        self.latencies_us[ending as usize].as_deref()
    }

    /// The latencies of all that ended in one of these ways, from the intended moment.
    pub fn latencies_us(&self, endings: &[Ending]) -> Histogram<u64> {
        let mut sum = histogram();
        for latency_us in endings.iter().filter_map(|ending| self.latency_us(*ending)) {
            absorb(&mut sum, latency_us);
        }
        sum
    }

    /// How long right answers, good and slow ones, took from the moment of sending, in
    /// microseconds: what a closed loop would have seen. None if there was none.
    pub fn service_us(&self) -> Option<&Histogram<u64>> {
        self.service_us.as_deref()
    }

    /// How many have been sent, or waited for a connection that then failed.
    pub fn offered(&self) -> u64 {
        self.intended - self.not_offered
    }

    /// How many have ended, in whatever way.
    pub fn ended(&self) -> u64 {
        Ending::ALL.iter().map(|ending| self.count(*ending)).sum()
    }

    /// The share of the intended requests that ended well; 1 when there was none.
    pub fn good_share(&self) -> f64 {
        match self.intended {
            0 => 1.0,
            intended => self.count(Ending::Good) as f64 / intended as f64,
        }
    }

    pub(crate) fn end(&mut self, ending: Ending, latency_us: u64, service_us: Option<u64>) {
        note(&mut self.latencies_us[ending as usize], latency_us);
        if let (Ending::Good | Ending::Slow, Some(service_us)) = (ending, service_us) {
            note(&mut self.service_us, service_us);
        }
    }

    pub(crate) fn absorb(&mut self, other: &Tally) {
        self.intended += other.intended;
        self.not_offered += other.not_offered;
        self.spoilt += other.spoilt;
        self.unfinished += other.unfinished;
        for (latency_us, other) in self.latencies_us.iter_mut().zip(&other.latencies_us) {
            merge(latency_us, other.as_deref());
        }
        merge(&mut self.service_us, other.service_us.as_deref());
    }
}

/// Most endings never happen, so a histogram is made when it is needed.
fn note(histogram: &mut Option<Box<Histogram<u64>>>, value: u64) {
    let histogram = histogram.get_or_insert_with(|| Box::new(self::histogram()));
    histogram.record(value).expect("a histogram that resizes itself takes every value");
}

fn merge(into: &mut Option<Box<Histogram<u64>>>, other: Option<&Histogram<u64>>) {
    if let Some(other) = other {
        absorb(into.get_or_insert_with(|| Box::new(histogram())), other);
    }
}
