//! One question to the service, at one rate: does it hold it? The answer is a judgement over an
//! outcome alone, so that it can be tested without a service.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use hdrhistogram::{Counter, Histogram};

use crate::arrival::{Schedule, Spacing};
use crate::ending::{Ending, Failure, is_refusal};
use crate::outcome::Outcome;
use crate::record::{Record, Tally};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::search::Verdict;
use crate::usl::Point;
use crate::validity::{Limit, Shortfall, Validity};

/// Growth of less than a tenth is no trend: medians of steady services move that much.
const GROWTH_MIN: f64 = 0.1;

/// A part of a probe with fewer answers than this has no median worth comparing.
const ANSWERS_MIN: u64 = 5;

/// The parts of a probe: the first third warms up, the rest is looked at in four parts. A line
/// that builds up grows from each to the next; four medians that are in order by chance are one
/// case in 24, and at the edge of a limit every verdict is asked for twice.
const PARTS: [(&str, u32); 5] = [("warm up", 2), ("1", 1), ("2", 1), ("3", 1), ("4", 1)];

/// What the numbers of [`PARTS`] are parts of.
const SIXTH: u32 = 6;

/// How much comes at once in a jolt: what comes in this time, as after a moment in which a service,
/// its database or its machine stood still.
const JOLT: Duration = Duration::from_millis(50);

/// A latency so many times the generator's lag is not made by it.
const LAG_TIMES: f64 = 5.0;

/// A service that takes less than this many times as long as when nobody else asks is not what
/// requests wait for.
const QUICK_TIMES: f64 = 2.0;

/// A generator that uses so much of its core has no more to give.
const CPU_SHARE_FULL: f64 = 0.9;

/// What is asked of the service, and what would be a yes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Demand {
    /// Requests per second.
    pub rate: f64,
    /// How long they come.
    pub duration: Duration,
    /// Whether they come at twice the rate for the first twentieth of a second, while it warms up.
    /// Then a rate is held only if the service finds its way back to it from a line of requests. One
    /// that is quick as long as nobody waits, and slower once somebody does, holds some rates until
    /// the first hiccup and never again after (a metastable failure: Bronson et al., HotOS 2021);
    /// without the jolt, chance decides what is found.
    pub jolted: bool,
    /// The least share of good ones, between 0 and 1.
    pub good_share_min: f64,
    /// How long half of the answers take when nobody else asks, in milliseconds.
    pub unloaded_p50_ms: f64,
}

/// What a probe showed.
///
/// Shares, latencies and goodput are those of the last two thirds; the first warms up.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeReport {
    /// Requests per second that should have been offered.
    pub rate: f64,
    /// Requests per second that were.
    pub offered_per_second: f64,
    /// The share of good answers among the requests that should have been offered.
    pub good_share: f64,
    /// Good answers per second.
    pub goodput_per_second: f64,
    /// Half of the right answers, good and slow ones, were at least this fast, in milliseconds;
    /// none if there was no answer.
    pub p50_ms: Option<f64>,
    /// 99 of 100 right answers were at least this fast, in milliseconds.
    pub p99_ms: Option<f64>,
    /// The latencies of those answers, in microseconds. None in reports from before it was kept.
    pub latencies_us: Option<Histogram<u64>>,
    /// Requests in the service's hands, on average: Little's law, over the whole probe until its
    /// last answer.
    pub concurrency: f64,
    /// Right answers per second, over the same time.
    pub throughput_per_second: f64,
    /// What changed between the second and the last third; none if either has too few answers.
    pub trend: Option<Trend>,
    /// Whether the service held the rate.
    pub verdict: Verdict,
    /// The reason for the verdict, in words.
    pub why: String,
    /// Whether the generator could be believed, in words.
    pub validity: String,
    /// The share of its core that the generator used.
    pub cpu_share: f64,
}

