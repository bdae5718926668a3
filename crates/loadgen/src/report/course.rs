//! The course of a load, as a report keeps it: its phases and classes with all histograms, and
//! what happened second by second.

use hdrhistogram::Histogram;

use crate::ending::{Ending, Failure, NotOffered};
use crate::outcome::Outcome;
use crate::record::{Bucket, Cause, Tally};
use crate::report::words;
use crate::validity::Validity;

/// What was seen of a load from its beginning to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Its parts, in the order of time.
    pub stretches: Vec<Stretch>,
    /// How much time a [`Slice`] covers, in seconds.
    pub slice_s: f64,
    /// Second by second, or coarser if it was long.
    pub slices: Vec<Slice>,
    /// How late the generator itself was, in microseconds.
    pub lag_us: Histogram<u64>,
    /// How long requests waited for a connection, in microseconds; of those that did.
    pub connection_wait_us: Histogram<u64>,
    /// Why requests failed, and how often; only what happened.
    pub failures: Vec<(String, u64)>,
    /// Why there was no connection, in the words of whoever refused it: the most frequent first.
    pub causes: Vec<Cause>,
    /// How many answers had which status, of those that were refusals or had a wrong one: the most
    /// frequent first.
    pub statuses: Vec<(u64, u64)>,
    /// How many answers had a right status, but not the text that the scenario wants in a body.
    pub wrong_bodies: u64,
    /// Why requests were not offered, and how often; only what happened.
    pub not_offered: Vec<(String, u64)>,
    /// Connections that were opened.
    pub connections_opened: u64,
    /// The most that were open at one time.
    pub connections_peak: u64,
    /// Bytes of answers, heads included.
    pub bytes_read: u64,
}

/// A part of a load that is told apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    /// Its name.
    pub name: String,
    /// When it begins, in seconds since the start.
    pub from_s: f64,
    /// When it ends.
    pub until_s: f64,
    /// What was seen of each class, in the order of [`Course::classes`].
    pub classes: Vec<ClassCourse>,
    /// How late the generator itself was with the requests of this part, in microseconds. None in
    /// reports from before it was kept.
    pub lag_us: Option<Histogram<u64>>,
    /// How long they waited for a connection, in microseconds; of those that did.
    pub connection_wait_us: Option<Histogram<u64>>,
    /// Why requests of this part were not offered, and how often; only what happened.
    pub not_offered: Vec<(String, u64)>,
    /// What the generator lacked in this part, a sentence each without its full stop. It was the
    /// service's doing where that kept the connections: see
    /// [`PhaseReport::valid`](crate::PhaseReport::valid).
    pub shortfalls: Vec<String>,
}

/// What was seen of one class in one stretch.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCourse {
    /// First attempts.
    pub first: Attempts,
    /// What clients sent again after that.
    pub retries: Attempts,
    /// How many people got what they wanted, at whichever attempt.
    pub satisfied: u64,
}

/// Requests of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attempts {
    /// Requests that the schedule asked for.
    pub intended: u64,
    /// Of these, how many the generator could not send.
    pub not_offered: u64,
    /// Of these, how many were sent, but in vain, because they had waited for a connection: see
    /// [`Tally::spoilt`](crate::Tally::spoilt).
    pub spoilt: u64,
    /// Of these, how many had no ending yet when the load was stopped early.
    pub unfinished: u64,
    /// Latencies from the intended moment, in microseconds, by ending; only those that happened.
    pub latencies_us: Vec<(Ending, Histogram<u64>)>,
    /// How long right answers took from the moment of sending, in microseconds.
    pub service_us: Option<Histogram<u64>>,
}

