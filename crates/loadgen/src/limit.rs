//! Finds the highest rate that a service holds: offers what the search asks for, judges what
//! comes back, and lets the service come to rest in between.

use std::ops::ControlFlow;
use std::time::Duration;

use tenfold_context::Moment;

use crate::arrival::Spacing;
use crate::bottleneck::{self, Bottleneck, Seen};
use crate::fetch::Address;
use crate::follow::follow;
use crate::live::Snapshot;
use crate::probe::{Demand, ProbeReport, judge};
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::scrape::{MetricsError, Sample, check_metrics};
use crate::search::{Found, Search, SearchLimits, Step, Verdict};
use crate::settle::{Trickle, Unloaded, settle, trickle};
use crate::usl::Law;

mod interval;

/// How to search. The defaults find the limit of a quick service in less than a minute.
#[derive(Clone, Debug)]
pub struct LimitOptions {
    /// How fine, how far, and with how many probes. Its first rate is a least one: see
    /// [`LimitOptions::rate_first`].
    pub search: SearchLimits,
    /// Where to begin, in requests per second. Without it, at the rate that one client gets who
    /// waits for each answer, or at the search's first rate if that is more.
    pub rate_first: Option<f64>,
    /// How long a probe is at least.
    pub probe: Duration,
    /// How long a probe is at most, whatever else it would need.
    pub probe_max: Duration,
    /// How long the highest rate that was held is offered once more, after a jolt, to see that it
    /// lasts.
    pub lasting: Duration,
    /// A probe is so long that it has this many requests.
    pub requests_min: u32,
    /// The share of requests that must be good, between 0 and 1.
    pub good_share_min: f64,
    /// How long one client asks alone after each probe, to see whether the service is at rest.
    pub rest: Duration,
    /// How long a service is waited for that is not.
    pub rest_max: Duration,
    /// How requests are spaced. Evenly by default: their number then does not vary from probe to
    /// probe, which at random it does by its square root.
    pub spacing: Spacing,
    /// How many threads send.
    pub threads: usize,
    /// What chance is made from.
    pub seed: u64,
    /// Where the service tells Prometheus about itself.
    pub metrics: Option<Address>,
}

impl Default for LimitOptions {
    fn default() -> LimitOptions {
        LimitOptions {
            search: SearchLimits::default(),
            rate_first: None,
            probe: Duration::from_millis(1800),
            probe_max: Duration::from_secs(15),
            lasting: Duration::from_secs(6),
            requests_min: 60,
            good_share_min: 0.99,
            rest: Duration::from_millis(250),
            rest_max: Duration::from_secs(15),
            spacing: Spacing::Even,
            threads: 1,
            seed: 1,
            metrics: None,
        }
    }
}