/// How the last third of a probe differs from the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The change of the share of good answers.
    pub good_share: f64,
    /// The change of the median latency, in milliseconds.
    pub p50_ms: f64,
    /// The same per millisecond that passed. Where a line builds up, each second brings as many
    /// requests as the service does in so many seconds more: 0.02 means that 2 % of what comes
    /// is not done.
    pub slope: f64,
}

impl Demand {
    /// The load that asks it.
    pub fn run(&self, scenario: &Scenario, spacing: Spacing) -> Run {
        let mut load = Schedule::constant(self.rate, self.duration);
        if self.jolted {
            let rest = self.duration.saturating_sub(JOLT);
            load = Schedule::steps(&[(2.0 * self.rate, JOLT), (self.rate, rest)]);
        }
        let load = load.spaced(spacing);
        let sixth = self.duration / SIXTH;
        Run::open(scenario, load).phases(PARTS.map(|(name, sixths)| (name, sixth * sixths)))
    }
}

/// Judges the outcome of [`Demand::run`].
pub fn judge(outcome: &Outcome, demand: &Demand) -> ProbeReport {
    let record = &outcome.record;
    let parts: Vec<Tally> = (0..record.phases.len()).map(|part| record.phase(part)).collect();
    let whole = sum(&parts);
    let after_warm_up = parts.get(1..).unwrap_or_default();
    let steady = sum(after_warm_up);
    let (middle, end) = after_warm_up.split_at(after_warm_up.len() / 2);
    let trend = trend(&sum(middle), &sum(end), demand.duration / 3);
    let seconds = demand.duration.as_secs_f64().max(1e-9);
    let elapsed = outcome.elapsed.as_secs_f64().max(seconds);
    let right = whole.service_us();
    let throughput = right.map_or(0.0, |service_us| service_us.len() as f64 / elapsed);
    let service_s = right.map_or(0.0, |service_us| service_us.mean() / 1e6);
    let latencies_us = steady.latencies_us(&[Ending::Good, Ending::Slow]);
    let growth = trend.filter(|_| grows_throughout(after_warm_up));
    let (mut verdict, mut why) = verdict(outcome, demand, &steady, growth);
    let mut validity = outcome.validity.to_string();
    if verdict == Verdict::NotHeld
        && let Some(line) = line_of_our_own(outcome, demand, &steady)
    {
        (verdict, why, validity) = (Verdict::Invalid, line.clone(), line);
    }
    ProbeReport {
        rate: demand.rate,
        offered_per_second: steady.offered() as f64 / (seconds * 2.0 / 3.0),
        good_share: steady.good_share(),
        goodput_per_second: steady.count(Ending::Good) as f64 / (seconds * 2.0 / 3.0),
        p50_ms: quantile_ms(&latencies_us, 0.5),
        p99_ms: quantile_ms(&latencies_us, 0.99),
        latencies_us: Some(latencies_us),
        concurrency: throughput * service_s,
        throughput_per_second: throughput,
        trend,
        verdict,
        why,
        validity,
        cpu_share: outcome.cpu_share,
    }
}

impl ProbeReport {
    /// What it says to the Universal Scalability Law.
    pub fn point(&self) -> Point {
        Point { concurrency: self.concurrency, throughput: self.throughput_per_second }
    }
}

fn verdict(
    outcome: &Outcome,
    demand: &Demand,
    steady: &Tally,
    growth: Option<Trend>,
) -> (Verdict, String) {
    if outcome.stopped || steady.unfinished > 0 {
        return (Verdict::Invalid, "it was stopped before its time".to_owned());
    }
    if steady.intended == 0 {
        return (Verdict::Invalid, "it was too short for a single request".to_owned());
    }
    // What the warm-up lacked does not matter, unless the rest lacked it too.
    if is_generators_fault(outcome, 1..outcome.record.phases.len(), demand.unloaded_p50_ms) {
        return (Verdict::Invalid, outcome.validity.to_string());
    }
    let (share, share_min) = (steady.good_share(), demand.good_share_min);
    if share < share_min {
        let others = Endings { tally: steady, record: &outcome.record };
        let why =
            format!("{:.1} % were good, {:.0} % must be ({others})", share * 1e2, share_min * 1e2);
        return (Verdict::NotHeld, why);
    }
    let middle_ms = growth.map_or(0.0, |growth| {
        quantile_ms(&steady.latencies_us(&[Ending::Good, Ending::Slow]), 0.5)
            .map_or(0.0, |p50_ms| p50_ms - growth.p50_ms / 2.0)
    });
    match growth {
        Some(trend) if trend.slope > 1.0 - share_min && trend.p50_ms > GROWTH_MIN * middle_ms => {
            let per_second = trend.slope * 1e3;
            let why =
                format!("a line was building up: latency grew by {per_second:.0} ms per second");
            (Verdict::NotHeld, why)
        }
        _ => (Verdict::Held, format!("{:.1} % were good, to the end", share * 1e2)),
    }
}