/// What happened to the requests that were intended in one stretch of [`Course::slice_s`].
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// Requests that were intended, retries included.
    pub intended: u64,
    /// Of these, retries.
    pub retries: u64,
    /// Of these, how many the generator could not send.
    pub not_offered: u64,
    /// How many ended how; only what happened.
    pub endings: Vec<(Ending, u64)>,
    /// Per class, how many were intended, and how many were good.
    pub classes: Vec<(u64, u64)>,
    /// Latencies of right answers in milliseconds: half, 90, 99 and 99.9 of 100 were at least
    /// this fast. None where there was no right answer.
    pub latency_ms: Option<[f64; 4]>,
}

/// The quantiles of [`Slice::latency_ms`].
pub(crate) const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

impl Course {
    /// What an outcome has to tell.
    pub fn of(outcome: &Outcome) -> Course {
        let record = &outcome.record;
        let stretches = (0..outcome.phases.len()).map(|number| Stretch::of(outcome, number));
        let failures = Failure::ALL.map(|one| (one.name().to_owned(), record.failures(one)));
        let happened = |&(_, count): &(String, u64)| count > 0;
        let statuses = record.statuses_ranked().into_iter();
        let statuses = statuses.map(|(status, count)| (u64::from(status), count));
        Course {
            classes: outcome.classes.clone(),
            stretches: stretches.collect(),
            slice_s: record.timeline.width().as_secs_f64(),
            slices: record.timeline.buckets().iter().map(Slice::of).collect(),
            lag_us: record.lag_us.clone(),
            connection_wait_us: record.connection_wait_us.clone(),
            failures: failures.into_iter().filter(happened).collect(),
            causes: record.causes.ranked(),
            statuses: statuses.collect(),
            wrong_bodies: record.wrong_bodies,
            not_offered: reasons(&record.not_offered),
            connections_opened: record.connections_opened,
            connections_peak: record.connections_peak,
            bytes_read: record.bytes_read,
        }
    }

    /// All of it together.
    pub fn total(&self) -> Attempts {
        self.stretches.iter().fold(Attempts::default(), |mut sum, stretch| {
            sum.absorb(&stretch.total());
            sum
        })
    }

    /// Which answers were not right, the most frequent first: `503 × 1,204, 500 × 3`; none if all
    /// were.
    pub fn answers_in_words(&self) -> Option<String> {
        words::answers(&self.statuses, self.wrong_bodies)
    }

    /// All of one class, by its place in [`Course::classes`].
    pub fn class(&self, class: usize) -> Attempts {
        let mut sum = Attempts::default();
        for seen in self.stretches.iter().filter_map(|stretch| stretch.classes.get(class)) {
            sum.absorb(&seen.first);
            sum.absorb(&seen.retries);
        }
        sum
    }

    /// When it was over, in seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.stretches.iter().map(|stretch| stretch.until_s).fold(0.0, f64::max)
    }
}

impl Stretch {
    fn of(outcome: &Outcome, number: usize) -> Stretch {
        let (phase, seen) = (&outcome.phases[number], &outcome.record.phases[number]);
        let classes = seen.classes.iter().map(|class| ClassCourse {
            first: Attempts::of(&class.first),
            retries: Attempts::of(&class.retries),
            satisfied: class.satisfied,
        });
        Stretch {
            name: phase.name.clone(),
            from_s: phase.from.as_secs_f64(),
            until_s: phase.until.as_secs_f64(),
            classes: classes.collect(),
            lag_us: Some(seen.lag_us.clone()),
            connection_wait_us: Some(seen.connection_wait_us.clone()),
            not_offered: reasons(&seen.not_offered),
            shortfalls: shortfalls(outcome, number),
        }
    }

    /// All classes and attempts together.
    pub fn total(&self) -> Attempts {
        let mut sum = Attempts::default();
        for class in &self.classes {
            sum.absorb(&class.first);
            sum.absorb(&class.retries);
        }
        sum
    }
}

