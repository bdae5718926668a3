//! Says in words what a picture shows, for those who do not see it.

use crate::{Axis, Dots, Line, Plot, Spacing, Stack, plot::Shown};

/// Of a series of measurements so many are read aloud one by one; of more, the shape.
const DOTS_TOLD_MAX: usize = 12;

pub(crate) fn describe(plot: &Plot, shown: &Shown<'_>, has_data: bool) -> String {
    let mut sentences = Vec::new();
    let note = plot.note.trim();
    if !note.is_empty() {
        sentences.push(note.trim_end_matches('.').to_owned());
    }
    if !has_data {
        sentences.push("There is no data".to_owned());
        return join(&sentences);
    }
    sentences.push(format!("Across: {}. Up: {}", axis(shown.x), axis(&shown.y)));
    sentences
        .extend(shown.dots.iter().filter(|dots| !dots.name.is_empty()).map(|it| dots(it, shown)));
    sentences
        .extend(shown.lines.iter().filter(|line| !line.name.is_empty()).map(|it| line(it, shown)));
    sentences.extend(stack(shown.stack));
    for (rules, axis) in [(shown.thresholds, &shown.y), (shown.marks, shown.x)] {
        sentences.extend(
            rules
                .iter()
                .map(|rule| format!("Marked at {}: {}", axis.unit.write(rule.at), rule.name)),
        );
    }
    if !shown.phases.is_empty() {
        let write = |number| shown.x.unit.write(number);
        let phases: Vec<String> = shown
            .phases
            .iter()
            .map(|phase| {
                format!("{} from {} to {}", phase.name, write(phase.from), write(phase.to))
            })
            .collect();
        sentences.push(format!("Phases: {}", phases.join(", ")));
    }
    join(&sentences)
}

fn join(sentences: &[String]) -> String {
    format!("{}.", sentences.join(". "))
}

fn axis(axis: &Axis) -> String {
    let label = if axis.label.is_empty() { "a number" } else { &axis.label };
    let spacing = if axis.spacing == Spacing::Logarithmic { ", logarithmic" } else { "" };
    format!("{label}{spacing}")
}

fn dots(dots: &Dots, shown: &Shown<'_>) -> String {
    if dots.dots.len() > DOTS_TOLD_MAX {
        let points: Vec<(f64, f64)> = dots.dots.iter().map(|dot| (dot.x, dot.y)).collect();
        return shape(&dots.name, &points, shown);
    }
    let told: Vec<String> = dots
        .dots
        .iter()
        .filter(|dot| has_place(shown, dot.x, dot.y))
        .map(|dot| {
            let (x, y) = (shown.x.unit.write(dot.x), shown.y.unit.write(dot.y));
            match dot.interval.map(|(low, high)| [low, high].map(|it| shown.y.unit.write(it))) {
                Some([low, high]) => format!("{y} ({low} to {high}) at {x}"),
                None => format!("{y} at {x}"),
            }
        })
        .collect();
    let told = if told.is_empty() { "no data".to_owned() } else { told.join(", ") };
    format!("{}: {told}", dots.name)
}

fn line(line: &Line, shown: &Shown<'_>) -> String {
    shape(&line.name, &line.points, shown)
}

/// From where to where, and how low and high in between.
fn shape(name: &str, points: &[(f64, f64)], shown: &Shown<'_>) -> String {
    let placed = || points.iter().copied().filter(|&(x, y)| has_place(shown, x, y));
    let (Some(first), Some(last), Some(lowest), Some(highest)) = (
        placed().min_by(|one, other| one.0.total_cmp(&other.0)),
        placed().max_by(|one, other| one.0.total_cmp(&other.0)),
        placed().min_by(|one, other| one.1.total_cmp(&other.1)),
        placed().max_by(|one, other| one.1.total_cmp(&other.1)),
    ) else {
        return format!("{name}: no data");
    };
    let at = |(x, y): (f64, f64)| format!("{} at {}", shown.y.unit.write(y), shown.x.unit.write(x));
    format!(
        "{name}: from {} to {}, lowest {}, highest {}",
        at(first),
        at(last),
        at(lowest),
        at(highest)
    )
}