/// Says that requests stood in line for one of the generator's own connections, if that is why a
/// rate was not held: more of them than may be bad, while the service answered as quickly as when
/// nobody else asks, and gave few bad answers of its own.
fn line_of_our_own(outcome: &Outcome, demand: &Demand, steady: &Tally) -> Option<String> {
    let lines = outcome.record.phases.iter().skip(1).map(|phase| phase.line_us.len());
    let (stood, intended) = (lines.sum::<u64>() + steady.not_offered, steady.intended);
    let forgiven = (1.0 - demand.good_share_min) * intended as f64;
    let of_its_own = [Ending::Wrong, Ending::Refused, Ending::Failed];
    let of_its_own: u64 = of_its_own.iter().map(|ending| steady.count(*ending)).sum();
    let in_vain = [Ending::Slow, Ending::TimedOut, Ending::LeftEarly];
    let in_vain: u64 = in_vain.iter().map(|ending| steady.count(*ending)).sum();
    let of_its_own = of_its_own + in_vain.saturating_sub(steady.spoilt);
    let service_ms = quantile_ms(steady.service_us()?, 0.5)?;
    let is_quick = service_ms < QUICK_TIMES * demand.unloaded_p50_ms;
    (is_quick && stood as f64 > forgiven && of_its_own as f64 <= forgiven).then(|| {
        let connections = match outcome.record.connections_peak {
            1 => "its only connection".to_owned(),
            several => format!("one of its {several} connections"),
        };
        format!(
            "the generator was the bottleneck: {stood} of {intended} requests stood in line for \
             {connections}, while the service took no longer than it takes \
             unloaded, {service_ms:.1} ms (raise connections_max)"
        )
    })
}

/// Whether the generator, and not the service, kept requests of these phases from being offered in
/// time.
///
/// That no connection was free is the service's doing where it kept them longer than twice as
/// long as when nobody else asks, or gave no right answer at all: more connections would only
/// wait with the others. Neither is it the generator's lag that a service shows whose latencies
/// are many times that.
pub(crate) fn is_generators_fault(
    outcome: &Outcome,
    phases: Range<usize>,
    unloaded_p50_ms: f64,
) -> bool {
    let Validity::Generator(shortfalls) = &outcome.validity else { return false };
    shortfalls.iter().any(|Shortfall { phase, limit }| {
        let tally = match phase {
            Some((number, _)) if !phases.contains(number) => return false,
            Some((number, _)) => outcome.record.phase(*number),
            None => {
                let parts = phases.clone().map(|number| outcome.record.phase(number));
                sum(&parts.collect::<Vec<_>>())
            }
        };
        match limit {
            Limit::Files { .. } | Limit::Ports { .. } => true,
            Limit::Lag { cpu_share, .. } if *cpu_share >= CPU_SHARE_FULL => true,
            Limit::Lag { p99: lag, .. } => {
                let lag_ms = lag.as_secs_f64() * 1e3;
                let latencies_us = tally.latencies_us(&[Ending::Good, Ending::Slow]);
                quantile_ms(&latencies_us, 0.99).is_some_and(|p99_ms| p99_ms < LAG_TIMES * lag_ms)
            }
            Limit::Connections { .. } => {
                let service_us = tally.service_us();
                let service_ms = service_us.and_then(|service_us| quantile_ms(service_us, 0.5));
                service_ms.is_some_and(|service_ms| service_ms < QUICK_TIMES * unloaded_p50_ms)
            }
        }
    })
}

