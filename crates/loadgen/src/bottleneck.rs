//! Names what was near its end when a rate was too much, with the evidence: first what is used
//! up, then what made requests wait.

use std::fmt;
use std::time::Duration;

use crate::probe::ProbeReport;
use crate::scrape::Change;
use crate::search::Verdict;

mod database;
mod processor;
mod service;

/// Less than this is not near an end.
const SHARE_NEAR: f64 = 0.8;

/// What saturated, as far as it can be known from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// The rate at which it was looked, the lowest that was not held, in requests per second.
    pub rate: f64,
    /// Everything that could be looked at, the most used first.
    pub ranked: Vec<Saturation>,
    /// What cannot be known, and what would help; none if something was near its end.
    pub unknown: Option<String>,
}

/// How much of one resource was used.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    /// Which.
    pub resource: Resource,
    /// From 0 to 1: the part that was in use of what has a size; of what has none, the part of
    /// its time that was waiting, compared with a quiet service.
    pub share: f64,
    /// What was seen, as a sentence.
    pub evidence: String,
}

/// What a service can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The service's own processor time.
    ProcessCpu,
    /// The processors of the machine, all programs together.
    MachineCpu,
    /// The busiest event loop.
    EventLoop,
    /// Connections to the database that a request has for itself.
    Pool,
    /// Statements over shared connections.
    SharedLane,
    /// Threads for work that uses a processor for long.
    Offload,
    /// The door, which turns away on purpose.
    Door,
    /// The memory of the machine.
    Memory,
}

/// What was seen from outside during one probe.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) change: Change,
    /// Processor time of the generator.
    pub(crate) generator_cpu: Duration,
}

impl Resource {
    /// The name in reports: `process CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Resource::ProcessCpu => "process CPU",
            Resource::MachineCpu => "machine CPU",
            Resource::EventLoop => "event loop",
            Resource::Pool => "connection pool",
            Resource::SharedLane => "shared lane",
            Resource::Offload => "offload threads",
            Resource::Door => "door",
            Resource::Memory => "memory",
        }
    }
}

impl fmt::Display for Saturation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:.0} %: {}", self.resource.name(), self.share * 100.0, self.evidence)
    }
}

impl Bottleneck {
    /// What was nearest to its end, if anything was near it.
    pub fn first(&self) -> Option<&Saturation> {
        self.ranked.first().filter(|first| first.share >= SHARE_NEAR)
    }
}

/// Compares the lowest rate that was not held with the quietest that was. None if every rate was
/// held.
pub(crate) fn of(probes: &[ProbeReport], seen: &[Seen], metrics: bool) -> Option<Bottleneck> {
    let both = || probes.iter().zip(seen);
    let with = |verdict| both().filter(move |(probe, _)| probe.verdict == verdict);
    let by_rate =
        |one: &(&ProbeReport, _), other: &(&ProbeReport, _)| one.0.rate.total_cmp(&other.0.rate);
    let (loaded, loaded_seen) = with(Verdict::NotHeld).min_by(by_rate)?;
    let quiet = with(Verdict::Held).min_by(by_rate).map(|(_, seen)| &seen.change);
    let ranked = rank(loaded_seen, quiet);
    let unknown = unknown(&ranked, &loaded_seen.change, metrics);
    Some(Bottleneck { rate: loaded.rate, ranked, unknown })
}

fn rank(seen: &Seen, quiet: Option<&Change>) -> Vec<Saturation> {
    let Seen { change, generator_cpu } = seen;
    let found = [
        processor::event_loop(change),
        processor::process(change),
        processor::machine(change, *generator_cpu),
        database::pool(change),
        database::shared_lane(change, quiet),
        service::offload(change),
        service::door(change),
        service::memory(change),
    ];
    let mut ranked: Vec<Saturation> = found.into_iter().flatten().collect();
    for saturation in &mut ranked {
        saturation.share = saturation.share.clamp(0.0, 1.0);
    }
    // Stable: of two that are equally used up the one that stands first above is the cause.
    ranked.sort_by(|one, other| other.share.total_cmp(&one.share));
    ranked
}

fn unknown(ranked: &[Saturation], change: &Change, metrics: bool) -> Option<String> {
    if let Some(why) = &change.trouble {
        return Some(format!("its metrics could not be read: {why}"));
    }
    if ranked.first().is_some_and(|first| first.share >= SHARE_NEAR) {
        return None;
    }
    if !metrics {
        return Some(
            "without the service's metrics nothing is known of its own processor time, its pools, \
             its event loops or its memory (give the address where it speaks to Prometheus)"
                .to_owned(),
        );
    }
    let told: Vec<&str> = ranked.iter().map(|one| one.resource.name()).collect();
    let told = if told.is_empty() { "nothing".to_owned() } else { told.join(", ") };
    Some(format!(
        "nothing that can be seen was near its end (looked at: {told}); it may have waited for \
         something that it does not tell of, such as a lock, a database or another service"
    ))
}

#[cfg(test)]
mod tests;
