//! Chooses the round numbers at which an axis is labelled.

use crate::{
    axis::{Extent, Spacing},
    unit::Unit,
};

/// The marks of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ticks {
    /// Increasing, each with its label.
    pub(crate) labelled: Vec<(f64, String)>,
    /// The 2 to 9 between the powers of ten of a logarithmic axis: lines without words, by
    /// which a reader sees that it is one.
    pub(crate) between: Vec<f64>,
    /// What the axis has to cover for the outermost round numbers to be on it.
    pub(crate) rounded: Extent,
}

/// No axis can do with fewer.
pub(crate) const COUNT_MIN: usize = 3;

/// At most `count_max` labelled ticks for what is to be covered. Three is the least that encloses
/// what is on both sides of zero.
pub(crate) fn choose(extent: Extent, spacing: Spacing, unit: Unit, count_max: usize) -> Ticks {
    let count_max = count_max.max(COUNT_MIN);
    match spacing {
        Spacing::Linear => linear(extent, unit, count_max),
        Spacing::Logarithmic => logarithmic(extent, unit, count_max),
    }
}

fn linear(extent: Extent, unit: Unit, count_max: usize) -> Ticks {
    let steps_max = (count_max - 1) as f64;
    let mut step = round_step((extent.high - extent.low) / steps_max, unit);
    // The outermost ticks may lie a step outside: with a wider step there are fewer.
    let mut outermost = whole_steps(extent, step);
    while outermost.1 - outermost.0 > steps_max {
        step = round_step(step * 1.01, unit);
        outermost = whole_steps(extent, step);
    }
    let (first, last) = outermost;
    let numbers: Vec<f64> =
        (0..=(last - first) as usize).map(|index| (first + index as f64) * step).collect();
    let labels = unit.write_ticks(&numbers, step);
    Ticks {
        labelled: numbers.into_iter().zip(labels).collect(),
        between: Vec::new(),
        rounded: Extent { low: first * step, high: last * step },
    }
}

/// The numbers of the first and the last step that enclose the extent, forgiving the last bit.
fn whole_steps(extent: Extent, step: f64) -> (f64, f64) {
    let first = (extent.low / step + 1e-6).floor();
    let last = (extent.high / step - 1e-6).ceil();
    (first, last.max(first + 1.0))
}

/// The next larger step that people count in: 1, 2, 5 and their tens, and for a clock what
/// divides minutes and hours.
fn round_step(step_min: f64, unit: Unit) -> f64 {
    const CLOCK: [f64; 17] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
        10_800.0, 21_600.0, 43_200.0,
    ];
    let almost = step_min * (1.0 - 1e-9);
    if unit == Unit::Elapsed && almost > 0.5 {
        if let Some(step) = CLOCK.into_iter().find(|&step| step >= almost) {
            return step;
        }
        return 86_400.0 * round_step(step_min / 86_400.0, Unit::Count);
    }
    let power = 10_f64.powf(almost.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|&step| step >= almost)
        .unwrap_or(10.0 * power)
}

fn logarithmic(extent: Extent, unit: Unit, count_max: usize) -> Ticks {
    // A measure of how many decades go from one label to the next; zero stands for 1-2-5.
    let decades = (extent.high / extent.low).log10().ceil() as i32 + 1;
    let (numbers, decades_apart) = (0..=decades)
        .map(|apart| (round_numbers(extent, apart), apart))
        .find(|(numbers, _)| numbers.len() <= count_max)
        .unwrap_or_else(|| (vec![extent.low, extent.high], decades));
    let rounded = Extent {
        low: numbers[0].min(extent.low),
        high: numbers[numbers.len() - 1].max(extent.high),
    };
    let between = match decades_apart {
        0 | 1 => between_decades(rounded, &numbers),
        _ => Vec::new(),
    };
    let labelled = numbers.into_iter().map(|number| (number, unit.write(number))).collect();
    Ticks { labelled, between, rounded }
}

/// Enclosing the extent: 1-2-5 of each decade, or one power of ten every so many decades.
fn round_numbers(extent: Extent, decades_apart: i32) -> Vec<f64> {
    let factors: &[f64] = if decades_apart == 0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let apart = decades_apart.max(1);
    let first = (extent.low.log10().floor() as i32).div_euclid(apart) * apart;
    let last = extent.high.log10().ceil() as i32 + apart;
    let candidates: Vec<f64> = (first..=last)
        .step_by(apart as usize)
        .flat_map(|power| factors.iter().map(move |factor| factor * 10_f64.powi(power)))
        .collect();
    let from = candidates.iter().rposition(|&number| number <= extent.low * (1.0 + 1e-9));
    let to = candidates.iter().position(|&number| number >= extent.high * (1.0 - 1e-9));
    candidates[from.unwrap_or(0)..=to.unwrap_or(candidates.len() - 1)].to_vec()
}

fn between_decades(rounded: Extent, labelled: &[f64]) -> Vec<f64> {
    let first = rounded.low.log10().floor() as i32;
    let last = rounded.high.log10().ceil() as i32;
    let same = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
    (first..=last)
        .flat_map(|power| (2..10).map(move |factor| f64::from(factor) * 10_f64.powi(power)))
        .filter(|&number| rounded.low < number && number < rounded.high)
        .filter(|&number| !labelled.iter().any(|&other| same(number, other)))
        .collect()
}

#[cfg(test)]
mod tests;
