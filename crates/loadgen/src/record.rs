//! What is remembered of a run: histograms and counters whose size does not depend on how long
//! the run is.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::ending::{Ending, Failure, NotOffered};

mod causes;
mod tally;
mod timeline;

pub use causes::{Cause, Causes};
pub use tally::Tally;
pub use timeline::{Bucket, Timeline};

/// Everything that one run, or one thread of it, has seen.
///
/// Latency is counted from the moment at which a request was intended to be sent, service time
/// from the moment at which it was; both in microseconds, to three digits.
#[derive(Clone, Debug)]
pub struct Record {
    /// Per phase, in the order of the run, and in it per class, in the order of the scenario. A
    /// request belongs to the phase in which it was intended.
    pub phases: Vec<PhaseRecord>,
    /// The run in seconds, or coarser if it was long.
    pub timeline: Timeline,
    /// How late the generator itself was, in microseconds: from the intended moment until the
    /// request was sent, or was ready to be, if no connection was free.
    pub lag_us: Histogram<u64>,
    /// How long requests waited for a connection, in microseconds; of those that did.
    pub connection_wait_us: Histogram<u64>,
    /// How often each [`Failure`] was seen, in the order of [`Failure::ALL`].
    pub failures: [u64; Failure::ALL.len()],
    /// Why there was no connection, in the words of whoever refused it.
    pub causes: Causes,
    /// How many answers had which status, of those that were refusals or had a wrong one. A status
    /// has three digits, so that there are a thousand of them at most.
    pub statuses: BTreeMap<u16, u64>,
    /// How many answers had a right status, but not the text that the scenario wants in a body.
    pub wrong_bodies: u64,
    /// How many were not offered, in the order of [`NotOffered::ALL`].
    pub not_offered: [u64; NotOffered::ALL.len()],
    /// Requests that were sent a second time, because the service had closed a connection that it
    /// had kept open, in the moment in which it was used again.
    pub resent: u64,
    /// Connections that were opened.
    pub connections_opened: u64,
    /// The most connections that were open at one time; over several threads, their sum.
    pub connections_peak: u64,
    /// Bytes of answers, heads included, as they were read.
    pub bytes_read: u64,
}

/// What was seen in one phase of a run.
#[derive(Clone, Debug)]
pub struct PhaseRecord {
    /// One per class of the scenario, in its order.
    pub classes: Vec<ClassRecord>,
    /// How many were not offered, in the order of [`NotOffered::ALL`].
    pub not_offered: [u64; NotOffered::ALL.len()],
    /// As [`Record::lag_us`], of the requests that were intended in this phase.
    pub lag_us: Histogram<u64>,
    /// As [`Record::connection_wait_us`], of the requests that were intended in this phase.
    pub connection_wait_us: Histogram<u64>,
    /// How long requests of this phase stood in line, in microseconds, because as many connections
    /// were open as may be and none was free; of those that did, and got one.
    pub line_us: Histogram<u64>,
}

/// What was seen of one class.
#[derive(Clone, Debug, Default)]
pub struct ClassRecord {
    /// First attempts: what people wanted.
    pub first: Tally,
    /// What clients sent again after that: load of its own.
    pub retries: Tally,
    /// How many people got what they wanted, at the first attempt or a later one.
    pub satisfied: u64,
}

/// What a finished request leaves behind. Moments are nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finished {
    pub(crate) phase: usize,
    pub(crate) class: usize,
    pub(crate) retry: bool,
    pub(crate) intended: u64,
    pub(crate) sent: Option<u64>,
    pub(crate) ended: u64,
    pub(crate) ending: Ending,
}

impl Record {
    pub(crate) fn new(phases: usize, classes: usize) -> Record {
        let phase = PhaseRecord {
            classes: vec![ClassRecord::default(); classes],
            not_offered: [0; NotOffered::ALL.len()],
            lag_us: histogram(),
            connection_wait_us: histogram(),
            line_us: histogram(),
        };
        Record {
            phases: vec![phase; phases],
            timeline: Timeline::new(classes),
            lag_us: histogram(),
            connection_wait_us: histogram(),
            failures: [0; Failure::ALL.len()],
            causes: Causes::default(),
            statuses: BTreeMap::new(),
            wrong_bodies: 0,
            not_offered: [0; NotOffered::ALL.len()],
            resent: 0,
            connections_opened: 0,
            connections_peak: 0,
            bytes_read: 0,
        }
    }

    /// All classes and attempts of a phase together.
    ///
    /// # Panics
    /// If the run has no such phase.
    pub fn phase(&self, phase: usize) -> Tally {
        let mut sum = Tally::default();
        for class in &self.phases[phase].classes {
            sum.absorb(&class.first);
            sum.absorb(&class.retries);
        }
        sum
    }

    /// All phases and attempts of a class together.
    ///
    /// # Panics
    /// If the scenario has no such class.
    pub fn class(&self, class: usize) -> Tally {
        let mut sum = Tally::default();
        for phase in &self.phases {
            sum.absorb(&phase.classes[class].first);
            sum.absorb(&phase.classes[class].retries);
        }
        sum
    }

    /// Everything together: all phases, classes and attempts.
    pub fn total(&self) -> Tally {
        let mut sum = Tally::default();
        for class in self.phases.iter().flat_map(|phase| &phase.classes) {
            sum.absorb(&class.first);
            sum.absorb(&class.retries);
        }
        sum
    }

