//! What a run has shown.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ending::Ending;
use crate::record::{Record, Tally};
use crate::scenario::{Threshold, Thresholds};
use crate::validity::Validity;

/// Everything that is known at the end of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was seen.
    pub record: Record,
    /// The parts of the run, in the order of the record's.
    pub phases: Vec<Phase>,
    /// The names of the classes, in the order of the record's.
    pub classes: Vec<String>,
    /// Whether it can be believed.
    pub validity: Validity,
    /// How long it took, until the last answer.
    pub elapsed: Duration,
    /// Processor time that the generator's threads used.
    pub cpu: Duration,
    /// The share of a core that each of them used, on the average, or of each core, if there are
    /// fewer: at 1 it has no more to give.
    pub cpu_share: f64,
    /// Whether it was stopped before its time.
    pub stopped: bool,
}

/// A part of a run that is told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// When it begins, since the start of the run.
    pub from: Duration,
    /// When it ends.
    pub until: Duration,
}

/// A threshold that was crossed.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossed {
    /// The class; none if it is about all requests together.
    pub class: Option<String>,
    /// Which threshold.
    pub what: &'static str,
    /// What it should have been.
    pub bound: f64,
    /// What it was; none if nothing was asked, so that nobody knows.
    pub value: Option<f64>,
    /// The unit of both: a share, or milliseconds.
    pub unit: &'static str,
}

impl fmt::Display for Crossed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Crossed { class, what, bound, value, unit } = self;
        if let Some(class) = class {
            write!(f, "{class}: ")?;
        }
        match value {
            Some(value) => write!(f, "{what} is {value:.3}{unit}, ")?,
            None => write!(f, "{what} is unknown, because nothing was asked, ")?,
        }
        write!(f, "{bound:.3}{unit} was demanded")
    }
}

impl Outcome {
    /// The thresholds that this run crosses, over all its phases. Latencies are those of right
    /// answers, good and slow ones; where there was none, a latency threshold is crossed. Where
    /// nothing was asked at all every threshold is: it demands something that nobody has seen. Only
    /// who stops a run early does not need to be told that.
    pub fn crossed(&self, thresholds: &Thresholds) -> Vec<Crossed> {
        let mut crossed = Vec::new();
        let mut check = |threshold: &Threshold, class: Option<&String>, tally: &Tally| {
            if tally.intended > 0 || !self.stopped {
                check(threshold, class, tally, &mut crossed);
            }
        };
        check(&thresholds.all, None, &self.record.total());
        for (class, threshold) in &thresholds.classes {
            let name = self.classes.get(*class);
            check(threshold, name, &self.record.class(*class));
        }
        crossed
    }
}

fn check(threshold: &Threshold, class: Option<&String>, tally: &Tally, crossed: &mut Vec<Crossed>) {
    let nothing = tally.intended == 0;
    let known = |value: f64| (!nothing).then_some(value);
    if let Some(bound) = threshold.good_share_min
        && (nothing || tally.good_share() < bound)
    {
        let value = known(tally.good_share());
        crossed.push(Crossed { class: class.cloned(), what: "good_share", bound, value, unit: "" });
    }
    let latencies_us = tally.latencies_us(&[Ending::Good, Ending::Slow]);
    let latencies = [("p50", 0.5, threshold.p50_max), ("p99", 0.99, threshold.p99_max)];
    for (what, quantile, bound) in latencies {
        let Some(bound) = bound.map(|bound| bound.as_secs_f64() * 1e3) else { continue };
        let value = value_ms(&latencies_us, quantile);
        if nothing || value > bound {
            let value = known(value);
            crossed.push(Crossed { class: class.cloned(), what, bound, value, unit: " ms" });
        }
    }
}

/// A latency in milliseconds; one that never came is longer than all.
fn value_ms(latencies_us: &Histogram<u64>, quantile: f64) -> f64 {
    if latencies_us.is_empty() {
        return f64::INFINITY;
    }
    latencies_us.value_at_quantile(quantile) as f64 / 1e3
}