impl Attempts {
    fn of(tally: &Tally) -> Attempts {
        let latencies_us =
            Ending::ALL.into_iter().filter_map(|one| Some((one, tally.latency_us(one)?.clone())));
        Attempts {
            intended: tally.intended,
            not_offered: tally.not_offered,
            spoilt: tally.spoilt,
            unfinished: tally.unfinished,
            latencies_us: latencies_us.collect(),
            service_us: tally.service_us().cloned(),
        }
    }

    /// How many ended like that.
    pub fn count(&self, ending: Ending) -> u64 {
        self.latencies_us
            .iter()
            .filter(|(one, _)| *one == ending)
            .map(|(_, latency_us)| latency_us.len())
            .sum()
    }

    /// The share of the intended requests that ended well; 1 when there was none.
    pub fn good_share(&self) -> f64 {
        match self.intended {
            0 => 1.0,
            intended => self.count(Ending::Good) as f64 / intended as f64,
        }
    }

    /// A quantile of the latencies of all that ended in one of these ways, in milliseconds; none
    /// if none did.
    pub fn latency_ms(&self, endings: &[Ending], quantile: f64) -> Option<f64> {
        let mut chosen =
            self.latencies_us.iter().filter(|(one, _)| endings.contains(one)).map(|(_, one)| one);
        let mut sum = chosen.next()?.clone();
        for latency_us in chosen {
            add(&mut sum, latency_us);
        }
        (!sum.is_empty()).then(|| sum.value_at_quantile(quantile) as f64 / 1e3)
    }

    fn absorb(&mut self, other: &Attempts) {
        self.intended += other.intended;
        self.not_offered += other.not_offered;
        self.spoilt += other.spoilt;
        self.unfinished += other.unfinished;
        for (ending, latency_us) in &other.latencies_us {
            match self.latencies_us.iter_mut().find(|(one, _)| one == ending) {
                Some((_, sum)) => add(sum, latency_us),
                None => self.latencies_us.push((*ending, latency_us.clone())),
            }
        }
        match (&mut self.service_us, &other.service_us) {
            (Some(sum), Some(service_us)) => add(sum, service_us),
            (sum @ None, Some(service_us)) => *sum = Some(service_us.clone()),
            (_, None) => {}
        }
    }
}

impl Slice {
    fn of(bucket: &Bucket) -> Slice {
        let endings = Ending::ALL.map(|ending| (ending, bucket.count(ending)));
        let latency_us = &bucket.latency_us;
        Slice {
            intended: bucket.intended,
            retries: bucket.retries,
            not_offered: bucket.not_offered,
            endings: endings.into_iter().filter(|(_, count)| *count > 0).collect(),
            classes: bucket.classes.clone(),
            latency_ms: (!latency_us.is_empty())
                .then(|| QUANTILES.map(|at| latency_us.value_at_quantile(at) as f64 / 1e3)),
        }
    }

    /// How many ended like that.
    pub fn count(&self, ending: Ending) -> u64 {
        self.endings.iter().filter(|(one, _)| *one == ending).map(|(_, count)| count).sum()
    }
}

/// Why requests were not offered, and how often; only what happened.
fn reasons(not_offered: &[u64; NotOffered::ALL.len()]) -> Vec<(String, u64)> {
    NotOffered::ALL
        .into_iter()
        .map(|reason| (reason.name().to_owned(), not_offered[reason as usize]))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// What was too little in one part of a load; of a load with a single part, in all of it.
fn shortfalls(outcome: &Outcome, number: usize) -> Vec<String> {
    let Validity::Generator(shortfalls) = &outcome.validity else { return Vec::new() };
    let is_alone = outcome.phases.len() == 1;
    let in_it = shortfalls.iter().filter(|shortfall| match &shortfall.phase {
        Some((phase, _)) => *phase == number,
        None => is_alone,
    });
    in_it.map(|shortfall| shortfall.limit.to_string()).collect()
}

fn add(into: &mut Histogram<u64>, other: &Histogram<u64>) {
    into.add(other).expect("a histogram that resizes itself takes every value");
}