    /// How often a failure was seen.
    pub fn failures(&self, failure: Failure) -> u64 {
        self.failures[failure as usize]
    }

    /// How many were not offered for that reason.
    pub fn not_offered(&self, reason: NotOffered) -> u64 {
        self.not_offered[reason as usize]
    }

    pub(crate) fn intend(&mut self, phase: usize, class: usize, retry: bool, intended: u64) {
        self.tally(phase, class, retry).intended += 1;
        self.timeline.at(intended).intend(class, retry);
    }

    pub(crate) fn skip(
        &mut self,
        (phase, class, retry): (usize, usize, bool),
        intended: u64,
        reason: NotOffered,
    ) {
        self.not_offered[reason as usize] += 1;
        self.phases[phase].not_offered[reason as usize] += 1;
        self.tally(phase, class, retry).not_offered += 1;
        self.timeline.at(intended).not_offered += 1;
    }

    pub(crate) fn finish(&mut self, finished: &Finished) {
        let latency_us = finished.ended.saturating_sub(finished.intended) / 1000;
        let service_us = finished.sent.map(|sent| finished.ended.saturating_sub(sent) / 1000);
        let ending = finished.ending;
        self.tally(finished.phase, finished.class, finished.retry)
            .end(ending, latency_us, service_us);
        if ending == Ending::Good {
            self.phases[finished.phase].classes[finished.class].satisfied += 1;
        }
        self.timeline.at(finished.intended).end(finished.class, ending, latency_us);
    }

    /// Notes that it was the wait for a connection that left a request too little time.
    pub(crate) fn spoil(&mut self, (phase, class, retry): (usize, usize, bool)) {
        self.tally(phase, class, retry).spoilt += 1;
    }

    /// Notes how late a request was sent, or ready to be.
    pub(crate) fn note_lag(&mut self, phase: usize, lag_us: u64) {
        for histogram in [&mut self.lag_us, &mut self.phases[phase].lag_us] {
            histogram.record(lag_us).expect("a histogram that resizes itself takes every value");
        }
    }

    /// Notes how long a request waited for a connection.
    pub(crate) fn note_connection_wait(&mut self, phase: usize, wait_us: u64) {
        for histogram in [&mut self.connection_wait_us, &mut self.phases[phase].connection_wait_us]
        {
            histogram.record(wait_us).expect("a histogram that resizes itself takes every value");
        }
    }

    /// Notes how long a request stood in line.
    pub(crate) fn note_line(&mut self, phase: usize, wait_us: u64) {
        self.phases[phase]
            .line_us
            .record(wait_us)
            .expect("a histogram that resizes itself takes every value");
    }

    pub(crate) fn leave_unfinished(&mut self, (phase, class, retry): (usize, usize, bool)) {
        self.tally(phase, class, retry).unfinished += 1;
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failures[failure as usize] += 1;
    }

    /// Notes the status of an answer that was not right.
    pub(crate) fn note_status(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    /// The statuses of answers that were not right, and how many had each, the most frequent first.
    pub fn statuses_ranked(&self) -> Vec<(u16, u64)> {
        let mut ranked: Vec<(u16, u64)> =
            self.statuses.iter().map(|(status, count)| (*status, *count)).collect();
        ranked.sort_by_key(|(_, count)| Reverse(*count));
        ranked
    }

    fn tally(&mut self, phase: usize, class: usize, retry: bool) -> &mut Tally {
        let record = &mut self.phases[phase].classes[class];
        if retry { &mut record.retries } else { &mut record.first }
    }

    /// Adds what another thread of the same run has seen.
    pub(crate) fn absorb(&mut self, other: &Record) {
        for (phase, others) in self.phases.iter_mut().zip(&other.phases) {
            for (class, other) in phase.classes.iter_mut().zip(&others.classes) {
                class.first.absorb(&other.first);
                class.retries.absorb(&other.retries);
                class.satisfied += other.satisfied;
            }
            sum(&mut phase.not_offered, &others.not_offered);
            absorb(&mut phase.lag_us, &others.lag_us);
            absorb(&mut phase.connection_wait_us, &others.connection_wait_us);
            absorb(&mut phase.line_us, &others.line_us);
        }
        self.timeline.absorb(&other.timeline);
        absorb(&mut self.lag_us, &other.lag_us);
        absorb(&mut self.connection_wait_us, &other.connection_wait_us);
        sum(&mut self.failures, &other.failures);
        self.causes.absorb(&other.causes);
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.wrong_bodies += other.wrong_bodies;
        sum(&mut self.not_offered, &other.not_offered);
        self.resent += other.resent;
        self.connections_opened += other.connections_opened;
        self.connections_peak += other.connections_peak;
        self.bytes_read += other.bytes_read;
    }
}

/// Three digits, growing with the largest value: 100 KB when answers take a second.
fn histogram() -> Histogram<u64> {
    Histogram::new(3).expect("three digits are within what a histogram can have")
}

fn absorb(into: &mut Histogram<u64>, other: &Histogram<u64>) {
    into.add(other).expect("a histogram that resizes itself takes every value");
}

fn sum<const N: usize>(into: &mut [u64; N], other: &[u64; N]) {
    for (into, other) in into.iter_mut().zip(other) {
        *into += other;
    }
}

#[cfg(test)]
mod tests;