fn has_place(shown: &Shown<'_>, x: f64, y: f64) -> bool {
    shown.x.place_for(x).is_some() && shown.y.place_for(y).is_some()
}

/// What part of all each layer is.
fn stack(stack: &Stack) -> Option<String> {
    let total = |amounts: &[f64]| -> f64 {
        let told = amounts.iter().take(stack.at.len()).copied();
        told.filter(|amount| amount.is_finite()).map(|amount| amount.max(0.0)).sum()
    };
    let all: f64 = stack.layers.iter().map(|layer| total(&layer.amounts)).sum();
    if all == 0.0 {
        return None;
    }
    let parts: Vec<String> = stack
        .layers
        .iter()
        .filter(|layer| !layer.name.is_empty())
        .map(|layer| {
            let part = crate::Unit::Share.write(total(&layer.amounts) / all);
            format!("{part} {}", layer.name)
        })
        .collect();
    (!parts.is_empty()).then(|| format!("Of all: {}", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Dot, Layer, Phase, Rule, Size, Unit};

    fn check(plot: &Plot, words: &str) {
        let svg = plot.svg(Size::WIDE);
        let found = svg.split("<desc>").nth(1).and_then(|rest| rest.split("</desc>").next());
        assert_eq!(found, Some(words));
    }

    #[test]
    fn a_line_is_told_by_its_ends_and_extremes() {
        let plot = Plot {
            note: "The stall shows.".into(),
            x: Axis { label: "time".into(), unit: Unit::Elapsed, ..Axis::default() },
            y: Axis {
                label: "latency".into(),
                unit: Unit::Duration,
                spacing: Spacing::Logarithmic,
                ..Axis::default()
            },
            lines: vec![
                Line {
                    name: "p99".into(),
                    points: vec![(0.0, 0.004), (1.0, 0.5), (2.0, f64::NAN), (3.0, 0.003)],
                    ..Line::default()
                },
                Line { name: "p50".into(), ..Line::default() },
            ],
            phases: vec![Phase { name: "1×".into(), from: 0.0, to: 3.0 }],
            thresholds: vec![Rule { name: "promise".into(), at: 0.05 }],
            ..Plot::default()
        };
        check(
            &plot,
            "The stall shows. Across: time. Up: latency, logarithmic. p99: from 4 ms at 0 s to \
             3 ms at 3 s, lowest 3 ms at 3 s, highest 500 ms at 1 s. p50: no data. Marked at \
             50 ms: promise. Phases: 1× from 0 s to 3 s.",
        );
    }

    #[test]
    fn measurements_are_told_one_by_one() {
        let dot = |x, y, interval| Dot { x, y, interval };
        let plot = Plot {
            x: Axis { label: "offered".into(), unit: Unit::Times, ..Axis::default() },
            y: Axis { label: "goodput".into(), unit: Unit::Share, ..Axis::default() },
            dots: vec![Dots {
                name: "this".into(),
                dots: vec![dot(1.0, 1.0, None), dot(10.0, 0.5, Some((0.4, 0.6)))],
                ..Dots::default()
            }],
            ..Plot::default()
        };
        check(
            &plot,
            "Across: offered. Up: goodput. this: 100 % at 1×, 50 % (40 % to 60 %) at 10×.",
        );
    }

    #[test]
    fn a_stack_is_told_by_its_parts() {
        let layer = |name: &str, amounts: &[f64]| Layer {
            name: name.into(),
            amounts: amounts.into(),
            ..Layer::default()
        };
        let stack = Stack {
            at: vec![0.0, 1.0],
            layers: vec![layer("good", &[90.0, 60.0]), layer("refused", &[f64::NAN, 50.0])],
        };
        let plot = Plot { stack, ..Plot::default() };
        check(&plot, "Across: a number. Up: a number. Of all: 75 % good, 25 % refused.");
    }

    #[test]
    fn nothing_is_told_as_nothing() {
        check(&Plot::default(), "There is no data.");
    }
}