fn trend(middle: &Tally, end: &Tally, apart: Duration) -> Option<Trend> {
    let p50_ms = median_ms(end)? - median_ms(middle)?;
    Some(Trend {
        good_share: end.good_share() - middle.good_share(),
        p50_ms,
        slope: p50_ms / (apart.as_secs_f64() * 1e3),
    })
}

/// Whether each part was slower than the one before it: a service that stumbled and caught up was
/// not.
fn grows_throughout(parts: &[Tally]) -> bool {
    let medians_ms: Vec<_> = parts.iter().filter_map(median_ms).collect();
    medians_ms.len() == parts.len() && medians_ms.is_sorted_by(|before, after| before < after)
}

fn median_ms(tally: &Tally) -> Option<f64> {
    let latencies_us = tally.latencies_us(&[Ending::Good, Ending::Slow]);
    (latencies_us.len() >= ANSWERS_MIN).then(|| quantile_ms(&latencies_us, 0.5)).flatten()
}

fn sum(tallies: &[Tally]) -> Tally {
    tallies.iter().fold(Tally::default(), |mut sum, tally| {
        sum.absorb(tally);
        sum
    })
}

/// A latency in milliseconds; none if there is none.
pub(crate) fn quantile_ms<C: Counter>(latencies_us: &Histogram<C>, quantile: f64) -> Option<f64> {
    (!latencies_us.is_empty()).then(|| latencies_us.value_at_quantile(quantile) as f64 / 1e3)
}

/// How requests ended that did not end well, and why most of those were wrong or failed that did:
/// `of 20: 12 slow, 2 wrong (404), 3 failed (no connection: Connection refused)`.
pub(crate) struct Endings<'t> {
    pub(crate) tally: &'t Tally,
    /// Of the whole run: reasons are not told apart by its parts.
    pub(crate) record: &'t Record,
}

impl Endings<'_> {
    /// Why most of those were so, if that is known, and whether all were.
    fn why(&self, ending: Ending) -> Option<(String, bool)> {
        let Endings { record, .. } = self;
        match ending {
            Ending::Failed => {
                let (most, is_all) = Failure::most_frequent(&record.failures)?;
                Some((most.told(record.causes.most_frequent(most)), is_all))
            }
            Ending::Wrong => {
                let statuses = record.statuses_ranked().into_iter();
                let wrong = statuses.filter(|(status, _)| !is_refusal(*status));
                let mut wrong: Vec<(String, u64)> =
                    wrong.map(|(status, count)| (status.to_string(), count)).collect();
                wrong.push(("another body".to_owned(), record.wrong_bodies));
                wrong.retain(|(_, count)| *count > 0);
                let is_all = wrong.len() == 1;
                wrong.into_iter().max_by_key(|(_, count)| *count).map(|(most, _)| (most, is_all))
            }
            _ => None,
        }
    }
}

impl fmt::Display for Endings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endings { tally, .. } = self;
        let ended = Ending::ALL.map(|ending| {
            let mut name = ending.name().replace('_', " ");
            if let Some((most, is_all)) = self.why(ending) {
                let most_of = if is_all { "" } else { "most of them: " };
                name += &format!(" ({most_of}{most})");
            }
            (tally.count(ending), name)
        });
        let not_sent = (tally.not_offered, "found no connection".to_owned());
        let bad = ended.into_iter().skip(1).chain([not_sent]).filter(|(count, _)| *count > 0);
        let bad: Vec<String> = bad.map(|(count, name)| format!("{count} {name}")).collect();
        write!(f, "of {}: ", tally.intended)?;
        f.write_str(if bad.is_empty() { "all good" } else { "" })?;
        f.write_str(&bad.join(", "))
    }
}

#[cfg(test)]
mod tests;
