//! The page's section about the way past the limit and back.

use tenfold_chart::{Axis, Dot, Dots, Joined, Line, Plot, Spacing, Tone, Unit};

use super::course::{generator, latency_plot, outcomes_plot};
use super::{Figure, Page, latency};
use crate::ending::Ending;
use crate::overload::PhaseReport;
use crate::report::overload::{Overload, shown};
use crate::report::words;

/// Where the limit was not searched but known before.
pub(super) fn limit_figure(overload: &Overload) -> Figure {
    Figure {
        name: "limit".to_owned(),
        value: words::count(overload.limit_per_second),
        note: "requests per second, as given".to_owned(),
    }
}

pub(super) fn figures(overload: &Overload) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(last) = overload.multiples().last() {
        figures.push(Figure {
            name: format!("goodput at {}", words::times(last.times)),
            value: words::percent(last.goodput_to_peak),
            note: format!("of its best: {} per second", words::count(last.goodput_per_second)),
        });
        if let Some(good) = last.good {
            figures.push(Figure {
                name: format!("p99 at {}", words::times(last.times)),
                value: words::milliseconds(good.p99_ms),
                note: format!(
                    "of good answers; {} alone",
                    words::milliseconds(overload.unloaded.p99_ms)
                ),
            });
        }
    }
    if overload.stopped {
        return figures;
    }
    let (value, note) = match overload.recovery.seconds {
        Some(0.0) => ("at once".to_owned(), "it was itself again"),
        Some(seconds) => (words::seconds(seconds), "until it was itself again"),
        None if overload.gone => ("none".to_owned(), "the service went away"),
        None => ("none".to_owned(), "within the time that was watched"),
    };
    figures.push(Figure { name: "recovery".to_owned(), value, note: note.to_owned() });
    figures
}

pub(super) fn section(
    overload: &Overload,
    earlier: Option<&Overload>,
    latency_ms_max: Option<f64>,
    page: &mut Page,
) {
    page.open("Past the limit");
    page.paragraph(&format!(
        "Multiples of {} were offered one after the other, and half of it after that.{}{}",
        words::requests_per_second(overload.limit_per_second),
        if overload.variants.is_empty() { "" } else { " On top of it: " },
        if overload.variants.is_empty() {
            String::new()
        } else {
            format!("{}.", overload.variants)
        }
    ));
    if overload.stopped {
        page.element("p", "warning", "The load was stopped before its end.");
    } else {
        page.paragraph(&recovery(overload));
    }
    let invalid: Vec<String> = overload
        .phases
        .iter()
        .filter(|phase| !phase.valid)
        .map(|phase| shown(&phase.name))
        .collect();
    if !invalid.is_empty() {
        let warning = format!(
            "At {} the figures are not the service's: {}.",
            invalid.join(", "),
            overload.validity
        );
        page.element("p", "warning", &warning);
    }
    page.figure(&goodput_plot(overload, earlier));
    phases(overload, page);
    page.figure(&latency_plot(&overload.course, latency_ms_max));
    page.figure(&outcomes_plot(&overload.course));
    let classes = overload.phases.first().map_or(0, |phase| phase.by_class.len());
    if classes > 1 {
        page.figure(&classes_plot(overload));
        by_class(overload, page);
    }
    page.paragraph(&format!(
        "At most {} could be open at one time.",
        words::counted(overload.connections_max as u64, "connection", "connections")
    ));
    generator(&overload.course, page);
    page.close();
}

fn recovery(overload: &Overload) -> String {
    let why = &overload.recovery.why;
    match overload.recovery.seconds {
        Some(0.0) => format!("It was itself again as soon as the last multiple was over: {why}."),
        Some(seconds) => {
            format!(
                "It was itself again {} after the last multiple: {why}.",
                words::seconds(seconds)
            )
        }
        None => format!("It did not recover while it was watched: {why}."),
    }
}

pub(super) fn goodput_plot(overload: &Overload, earlier: Option<&Overload>) -> Plot {
    let dots = |name: &str, tone, overload: &Overload| Dots {
        name: name.to_owned(),
        tone,
        joined: Joined::Yes,
        dots: overload
            .multiples()
            .iter()
            .map(|phase| Dot { x: phase.times, y: phase.goodput_to_peak, interval: None })
            .collect(),
    };
    let mut series = vec![dots("goodput", Tone::Hue1, overload)];
    series.extend(earlier.map(|earlier| dots("then", Tone::Hue2, earlier)));
    let x = times(overload);
    Plot {
        title: "Goodput past the limit".to_owned(),
        note: "Good answers per second, as a share of the most that any multiple had.".to_owned(),
        lines: vec![Line {
            name: "ideal".to_owned(),
            tone: Tone::Quiet,
            points: extremes(overload).map_or_else(Vec::new, |(low, high)| {
                vec![(low, low.min(1.0)), (low.max(1.0), 1.0), (high.max(1.0), 1.0)]
            }),
        }],
        y: Axis {
            label: "goodput ÷ peak".to_owned(),
            unit: Unit::Share,
            covers: Some((0.0, 1.0)),
            ..Axis::default()
        },
        x,
        dots: series,
        ..Plot::default()
    }
}

