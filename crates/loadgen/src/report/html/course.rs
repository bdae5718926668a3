//! Pictures of a load's course: latencies and outcomes, second by second.

use tenfold_chart::{Axis, Layer, Line, Phase, Plot, Rule, Spacing, Stack, Tone, Unit};

use super::{Page, latency};
use crate::ending::Ending;
use crate::report::course::{Attempts, Course};
use crate::report::overload::shown;
use crate::report::words;

/// Right answers, which have a latency worth naming.
pub(super) const RIGHT: [Ending; 2] = [Ending::Good, Ending::Slow];

pub(super) fn latency_plot(course: &Course, latency_ms_max: Option<f64>) -> Plot {
    let tones = [Tone::Level1, Tone::Level2, Tone::Level3, Tone::Level4];
    let names = ["p50", "p90", "p99", "p99.9"];
    let lines = names.iter().zip(tones).enumerate().map(|(index, (name, tone))| Line {
        name: (*name).to_owned(),
        tone,
        points: middles(course)
            .zip(&course.slices)
            .map(|(second, slice)| {
                (second, slice.latency_ms.map_or(f64::NAN, |ms| (ms[index] / 1e3).max(1e-6)))
            })
            .collect(),
    });
    let promise = latency_ms_max
        .map(|ms| Rule { name: format!("good up to {}", words::milliseconds(ms)), at: ms / 1e3 });
    Plot {
        title: "Latency of right answers".to_owned(),
        note: "By the moment at which each request was meant to be sent. The scale is \
               logarithmic; a gap means no right answer."
            .to_owned(),
        x: time(),
        y: Axis {
            label: "latency".to_owned(),
            unit: Unit::Duration,
            spacing: Spacing::Logarithmic,
            ..Axis::default()
        },
        phases: phases(course),
        lines: lines.collect(),
        thresholds: promise.into_iter().collect(),
        ..Plot::default()
    }
}

/// What is told apart in the picture of outcomes, from the ground up.
const LAYERS: [(&str, Tone, &[Ending]); 6] = [
    ("good", Tone::Good, &[Ending::Good]),
    ("slow", Tone::Level1, &[Ending::Slow]),
    ("refused", Tone::Refused, &[Ending::Refused]),
    ("timed out", Tone::TimedOut, &[Ending::TimedOut]),
    ("failed or wrong", Tone::Failed, &[Ending::Failed, Ending::Wrong]),
    ("left early", Tone::Quiet, &[Ending::LeftEarly]),
];

pub(super) fn outcomes_plot(course: &Course) -> Plot {
    let per_second = |count: u64| count as f64 / course.slice_s;
    let layers = LAYERS.iter().map(|(name, tone, endings)| Layer {
        name: (*name).to_owned(),
        tone: *tone,
        amounts: course
            .slices
            .iter()
            .map(|slice| per_second(endings.iter().map(|ending| slice.count(*ending)).sum()))
            .collect(),
    });
    let happened = |layer: &Layer| layer.amounts.iter().any(|amount| *amount > 0.0);
    let offered = Line {
        name: "meant to be sent".to_owned(),
        tone: Tone::Quiet,
        points: course
            .slices
            .iter()
            .enumerate()
            .flat_map(|(index, slice)| {
                let (from, rate) = (index as f64 * course.slice_s, per_second(slice.intended));
                [(from, rate), (from + course.slice_s, rate)]
            })
            .collect(),
    };
    Plot {
        title: "What became of each request".to_owned(),
        note: "By the moment at which each request was meant to be sent.".to_owned(),
        x: time(),
        y: Axis { label: "requests per second".to_owned(), ..Axis::default() },
        phases: phases(course),
        stack: Stack {
            at: (0..course.slices.len()).map(|index| index as f64 * course.slice_s).collect(),
            layers: layers.filter(happened).collect(),
        },
        lines: vec![offered],
        ..Plot::default()
    }
}

/// One row per class, or per stretch: what came of its requests.
pub(super) fn outcomes_table(
    caption: &str,
    first: &str,
    rows: &[(String, Attempts)],
    page: &mut Page,
) {
    let columns: Vec<Ending> = Ending::ALL
        .into_iter()
        .filter(|ending| {
            *ending == Ending::Good || rows.iter().any(|(_, seen)| seen.count(*ending) > 0)
        })
        .collect();
    let not_offered = rows.iter().any(|(_, seen)| seen.not_offered > 0);
    let mut heads = vec![first.to_owned(), "requests".to_owned()];
    heads.extend(columns.iter().map(|ending| ending.name().replace('_', " ")));
    heads.extend(not_offered.then(|| "not offered".to_owned()));
    heads.extend(["p50", "p90", "p99", "p99.9"].map(str::to_owned));
    let share = |count: u64, seen: &Attempts| match (count, seen.intended) {
        (0, _) | (_, 0) => "–".to_owned(),
        (count, intended) => words::percent(count as f64 / intended as f64),
    };
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, seen)| {
            let mut row = vec![name.clone(), words::count(seen.intended as f64)];
            row.extend(columns.iter().map(|ending| share(seen.count(*ending), seen)));
            row.extend(not_offered.then(|| share(seen.not_offered, seen)));
            let quantiles = [0.5, 0.9, 0.99, 0.999];
            row.extend(quantiles.map(|quantile| latency(seen.latency_ms(&RIGHT, quantile))));
            row
        })
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    page.table(caption, &heads, &rows);
}

/// Why requests failed, and what the generator has to say about itself.
pub(super) fn generator(course: &Course, page: &mut Page) {
    if !course.failures.is_empty() {
        let failures: Vec<String> = course
            .failures
            .iter()
            .map(|(name, count)| {
                format!("{} {}", words::count(*count as f64), name.replace('_', " "))
            })
            .collect();
        page.paragraph(&format!("Failures: {}.", failures.join(", ")));
    }
    if !course.causes.is_empty() {
        let causes: Vec<String> = course
            .causes
            .iter()
            .map(|cause| format!("{} × {}", words::count(cause.count as f64), cause.words))
            .collect();
        page.paragraph(&format!("Why there was no connection: {}.", causes.join("; ")));
    }
    if let Some(answers) = course.answers_in_words() {
        page.paragraph(&format!("Answers that were not right, by status: {answers}."));
    }
    let lag =
        |quantile| words::milliseconds(course.lag_us.value_at_quantile(quantile) as f64 / 1e3);
    page.paragraph(&format!(
        "The generator opened {} connections, {} at one time, and was late by {} (p50) and {} \
         (p99), which is part of the latencies.",
        words::count(course.connections_opened as f64),
        words::count(course.connections_peak as f64),
        lag(0.5),
        lag(0.99)
    ));
}

fn time() -> Axis {
    Axis { label: "time".to_owned(), unit: Unit::Elapsed, ..Axis::default() }
}

fn middles(course: &Course) -> impl Iterator<Item = f64> {
    let slice_s = course.slice_s;
    (0..course.slices.len()).map(move |index| (index as f64 + 0.5) * slice_s)
}

/// A single stretch need not be marked.
fn phases(course: &Course) -> Vec<Phase> {
    let stretches = if course.stretches.len() > 1 { course.stretches.as_slice() } else { &[] };
    stretches
        .iter()
        .map(|stretch| Phase {
            name: shown(&stretch.name),
            from: stretch.from_s,
            to: stretch.until_s,
        })
        .collect()
}
