//! Names what was near its end when a rate was too much, with the evidence: first what is used
//! up, then what made requests wait.

use std::fmt;
use std::time::Duration;

use crate::probe::ProbeReport;
use crate::scrape::Change;
use crate::search::Verdict;

mod blind;
mod database;
mod node;
mod processor;
mod service;

/// A service is quiet at so much of a rate that it does not hold, or less.
const QUIET_TIMES: f64 = 0.5;

/// Less than this is not near an end.
const SHARE_NEAR: f64 = 0.8;

/// From here on the processors are the cause, whatever else looks full: who does
/// not come to work holds connections, places and threads for longer.
const SHARE_FULL: f64 = 0.95;

/// What saturated, as far as it can be known from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// The rate at which it was looked, the lowest that was not held, in requests per second.
    pub rate: f64,
    /// Everything that could be looked at: first what was near its end, causes before what follows
    /// from them; of equal ones the most used first.
    pub ranked: Vec<Saturation>,
    /// What cannot be known, and what would help; none if something was near its end.
    pub unknown: Option<String>,
}

/// How much of one resource was used.
#[derive(Clone, Debug, PartialEq)]
pub struct Saturation {
    /// Which.
    pub resource: Resource,
    /// From 0 to 1: the part of it that was in use, on average over the time of the load. Of
    /// shared connections it is the part of a statement's time that was waiting, if that is more.
    pub share: f64,
    /// What was seen, as a sentence.
    pub evidence: String,
}

/// What a service can run out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The service's own processor time.
    ProcessCpu,
    /// The processors of the machine, all programs together; or one of them, if that is full.
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

/// What was used, and what it means if it was used up.
struct Use {
    saturation: Saturation,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Processor time that others than the generator used.
    Processor,
    /// What has a size that somebody chose.
    Sized,
    /// What fills up because something else has, or because others use it.
    Effect,
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
    // A rate just below the limit shows what is at its end as well.
    let quiet = with(Verdict::Held).min_by(by_rate);
    let quiet = quiet.filter(|(probe, _)| probe.rate <= QUIET_TIMES * loaded.rate);
    let quiet = quiet.map(|(_, seen)| &seen.change);
    let ranked = rank(loaded_seen, quiet);
    let told = ranked.first().is_some_and(|first| first.share >= SHARE_NEAR);
    let unknown = match &loaded_seen.change.trouble {
        Some(why) => Some(format!("its metrics could not be read: {why}")),
        None if told => None,
        None => Some(blind::unknown(&ranked, &loaded_seen.change, metrics)),
    };
    Some(Bottleneck { rate: loaded.rate, ranked, unknown })
}

impl Use {
    fn new(resource: Resource, share: f64, evidence: String, kind: Kind) -> Use {
        let share = share.clamp(0.0, 1.0);
        Use { saturation: Saturation { resource, share, evidence }, kind }
    }

    /// Less is nearer to the cause.
    fn order(&self) -> u8 {
        let share = self.saturation.share;
        match self.kind {
            Kind::Processor if share >= SHARE_FULL => 0,
            Kind::Processor | Kind::Sized if share >= SHARE_NEAR => 1,
            Kind::Effect if share >= SHARE_NEAR => 2,
            _ => 3,
        }
    }
}

fn rank(seen: &Seen, quiet: Option<&Change>) -> Vec<Saturation> {
    let Seen { change, generator_cpu } = seen;
    let found = [
        processor::event_loop(change, quiet),
        processor::process(change, quiet),
        database::pool(change),
        service::offload(change),
        database::shared_lane(change, quiet),
        processor::machine(change, quiet, *generator_cpu),
        service::memory(change, quiet),
        service::door(change),
    ];
    let mut used: Vec<Use> = found.into_iter().flatten().collect();
    // Stable: of two that are equally used up the one that stands first above is the cause. Full
    // processors are equally used up: a loop that never sleeps fills its core, not the other way
    // round.
    used.sort_by(|one, other| {
        let share = |used: &Use| if used.order() == 0 { 1.0 } else { used.saturation.share };
        one.order().cmp(&other.order()).then_with(|| share(other).total_cmp(&share(one)))
    });
    used.into_iter().map(|used| used.saturation).collect()
}

#[cfg(test)]
mod tests;