fn classes_plot(overload: &Overload) -> Plot {
    let tones = [Tone::Hue1, Tone::Hue2, Tone::Hue3, Tone::Hue4];
    let classes = overload.phases.first().map_or(&[] as &[_], |phase| &phase.by_class);
    let series = classes.iter().zip(tones).enumerate().map(|(index, (class, tone))| Dots {
        name: class.name.clone(),
        tone,
        joined: Joined::Yes,
        dots: overload
            .multiples()
            .iter()
            .filter_map(|phase| Some((phase.times, phase.by_class.get(index)?)))
            .map(|(x, class)| Dot { x, y: class.success_share, interval: None })
            .collect(),
    });
    let fair = (0..=40).filter_map(|step| {
        let (low, high) = extremes(overload)?;
        let times = low * (high / low).powf(f64::from(step) / 40.0);
        Some((times, (1.0 / times).min(1.0)))
    });
    Plot {
        title: "Who gets what they asked for".to_owned(),
        note: "The share of each class that was answered well, at the first attempt or a later \
               one. The line is what there is for all, when a service does its limit and no more."
            .to_owned(),
        x: times(overload),
        y: Axis {
            label: "answered well".to_owned(),
            unit: Unit::Share,
            covers: Some((0.0, 1.0)),
            ..Axis::default()
        },
        lines: vec![Line {
            name: "limit ÷ offered".to_owned(),
            tone: Tone::Quiet,
            points: fair.collect(),
        }],
        dots: series.collect(),
        ..Plot::default()
    }
}

fn times(overload: &Overload) -> Axis {
    let far = extremes(overload).is_some_and(|(low, high)| high / low > 6.0);
    Axis {
        label: "offered, in multiples of the limit".to_owned(),
        unit: Unit::Times,
        spacing: if far { Spacing::Logarithmic } else { Spacing::Linear },
        ..Axis::default()
    }
}

fn extremes(overload: &Overload) -> Option<(f64, f64)> {
    let times = || overload.multiples().iter().map(|phase| phase.times);
    Some((times().reduce(f64::min)?, times().reduce(f64::max)?))
}

fn phases(overload: &Overload, page: &mut Page) {
    let all = &overload.phases;
    let share = |count: u64, phase: &PhaseReport| match (count, phase.intended) {
        (0, _) | (_, 0) => "–".to_owned(),
        (count, intended) => words::percent(count as f64 / intended as f64),
    };
    let bad: Vec<Ending> = Ending::ALL
        .into_iter()
        .filter(|one| *one != Ending::Good && all.iter().any(|phase| phase.count(*one) > 0))
        .collect();
    let not_offered = all.iter().any(|phase| phase.not_offered > 0);
    let refused = all.iter().any(|phase| phase.refused.is_some());
    let mut heads: Vec<String> =
        ["load", "offered/s", "good/s", "÷ peak", "p50", "p90", "p99", "p99.9"]
            .map(str::to_owned)
            .to_vec();
    heads.extend(bad.iter().map(|ending| ending.name().replace('_', " ")));
    heads.extend(not_offered.then(|| "not sent".to_owned()));
    heads.extend(refused.then(|| "refused in (p50)".to_owned()));
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|phase| {
            let at = |of: fn(&crate::Latencies) -> f64| latency(phase.good.as_ref().map(of));
            let mut row = vec![
                shown(&phase.name),
                words::count(phase.offered_per_second),
                words::count(phase.goodput_per_second),
                words::percent(phase.goodput_to_peak),
                at(|good| good.p50_ms),
                at(|good| good.p90_ms),
                at(|good| good.p99_ms),
                at(|good| good.p999_ms),
            ];
            row.extend(bad.iter().map(|ending| share(phase.count(*ending), phase)));
            row.extend(not_offered.then(|| share(phase.not_offered, phase)));
            row.extend(refused.then(|| latency(phase.refused.map(|refused| refused.p50_ms))));
            row
        })
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    page.table("By multiple; latencies are those of good answers", &heads, &rows);
}

fn by_class(overload: &Overload, page: &mut Page) {
    let names = overload.phases.first().map_or(&[] as &[_], |phase| &phase.by_class);
    let heads: Vec<&str> =
        ["load"].into_iter().chain(names.iter().map(|class| class.name.as_str())).collect();
    let rows: Vec<Vec<String>> = overload
        .phases
        .iter()
        .map(|phase| {
            let shares = phase.by_class.iter().map(|class| words::percent(class.success_share));
            [shown(&phase.name)].into_iter().chain(shares).collect()
        })
        .collect();
    page.table("Answered well, by class", &heads, &rows);
}
