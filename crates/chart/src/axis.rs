//! What the numbers along an edge of a picture mean, and how far apart they stand.

use crate::unit::Unit;

/// One axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Axis {
    /// What is measured, as a reader would say it: "latency", "requests per second".
    pub label: String,
    /// How its numbers are written.
    pub unit: Unit,
    /// How far apart they stand.
    pub spacing: Spacing,
    /// What the axis covers even where there is no data. More if the data needs it: nothing
    /// is ever outside of the picture.
    pub covers: Option<(f64, f64)>,
}

/// How far apart the numbers of an axis stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Spacing {
    /// Equal differences are equally far apart. As the vertical axis it begins at zero (or
    /// below), because a height that does not would exaggerate.
    #[default]
    Linear,
    /// Equal ratios are equally far apart; what is zero or less has no place and is a gap.
    Logarithmic,
}

/// Larger numbers, in either direction, are taken for infinite, and smaller positive ones have
/// no place on a logarithmic axis: the arithmetic of ticks needs an end, and no measurement is
/// there.
pub(crate) const MAGNITUDE_MAX: f64 = 1e15;
const LOGARITHMIC_MIN: f64 = 1e-12;

impl Axis {
    /// The number, if this axis has a place for it.
    pub(crate) fn place_for(&self, number: f64) -> Option<f64> {
        let smallest = match self.spacing {
            Spacing::Linear => -MAGNITUDE_MAX,
            Spacing::Logarithmic => LOGARITHMIC_MIN,
        };
        // NaN is in no range.
        (smallest..=MAGNITUDE_MAX).contains(&number).then_some(number)
    }
}

/// From the smallest number to the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Extent {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Extent {
    /// Covers all numbers for which the axis has a place, and nothing if there are none.
    pub(crate) fn of(axis: &Axis, numbers: impl Iterator<Item = f64>) -> Option<Self> {
        numbers.filter_map(|number| axis.place_for(number)).fold(None, |extent, number| {
            Some(match extent {
                None => Self { low: number, high: number },
                Some(Self { low, high }) => Self { low: low.min(number), high: high.max(number) },
            })
        })
    }

    /// The same, made up to half as long again in each direction for numbers that are outside.
    pub(crate) fn stretched(self, numbers: impl Iterator<Item = f64>, spacing: Spacing) -> Self {
        let most = match spacing {
            Spacing::Linear => {
                let half = (self.high - self.low) / 2.0;
                // Zero stays the ground of what is above it.
                let low = if self.low == 0.0 { 0.0 } else { self.low - half };
                Self { low, high: self.high + half }
            }
            Spacing::Logarithmic => {
                let half = (self.high / self.low).sqrt();
                Self { low: self.low / half, high: self.high * half }
            }
        };
        numbers.fold(self, |Self { low, high }, number| Self {
            low: low.min(number.max(most.low)),
            high: high.max(number.min(most.high)),
        })
    }

    /// The same with some room if it had none: one number alone needs an axis too. A millionth
    /// is the least that ticks can tell apart.
    pub(crate) fn with_room(self, spacing: Spacing) -> Self {
        let Self { low, high } = self;
        if high - low > high.abs().max(low.abs()) * 1e-6 {
            return self;
        }
        match spacing {
            Spacing::Logarithmic => Self { low: low / 2.0, high: high * 2.0 },
            Spacing::Linear if low == 0.0 => Self { low: 0.0, high: 1.0 },
            Spacing::Linear => Self { low: low - low.abs() / 2.0, high: high + high.abs() / 2.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_does_not_count() {
        let axis = Axis { spacing: Spacing::Logarithmic, ..Axis::default() };
        let numbers = [f64::NAN, f64::INFINITY, -1.0, 0.0, 3.0, 1e300, 2.0];
        assert_eq!(Extent::of(&axis, numbers.into_iter()), Some(Extent { low: 2.0, high: 3.0 }));
        assert_eq!(Extent::of(&axis, [f64::NAN].into_iter()), None);
    }

    #[test]
    fn what_is_far_outside_stretches_a_little() {
        let extent = Extent { low: 1.0, high: 100.0 };
        let stretched =
            |numbers: &[f64], spacing| extent.stretched(numbers.iter().copied(), spacing);
        assert_eq!(stretched(&[50.0], Spacing::Linear), extent);
        assert_eq!(stretched(&[110.0], Spacing::Linear), Extent { low: 1.0, high: 110.0 });
        assert_eq!(stretched(&[1e9, -1e9], Spacing::Linear), Extent { low: -48.5, high: 149.5 });
        let logarithmic = stretched(&[1e9, 1e-9], Spacing::Logarithmic);
        assert_eq!(logarithmic, Extent { low: 0.1, high: 1000.0 });
        let above_zero = Extent { low: 0.0, high: 10.0 };
        assert_eq!(above_zero.stretched([-5.0].into_iter(), Spacing::Linear), above_zero);
    }

    #[test]
    fn one_number_gets_room() {
        let alone = |number| Extent { low: number, high: number };
        let room = |number, spacing| alone(number).with_room(spacing);
        assert_eq!(room(4.0, Spacing::Linear), Extent { low: 2.0, high: 6.0 });
        assert_eq!(room(-4.0, Spacing::Linear), Extent { low: -6.0, high: -2.0 });
        assert_eq!(room(0.0, Spacing::Linear), Extent { low: 0.0, high: 1.0 });
        assert_eq!(room(4.0, Spacing::Logarithmic), Extent { low: 2.0, high: 8.0 });
    }
}