/// What is seen of a search under way. Whoever watches ends it with [`ControlFlow::Break`].
#[derive(Clone, Debug)]
pub enum LimitEvent<'e> {
    /// One client asks alone, to see how quick the service is, or whether it is at rest again.
    Resting {
        /// For how long it has been waited.
        waited: Duration,
    },
    /// A rate is offered from now on.
    Probing {
        /// Which probe it is, from 1.
        number: usize,
        /// In requests per second.
        rate: f64,
        /// How long it is offered.
        duration: Duration,
    },
    /// What the probe under way sees, ten times per second.
    Live {
        /// The rate that is offered.
        rate: f64,
        /// What came of it.
        snapshot: &'e Snapshot,
    },
    /// A probe has ended.
    Probed(&'e ProbeReport),
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct LimitReport {
    /// How it ended.
    pub found: Found,
    /// The highest rate that was held, in requests per second; 0 if there is none.
    pub limit_per_second: f64,
    /// Between which rates the limit lies: below the first every probe was held, above the
    /// second none was. No second one when no rate was too much.
    pub interval: (f64, Option<f64>),
    /// How quick the service is when one client asks alone.
    pub unloaded: Unloaded,
    /// Every probe, in the order of time.
    pub probes: Vec<ProbeReport>,
    /// Throughput as a function of the work in hand, if there were enough probes to fit it.
    pub law: Option<Law>,
    /// What was near its end at the limit; none if no probe was too much.
    pub bottleneck: Option<Bottleneck>,
    /// A service that did not come back after a probe, which ended the search.
    pub unrecovered: Option<Unrecovered>,
    /// Whether it was ended by whoever watched.
    pub stopped: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// A service that a load has broken for good, as far as was waited.
#[derive(Clone, Debug, PartialEq)]
pub struct Unrecovered {
    /// The rate that broke it, in requests per second.
    pub after_rate: f64,
    /// How long it was waited for.
    pub waited: Duration,
    /// How it answered then.
    pub why: String,
}

/// Why a limit cannot be searched for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The service does not answer one client who asks alone.
    #[error("the service does not answer well, even without load: {why}")]
    Unwell {
        /// How it answered.
        why: String,
    },
    /// What the service tells of itself was asked for, and cannot be had.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The generator could not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl LimitReport {
    /// Whether the service came back after every probe.
    pub fn recovers(&self) -> bool {
        self.unrecovered.is_none()
    }
}

/// Searches until the limit is found, the probes are used up, the service does not come back, or
/// `watch` says that it is enough.
///
/// # Errors
/// When the service does not answer well even without load, its metrics cannot be read, or the
/// generator cannot run.
pub fn find(
    scenario: &Scenario,
    options: &LimitOptions,
    watch: &mut dyn FnMut(&LimitEvent<'_>) -> ControlFlow<()>,
) -> Result<LimitReport, LimitError> {
    let started = Moment::now();
    options.metrics.as_ref().map(check_metrics).transpose()?;
    // The first look is longer: everything after is compared with it.
    let looking =
        &mut |snapshot: &Snapshot| watch(&LimitEvent::Resting { waited: snapshot.elapsed });
    let (unloaded, stopped) = match trickle(scenario, options.rest * 4, looking)? {
        Trickle::Well(unloaded) => (unloaded, false),
        Trickle::Unwell(why) => return Err(LimitError::Unwell { why }),
        Trickle::Stopped => (Unloaded { p50_ms: f64::NAN, p99_ms: f64::NAN }, true),
    };
    let rate_first = options.rate_first.unwrap_or_else(|| {
        first_rate(options.search.rate_first, options.search.step, unloaded.p50_ms)
    });
    // The most that is worth offering may be the most that somebody dares to.
    let rate_first = rate_first.min(options.search.rate_max);
    let search = Search::new(SearchLimits { rate_first, ..options.search });
    let mut hunt = Hunt {
        scenario,
        options,
        watch,
        unloaded,
        search,
        probes: Vec::new(),
        seen: Vec::new(),
        end: stopped.then_some(End::Stopped),
    };
    hunt.run()?;
    Ok(hunt.report(Moment::now().since(started)))
}

/// A search with everything that it needs and has learnt.
struct Hunt<'h> {
    scenario: &'h Scenario,
    options: &'h LimitOptions,
    watch: &'h mut dyn FnMut(&LimitEvent<'_>) -> ControlFlow<()>,
    unloaded: Unloaded,
    search: Search,
    probes: Vec<ProbeReport>,
    /// What was seen from outside during each probe, in the order of the probes.
    seen: Vec<Seen>,
    end: Option<End>,
}

/// Why a hunt is over.
enum End {
    Found(Found),
    Stopped,
    Unrecovered(Unrecovered),
}

