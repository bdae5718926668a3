//! What has changed since an earlier report, and which of it is more than chance.
//!
//! Each figure carries the interval in which a repetition would be expected: that of the search
//! for a limit; for shares and latencies the wider of what sampling leaves open (a binomial
//! share; the order statistics around a quantile) and of how much the figure moved from second to
//! second. Latencies are given more than that, because one run differs from the next by more than
//! its seconds do from each other. Where the intervals of both reports meet, the difference is
//! noise.

use std::fmt;
use std::ops::Range;

use crate::ending::Ending;
use crate::report::course::{Attempts, Course};
use crate::report::run::RunReport;
use crate::report::{Report, words};

mod overload;

/// Two reports side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Every figure that both have.
    pub changes: Vec<Change>,
    /// What makes the two hard to compare, as sentences.
    pub caveats: Vec<String>,
}

/// One figure, then and now.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What it is.
    pub name: String,
    /// Then, with its unit.
    pub old: String,
    /// Now, with its unit.
    pub new: String,
    /// Now ÷ then.
    pub ratio: f64,
    /// What to make of it.
    pub significance: Significance,
}

/// What to make of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Significance {
    /// A repetition might differ as much.
    Noise,
    /// More than chance, and what one wants.
    Better,
    /// More than chance, and not what one wants.
    Worse,
}

/// A figure of one report, and where a repetition of it would be expected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// What a figure counts, and with that, which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Per second; more is better.
    Rate,
    /// A part of one; more is better.
    Share,
    /// Milliseconds; less is better.
    Milliseconds,
}

/// Two searches for the limit of an unchanged service may differ by this much.
const LIMIT_SPREAD: f64 = 0.05;

/// A latency may be this part of it higher or lower in the next run: of fifteen runs of six seconds
/// against an unchanged service the medians lay up to a fifth from one to the next.
const LATENCY_SPREAD: f64 = 0.1;

/// And by at least this, in milliseconds: what is shorter is a matter of how threads wake up.
const LATENCY_SPREAD_MS: f64 = 0.025;

/// The same part where it is not known how much a latency moved: with few answers, or few seconds.
const LATENCY_SPREAD_UNKNOWN: f64 = 0.25;

pub(super) fn of(earlier: &Report, report: &Report) -> Comparison {
    let old = figures(earlier);
    let changes = figures(report).into_iter().filter_map(|new| {
        let old = old.iter().find(|old| old.name == new.name)?;
        Some(Change::of(old, &new))
    });
    Comparison { changes: changes.collect(), caveats: caveats(earlier, report) }
}

impl Change {
    fn of(old: &Figure, new: &Figure) -> Change {
        let apart = new.low > old.high || new.high < old.low;
        let more_is_better = new.unit != Unit::Milliseconds;
        let significance = match apart {
            false => Significance::Noise,
            true if (new.value > old.value) == more_is_better => Significance::Better,
            true => Significance::Worse,
        };
        Change {
            name: new.name.clone(),
            old: old.unit.write(old.value),
            new: new.unit.write(new.value),
            ratio: match (old.value == new.value, old.value.is_finite()) {
                (true, _) => 1.0,
                (false, true) => new.value / old.value,
                // Of what never ended nothing is a part.
                (false, false) => f64::NAN,
            },
            significance,
        }
    }
}

impl Unit {
    fn write(self, value: f64) -> String {
        match self {
            Unit::Rate => format!("{}/s", words::count(value)),
            Unit::Share => words::percent(value),
            Unit::Milliseconds => words::milliseconds(value),
        }
    }
}

impl Significance {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Significance::Noise => "noise",
            Significance::Better => "better",
            Significance::Worse => "worse",
        }
    }
}

/// A table of words, at most 80 columns wide where names are short.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for caveat in &self.caveats {
            writeln!(f, "{caveat}")?;
        }
        let width = self.changes.iter().map(|change| change.name.chars().count()).max();
        let width = width.unwrap_or_default();
        for Change { name, old, new, ratio, significance } in &self.changes {
            let verdict = significance.name();
            writeln!(f, "{name:width$}  {old:>10}  {new:>10}  {:>7}  {verdict}", changed(*ratio))?;
        }
        Ok(())
    }
}

impl Change {
    /// The ratio as it is spoken: `+12.0 %`, `×3.1`, `same`.
    pub fn ratio_in_words(&self) -> String {
        changed(self.ratio)
    }
}

/// A ratio as it is spoken: `+12 %`, `×3.1`.
pub(crate) fn changed(ratio: f64) -> String {
    match ratio {
        _ if !ratio.is_finite() => "–".to_owned(),
        _ if ratio >= 2.0 => format!("×{ratio:.1}"),
        _ if (ratio - 1.0).abs() < 0.0005 => "same".to_owned(),
        _ => format!("{:+.1} %", (ratio - 1.0) * 100.0),
    }
}

fn caveats(earlier: &Report, report: &Report) -> Vec<String> {
    let mut caveats = Vec::new();
    if earlier.target != report.target {
        let (old, new) = (&earlier.target, &report.target);
        caveats.push(format!("Another address was asked: {old} then, {new} now."));
    }
    if earlier.scenario != report.scenario {
        caveats.push("The scenario is not the same.".to_owned());
    }
    if let (Some(old), Some(new)) = (&earlier.run, &report.run) {
        if old.load != new.load {
            caveats.push(format!("Another load: {} then, {} now.", old.load, new.load));
        }
        for (run, when) in [(old, "then"), (new, "now")] {
            if !run.valid {
                caveats.push(format!("What was measured {when} is not valid: {}.", run.validity));
            }
        }
    }
    caveats
}

