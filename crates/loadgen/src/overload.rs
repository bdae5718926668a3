//! Goes past the limit and back: holds each multiple of it in one continuous load, then falls to
//! half of it, and tells what became of the good answers and how long the service took to recover.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::arrival::{RATE_MAX, Schedule, Spacing};
use crate::follow::follow;
use crate::live::Snapshot;
use crate::outcome::Outcome;
use crate::record::Timeline;
use crate::run::{Run, RunError};
use crate::scenario::Scenario;
use crate::settle::{Trickle, Unloaded, Unwell, trickle, well_behaved};

mod bounds;
mod cold;
mod pause;
mod phases;
mod recovery;
mod variants;

pub use bounds::OverloadBounds;
pub use cold::{Cold, ColdError};
pub use pause::{Pause, PauseError};
pub(crate) use phases::multiples;
pub use phases::{ClassReport, Latencies, PhaseReport};
pub use recovery::Recovery;
pub use variants::{Flood, Variants};

use pause::Pausing;

/// After the last multiple so much of the limit is offered: what a service that has recovered
/// holds with ease.
const REST_TIMES: f64 = 0.5;

/// The name of the phase after the last multiple.
const AFTER: &str = "after";

/// How long one client asks alone at first, to learn what quick is.
const UNLOADED: Duration = Duration::from_secs(1);

/// How long so much of the limit is offered before the first multiple as after the last: what is
/// compared with it then should have been as busy.
const BEFORE: Duration = Duration::from_secs(3);

/// How long one client asks alone at the end, where a service did not recover, to see whether
/// there is one.
const GONE: Duration = Duration::from_millis(250);

/// What to offer.
#[derive(Clone, Debug)]
pub struct OverloadOptions {
    /// The limit, found or given, in requests per second.
    pub limit_per_second: f64,
    /// The multiples of it that are held, one after the other.
    pub times: Vec<f64>,
    /// How long each is held.
    pub hold: Duration,
    /// How long half of the limit is offered after that.
    pub rest: Duration,
    /// What else is done to the service.
    pub variants: Variants,
    /// The most connections, whatever the scenario says. Without it, what [`Run::connections_max`]
    /// tells: people do not share a pool of connections.
    pub connections_max: Option<usize>,
    /// How requests are spaced; evenly by default, as when the limit was searched.
    pub spacing: Spacing,
    /// How many threads send.
    pub threads: usize,
    /// What chance is made from.
    pub seed: u64,
}

impl OverloadOptions {
    /// 1, 2, 5 and 10 times the limit for 6 seconds each, and 6 seconds of half of it.
    pub fn of_limit(limit_per_second: f64) -> OverloadOptions {
        OverloadOptions {
            limit_per_second,
            times: vec![1.0, 2.0, 5.0, 10.0],
            hold: Duration::from_secs(6),
            rest: Duration::from_secs(6),
            variants: Variants::default(),
            connections_max: None,
            spacing: Spacing::Even,
            threads: 1,
            seed: 1,
        }
    }
}

/// What is seen of an overload under way. Whoever watches ends it with [`ControlFlow::Break`].
#[derive(Clone, Debug)]
pub enum OverloadEvent<'e> {
    /// One client asks alone, and then as many as hold half of the limit.
    Unloaded {
        /// For how long by now.
        waited: Duration,
    },
    /// A phase begins.
    Phase {
        /// Its name: `2x`, or `after`.
        name: &'e str,
        /// The multiple of the limit.
        times: f64,
        /// Requests per second.
        rate: f64,
    },
    /// What is seen, ten times per second. Counters count from the start.
    Live {
        /// Which phase it is, from 0.
        phase: usize,
        /// What came of it so far.
        snapshot: &'e Snapshot,
    },
    /// A process was stopped.
    Paused {
        /// Which.
        pid: i32,
    },
    /// It goes on.
    Continued {
        /// Which.
        pid: i32,
    },
}

/// What became of a service past its limit.
#[derive(Clone, Debug)]
pub struct OverloadReport {
    /// The limit that was multiplied, in requests per second.
    pub limit_per_second: f64,
    /// How quick the service was when one client asked alone.
    pub unloaded: Unloaded,
    /// The multiples in their order, and after them the rest; of a load that was stopped those
    /// that had begun.
    pub phases: Vec<PhaseReport>,
    /// Whether it came back, and when.
    pub recovery: Recovery,
    /// The most connections that the generator could open.
    pub connections_max: usize,
    /// Whether nobody took its connections any more at the end: it has ended, or was ended.
    pub gone: bool,
    /// Whether it was ended by whoever watched.
    pub stopped: bool,
    /// Everything that was seen.
    pub outcome: Outcome,
}