impl Hunt<'_> {
    fn run(&mut self) -> Result<(), RunError> {
        while self.end.is_none() {
            match self.search.step() {
                Step::Done(found) => self.end = Some(End::Found(found)),
                Step::Probe { rate, lasting } => self.ask(rate, lasting)?,
            }
        }
        Ok(())
    }

    /// Offers a rate and notes the verdict. A probe that the generator spoilt is repeated once,
    /// because on a shared machine that is mostly a neighbour.
    fn ask(&mut self, rate: f64, lasting: bool) -> Result<(), RunError> {
        let mut verdict = self.probe(rate, lasting)?;
        if verdict == Some(Verdict::Invalid) && self.end.is_none() {
            verdict = self.probe(rate, lasting)?;
        }
        if let Some(verdict) = verdict {
            self.search.note(verdict);
        }
        Ok(())
    }

    /// None if it was stopped before its end.
    fn probe(&mut self, rate: f64, lasting: bool) -> Result<Option<Verdict>, RunError> {
        let duration = duration(self.options, rate, self.unloaded.p50_ms);
        let demand = Demand {
            rate,
            duration: if lasting { duration.max(self.options.lasting) } else { duration },
            jolted: lasting,
            good_share_min: self.options.good_share_min,
            unloaded_p50_ms: self.unloaded.p50_ms,
        };
        let number = self.probes.len() + 1;
        if (self.watch)(&LimitEvent::Probing { number, rate, duration: demand.duration }).is_break()
        {
            self.end = Some(End::Stopped);
            return Ok(None);
        }
        let run = demand.run(self.scenario, self.options.spacing);
        let run = run.threads(self.options.threads).seed(self.options.seed);
        let before = Sample::take(self.scenario, self.options.metrics.as_ref());
        let watch = &mut self.watch;
        let mut loaded = None;
        let outcome = follow(run, &mut |snapshot| {
            // When the last answers are waited for, the machine comes to rest already.
            if snapshot.elapsed <= demand.duration {
                loaded = Sample::machine(self.scenario);
            }
            watch(&LimitEvent::Live { rate, snapshot })
        })?;
        let after = Sample::take(self.scenario, self.options.metrics.as_ref()).on(loaded);
        let report = judge(&outcome, &demand);
        let verdict = report.verdict;
        self.seen.push(Seen { change: before.until(&after), generator_cpu: outcome.cpu });
        let goes_on = (self.watch)(&LimitEvent::Probed(&report));
        self.probes.push(report);
        if outcome.stopped || goes_on.is_break() {
            self.end = Some(End::Stopped);
        } else {
            self.rest(rate)?;
        }
        Ok((!outcome.stopped).then_some(verdict))
    }

    fn rest(&mut self, after_rate: f64) -> Result<(), RunError> {
        let LimitOptions { rest, rest_max, .. } = *self.options;
        let mut last = Duration::ZERO;
        let watch = &mut self.watch;
        let resting = &mut |waited: Duration| {
            last = waited;
            watch(&LimitEvent::Resting { waited })
        };
        match settle(self.scenario, rest, &self.unloaded, rest_max, resting)? {
            Trickle::Well(_) => {}
            Trickle::Stopped => self.end = Some(End::Stopped),
            Trickle::Unwell(why) => {
                let unrecovered = Unrecovered { after_rate, waited: last, why };
                self.end = Some(End::Unrecovered(unrecovered));
            }
        }
        Ok(())
    }

    fn report(self, elapsed: Duration) -> LimitReport {
        let (found, stopped, unrecovered) = match self.end {
            Some(End::Found(found)) => (found, false, None),
            Some(End::Unrecovered(unrecovered)) => (self.search.so_far(), false, Some(unrecovered)),
            Some(End::Stopped) | None => (self.search.so_far(), true, None),
        };
        let limit_per_second = match found {
            Found::Limit { held, .. }
            | Found::NoLimit { held }
            | Found::GeneratorFirst { held }
            | Found::Unfinished { held } => held,
            Found::NothingHeld => 0.0,
        };
        let points: Vec<_> = self
            .probes
            .iter()
            .filter(|probe| probe.verdict != Verdict::Invalid)
            .map(ProbeReport::point)
            .collect();
        let metrics = self.options.metrics.is_some();
        LimitReport {
            found,
            limit_per_second,
            interval: interval::of(&found, &self.probes),
            unloaded: self.unloaded,
            law: Law::fit(&points),
            bottleneck: bottleneck::of(&self.probes, &self.seen, metrics),
            probes: self.probes,
            unrecovered,
            stopped,
            elapsed,
        }
    }
}

/// What one client gets who waits for each answer, every service holds; rounded down to a rate
/// on the way up from the least, so that every search of a service visits the same rates.
fn first_rate(rate_min: f64, step: f64, unloaded_p50_ms: f64) -> f64 {
    let alone = 1e3 / unloaded_p50_ms;
    let steps = (alone / rate_min).ln() / step.ln();
    if steps.is_finite() { rate_min * step.powi(steps.floor().max(0.0) as i32) } else { rate_min }
}

/// Long enough for so many requests, and for twenty answers one after the other, because what is
/// steady is told from what grows by answers that have come.
fn duration(options: &LimitOptions, rate: f64, unloaded_p50_ms: f64) -> Duration {
    let seconds = options
        .probe
        .as_secs_f64()
        .max(f64::from(options.requests_min) / rate)
        .max(20.0 * unloaded_p50_ms / 1e3)
        .min(options.probe_max.as_secs_f64());
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rate_is_on_the_way_up_and_what_one_client_gets() {
        assert_eq!(first_rate(100.0, 2.0, 12.0), 100.0);
        assert_eq!(first_rate(100.0, 2.0, 1.1), 800.0);
        assert_eq!(first_rate(100.0, 2.0, 0.99), 800.0);
        assert_eq!(first_rate(100.0, 2.0, 500.0), 100.0);
        assert_eq!(first_rate(100.0, 2.0, 0.0), 100.0, "so quick that it cannot be told");
        assert_eq!(first_rate(100.0, 2.0, f64::NAN), 100.0);
    }

    #[test]
    fn a_probe_is_as_long_as_it_must_be_and_no_longer_than_it_may() {
        let options = LimitOptions::default();
        let seconds = |rate, p50_ms| duration(&options, rate, p50_ms).as_secs_f64();
        assert_eq!(seconds(1_000.0, 1.0), 1.8);
        assert_eq!(seconds(10.0, 1.0), 6.0);
        assert_eq!(seconds(1_000.0, 300.0), 6.0);
        assert_eq!(seconds(0.1, 1.0), 15.0);
    }
}