/// Every figure of a report that is worth comparing, each under a name of its own.
pub(crate) fn figures(report: &Report) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(limit) = &report.limit {
        let value = limit.limit_per_second;
        let (low, high) = limit.interval;
        figures.push(Figure {
            name: "limit".to_owned(),
            unit: Unit::Rate,
            value,
            low: low.min(value * (1.0 - LIMIT_SPREAD / 2.0)),
            high: high.unwrap_or(f64::INFINITY).max(value * (1.0 + LIMIT_SPREAD / 2.0)),
        });
        for (name, value) in [("p50", limit.unloaded.p50_ms), ("p99", limit.unloaded.p99_ms)] {
            figures.push(Figure {
                name: format!("unloaded {name}"),
                unit: Unit::Milliseconds,
                value,
                // A single client sees few answers.
                low: value - unseen(value),
                high: value + unseen(value),
            });
        }
    }
    if let Some(overload) = &report.overload {
        figures.extend(overload::figures(overload));
    }
    if let Some(run) = &report.run {
        figures.extend(run_figures(run));
    }
    figures
}

fn run_figures(run: &RunReport) -> Vec<Figure> {
    let course = &run.course;
    let seconds = course.seconds().max(1e-9);
    let mut figures = of_requests("", &course.total(), course, 0.0, seconds);
    if course.classes.len() > 1 {
        for (index, name) in course.classes.iter().enumerate() {
            let seen = course.class(index);
            figures.push(good_share(&format!("{name}: "), &seen, f64::NAN));
            figures.extend(latencies(&format!("{name}: "), &seen, course, None));
        }
    }
    figures
}

/// The figures of requests that were intended within these seconds.
pub(crate) fn of_requests(
    prefix: &str,
    seen: &Attempts,
    course: &Course,
    from_s: f64,
    until_s: f64,
) -> Vec<Figure> {
    let seconds = (until_s - from_s).max(1e-9);
    let within = within(course, from_s, until_s);
    let goods = || {
        let slices = course.slices[within.clone()].iter();
        slices.map(|slice| slice.count(Ending::Good) as f64 / course.slice_s)
    };
    let shares = course.slices[within.clone()]
        .iter()
        .filter(|slice| slice.intended > 0)
        .map(|slice| slice.count(Ending::Good) as f64 / slice.intended as f64);
    let good = seen.count(Ending::Good) as f64;
    let mut figures = vec![
        good_share(prefix, seen, spread(shares)),
        Figure::around(
            format!("{prefix}goodput"),
            Unit::Rate,
            good / seconds,
            // Counts of independent events vary by their square root.
            (2.0 * good.sqrt() / seconds).max(spread(goods())),
        ),
    ];
    figures.extend(latencies(prefix, seen, course, Some(&within)));
    figures
}

fn good_share(prefix: &str, seen: &Attempts, spread: f64) -> Figure {
    let (share, intended) = (seen.good_share(), seen.intended.max(1) as f64);
    // One more or less is always chance.
    let sampling = (2.0 * (share * (1.0 - share) / intended).sqrt()).max(1.0 / intended);
    Figure::around(format!("{prefix}good"), Unit::Share, share, sampling.max(spread))
}

fn latencies(
    prefix: &str,
    seen: &Attempts,
    course: &Course,
    within: Option<&Range<usize>>,
) -> Vec<Figure> {
    let right = [Ending::Good, Ending::Slow];
    let count: u64 = right.iter().map(|ending| seen.count(*ending)).sum();
    [("p50", 0.5, 0), ("p99", 0.99, 2)]
        .into_iter()
        .filter_map(|(name, quantile, index)| {
            let value = seen.latency_ms(&right, quantile)?;
            let ranks = 2.0 * (quantile * (1.0 - quantile) / count as f64).sqrt();
            let low = seen.latency_ms(&right, (quantile - ranks).max(0.0))?;
            let high = seen.latency_ms(&right, (quantile + ranks).min(1.0))?;
            let slices = within.map_or(&[] as &[_], |within| &course.slices[within.clone()]);
            let spread = spread(
                slices.iter().filter_map(|slice| slice.latency_ms).map(|latency| latency[index]),
            );
            let least = (value * LATENCY_SPREAD).max(LATENCY_SPREAD_MS);
            let spread = if spread.is_nan() { unseen(value) } else { spread.max(least) };
            Some(Figure {
                name: format!("{prefix}{name}"),
                unit: Unit::Milliseconds,
                value,
                low: low.min(value - spread),
                high: high.max(value + spread),
            })
        })
        .collect()
}

/// How far a latency may lie from a repetition, where nothing is known of how it moves.
fn unseen(value_ms: f64) -> f64 {
    (value_ms * LATENCY_SPREAD_UNKNOWN).max(LATENCY_SPREAD_MS)
}

impl Figure {
    pub(crate) fn around(name: String, unit: Unit, value: f64, spread: f64) -> Figure {
        Figure { name, unit, value, low: value - spread, high: value + spread }
    }
}

/// Whole slices only: at the edge of a phase a slice belongs to both.
fn within(course: &Course, from_s: f64, until_s: f64) -> Range<usize> {
    let last = course.slices.len();
    let first = ((from_s / course.slice_s).ceil() as usize).min(last);
    let end = ((until_s / course.slice_s).floor() as usize).clamp(first, last);
    first..end
}

/// Twice the standard error of a mean of these; NaN, which widens nothing, of fewer than three.
fn spread(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    if values.len() < 3 {
        return f64::NAN;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    2.0 * (squares / (count - 1.0) / count).sqrt()
}

#[cfg(test)]
mod tests;