impl OverloadReport {
    /// The course of it, second by second.
    pub fn timeline(&self) -> &Timeline {
        &self.outcome.record.timeline
    }

    /// The most good answers per second that any multiple had; where none was the limit or below
    /// it, the limit, if that is more.
    pub fn goodput_peak_per_second(&self) -> f64 {
        phases::peak(multiples(&self.phases), self.limit_per_second)
    }
}

/// Why an overload cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OverloadError {
    /// There is no load in what is asked for.
    #[error("there is nothing to offer: a limit above 0 and multiples above 0 are needed")]
    NoLoad,
    /// A multiple is more than can be offered.
    #[error(
        "{times} times {limit_per_second} is more than {RATE_MAX} requests per second: no more is possible"
    )]
    TooMuch {
        /// The multiple.
        times: f64,
        /// The limit.
        limit_per_second: f64,
    },
    /// The service does not answer one client who asks alone.
    #[error("the service does not answer well, even without load: {why}")]
    Unwell {
        /// How it answered.
        why: String,
    },
    /// The process to pause cannot be paused.
    #[error(transparent)]
    Pause(#[from] PauseError),
    /// What was to be called before failed.
    #[error(transparent)]
    Cold(#[from] ColdError),
    /// The generator could not run.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A stretch of the load: a multiple of the limit for some time.
#[derive(Clone, Debug)]
struct Stretch {
    name: String,
    times: f64,
    rate: f64,
    length: Duration,
}

/// Offers it all, until it is over or `watch` says that it is enough.
///
/// # Errors
/// When there is nothing to offer, the service does not answer well even without load, a variant
/// cannot be done, or the generator cannot run.
pub fn past(
    scenario: &Scenario,
    options: &OverloadOptions,
    watch: &mut dyn FnMut(&OverloadEvent<'_>) -> ControlFlow<()>,
) -> Result<OverloadReport, OverloadError> {
    let stretches = stretches(options)?;
    let mut pausing = options.variants.pause.map(Pausing::new).transpose()?;
    let asking =
        &mut |snapshot: &Snapshot| watch(&OverloadEvent::Unloaded { waited: snapshot.elapsed });
    let (unloaded, stopped) = match trickle(scenario, UNLOADED, asking)? {
        Trickle::Well(unloaded) => (unloaded, false),
        Trickle::Unwell(Unwell { why, .. }) => return Err(OverloadError::Unwell { why }),
        Trickle::Stopped => (Unloaded { p50_ms: f64::NAN, p99_ms: f64::NAN }, true),
    };
    let (before, stopped) = match stopped {
        true => (unloaded.clone(), true),
        false => before(scenario, options, &unloaded, watch)?,
    };
    if let (Some(cold), false) = (&options.variants.cold, stopped) {
        cold.call()?;
    }
    let mut scenario = options.variants.applied_to(scenario);
    let said = options.connections_max.or(scenario.behaviour.connections_max);
    scenario.behaviour.connections_max = said;
    let run = run(&scenario, &stretches, options);
    let connections_max = run.connections_max();
    let mut phase = None;
    let mut see = |snapshot: &Snapshot, pausing: &mut Option<Pausing>| {
        if stopped {
            return ControlFlow::Break(());
        }
        if let Some(pausing) = pausing {
            pausing.at(snapshot.elapsed, watch)?;
        }
        let now = stretch_at(&stretches, snapshot.elapsed);
        if phase != Some(now) {
            phase = Some(now);
            let Stretch { name, times, rate, .. } = &stretches[now];
            watch(&OverloadEvent::Phase { name, times: *times, rate: *rate })?;
        }
        watch(&OverloadEvent::Live { phase: now, snapshot })
    };
    let outcome = follow(run, &mut |snapshot| {
        let flow = see(snapshot, &mut pausing);
        if flow.is_break() {
            // Nobody waits for the last answers with a process stopped.
            pausing = None;
        }
        flow
    });
    // Whatever came of it, the process goes on.
    drop(pausing);
    let outcome = outcome?;
    let phases = phases::reports(&outcome, &stretches, options.limit_per_second, &unloaded);
    let from = options.hold * options.times.len() as u32;
    let mut recovery = match outcome.stopped {
        true => Recovery::stopped(),
        false => recovery::of(&outcome.record.timeline, from, from + options.rest, &before),
    };
    // Whether it does its work badly or is not there any more, who asks once again can tell.
    let mut gone = false;
    if recovery.seconds.is_none() && !outcome.stopped {
        let asking =
            &mut |snapshot: &Snapshot| watch(&OverloadEvent::Unloaded { waited: snapshot.elapsed });
        if let Trickle::Unwell(Unwell { why, is_gone: true }) = trickle(&scenario, GONE, asking)? {
            recovery.why = format!("it is not there any more: {why}");
            gone = true;
        }
    }
    Ok(OverloadReport {
        limit_per_second: options.limit_per_second,
        unloaded,
        phases,
        recovery,
        connections_max,
        gone,
        stopped: outcome.stopped,
        outcome,
    })
}

/// How quick the service is at the load that comes after the multiples, without what is done to it
/// on top; and whether somebody has seen enough.
fn before(
    scenario: &Scenario,
    options: &OverloadOptions,
    unloaded: &Unloaded,
    watch: &mut dyn FnMut(&OverloadEvent<'_>) -> ControlFlow<()>,
) -> Result<(Unloaded, bool), RunError> {
    let load = Schedule::constant(options.limit_per_second * REST_TIMES, BEFORE);
    let run = Run::open(&well_behaved(scenario), load.spaced(options.spacing));
    let outcome = follow(run.threads(options.threads).seed(options.seed), &mut |snapshot| {
        watch(&OverloadEvent::Unloaded { waited: UNLOADED + snapshot.elapsed })
    })?;
    let before = recovery::worst_second(&outcome.record.timeline, unloaded);
    Ok((before, outcome.stopped))
}

fn stretches(options: &OverloadOptions) -> Result<Vec<Stretch>, OverloadError> {
    let OverloadOptions { limit_per_second, times, hold, rest, .. } = options;
    let is_load = |value: &f64| value.is_finite() && *value > 0.0;
    if !is_load(limit_per_second) || times.is_empty() || !times.iter().all(is_load) {
        return Err(OverloadError::NoLoad);
    }
    let limit_per_second = *limit_per_second;
    if let Some(times) = times.iter().copied().find(|times| limit_per_second * times > RATE_MAX) {
        return Err(OverloadError::TooMuch { times, limit_per_second });
    }
    let stretch = |name: String, times: f64, length: Duration| Stretch {
        name,
        times,
        rate: limit_per_second * times,
        length,
    };
    let mut stretches: Vec<Stretch> =
        times.iter().map(|times| stretch(format!("{times}x"), *times, *hold)).collect();
    stretches.push(stretch(AFTER.to_owned(), REST_TIMES, *rest));
    Ok(stretches)
}

fn run(scenario: &Scenario, stretches: &[Stretch], options: &OverloadOptions) -> Run {
    let steps: Vec<_> = stretches.iter().map(|stretch| (stretch.rate, stretch.length)).collect();
    Run::open(scenario, Schedule::steps(&steps).spaced(options.spacing))
        .phases(stretches.iter().map(|stretch| (stretch.name.clone(), stretch.length)))
        .threads(options.threads)
        .seed(options.seed)
}

fn stretch_at(stretches: &[Stretch], moment: Duration) -> usize {
    let mut until = Duration::ZERO;
    let ended = stretches.iter().take_while(|stretch| {
        until += stretch.length;
        until <= moment
    });
    ended.count().min(stretches.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_four_multiples_and_a_rest_in_half_a_minute() {
        let stretches = stretches(&OverloadOptions::of_limit(400.0)).unwrap();
        let rates: Vec<_> =
            stretches.iter().map(|stretch| (stretch.name.as_str(), stretch.rate)).collect();
        let expected =
            [("1x", 400.0), ("2x", 800.0), ("5x", 2000.0), ("10x", 4000.0), ("after", 200.0)];
        assert_eq!(rates, expected);
        let length: Duration = stretches.iter().map(|stretch| stretch.length).sum();
        assert_eq!(length, Duration::from_secs(30));
        for (second, phase) in [(0, 0), (5, 0), (6, 1), (23, 3), (24, 4), (99, 4)] {
            assert_eq!(stretch_at(&stretches, Duration::from_secs(second)), phase, "{second}");
        }
    }

    #[test]
    fn what_is_no_load_is_refused() {
        for (limit_per_second, times) in [
            (0.0, vec![1.0]),
            (-1.0, vec![1.0]),
            (f64::NAN, vec![1.0]),
            (1.0, vec![]),
            (1.0, vec![0.0]),
        ] {
            let options = OverloadOptions { times, ..OverloadOptions::of_limit(limit_per_second) };
            assert!(matches!(stretches(&options), Err(OverloadError::NoLoad)), "{options:?}");
        }
        let options =
            OverloadOptions { times: vec![1.0, 5000.0], ..OverloadOptions::of_limit(3e3) };
        let error = stretches(&options).unwrap_err().to_string();
        assert_eq!(
            error,
            "5000 times 3000 is more than 10000000 requests per second: no more is possible"
        );
    }
}
