//! Pictures of a load's course: latencies and outcomes, second by second.

use hdrhistogram::Histogram;
use tenfold_chart::{Axis, Layer, Line, Phase, Plot, Rule, Spacing, Stack, Tone, Unit};

use super::{Page, latency};
use crate::ending::Ending;
use crate::report::course::{Attempts, Course, Stretch};
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
    page.paragraph(&format!(
        "The generator opened {}, {} at one time, and was late by {} (p50) and {} (p99), which is \
         part of the latencies.",
        words::counted(course.connections_opened, "connection", "connections"),
        words::count(course.connections_peak as f64),
        waited(&course.lag_us, 0.5),
        waited(&course.lag_us, 0.99)
    ));
    // Reports from before it was kept per phase have none of it.
    if course.stretches.len() > 1 && course.stretches.iter().any(|one| one.lag_us.is_some()) {
        by_phase(course, page);
    }
    for stretch in &course.stretches {
        for shortfall in &stretch.shortfalls {
            let phase = match course.stretches.len() {
                1 => String::new(),
                _ => format!(" in {}", shown(&stretch.name)),
            };
            page.paragraph(&format!("What it lacked{phase}: {shortfall}."));
        }
    }
}

/// How late the generator was in each phase, and what it did not send, or sent in vain.
fn by_phase(course: &Course, page: &mut Page) {
    let mut reasons: Vec<&str> = Vec::new();
    for (reason, _) in course.stretches.iter().flat_map(|stretch| &stretch.not_offered) {
        if !reasons.contains(&reason.as_str()) {
            reasons.push(reason);
        }
    }
    let totals: Vec<Attempts> = course.stretches.iter().map(Stretch::total).collect();
    let is_spoilt = totals.iter().any(|total| total.spoilt > 0);
    let mut heads: Vec<String> =
        ["phase", "late, p50", "late, p99", "waited for a connection, p99"]
            .map(str::to_owned)
            .to_vec();
    heads.extend(reasons.iter().map(|reason| format!("not sent: {}", reason.replace('_', " "))));
    heads.extend(is_spoilt.then(|| "sent in vain".to_owned()));
    let count = |count: u64| match count {
        0 => "–".to_owned(),
        count => words::count(count as f64),
    };
    let rows = course.stretches.iter().zip(&totals).map(|(stretch, total)| {
        let at = |histogram: &Option<Histogram<u64>>, quantile| match histogram {
            Some(histogram) if !histogram.is_empty() => waited(histogram, quantile),
            _ => "–".to_owned(),
        };
        let of = |reason: &str| {
            let counts = stretch.not_offered.iter().filter(|(one, _)| one == reason);
            counts.map(|(_, count)| count).sum()
        };
        let mut row = vec![
            shown(&stretch.name),
            at(&stretch.lag_us, 0.5),
            at(&stretch.lag_us, 0.99),
            at(&stretch.connection_wait_us, 0.99),
        ];
        row.extend(reasons.iter().map(|reason| count(of(reason))));
        row.extend(is_spoilt.then(|| count(total.spoilt)));
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    page.table("The generator, by phase", &heads, &rows);
}

fn waited(histogram_us: &Histogram<u64>, quantile: f64) -> String {
    words::milliseconds(histogram_us.value_at_quantile(quantile) as f64 / 1e3)
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
