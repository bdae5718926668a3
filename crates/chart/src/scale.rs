//! Turns numbers into places on the picture.

use crate::axis::{Axis, Extent, Spacing};

/// One direction of the picture.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    axis: Axis,
    extent: Extent,
    from: f64,
    to: f64,
}

impl Scale {
    /// The lowest number of the extent is at `from`, its highest at `to`.
    pub(crate) fn new(axis: &Axis, extent: Extent, from: f64, to: f64) -> Self {
        Self { axis: axis.clone(), extent, from, to }
    }

    /// Where the number is, if the axis has a place for it. Never outside of the picture: what
    /// is beyond the extent is at its edge.
    pub(crate) fn place(&self, number: f64) -> Option<f64> {
        let number = self.axis.place_for(number)?;
        let spread = |number: f64| match self.axis.spacing {
            Spacing::Linear => number,
            Spacing::Logarithmic => number.ln(),
        };
        let (low, high) = (spread(self.extent.low), spread(self.extent.high));
        let part = (spread(number) - low) / (high - low);
        Some(self.from + part.clamp(0.0, 1.0) * (self.to - self.from))
    }

    /// The same for a bound, which may be infinite, or zero on a logarithmic axis: it is at the
    /// edge then. Only what is no number has no place.
    pub(crate) fn place_bound(&self, number: f64) -> Option<f64> {
        if number.is_nan() {
            return None;
        }
        self.place(number.clamp(self.extent.low, self.extent.high))
    }

    /// Where the axis begins: on a linear vertical axis, zero or what is next to it.
    pub(crate) fn ground(&self) -> f64 {
        match self.axis.spacing {
            Spacing::Linear => self.place(0.0).unwrap_or(self.from),
            Spacing::Logarithmic => self.from,
        }
    }

    /// The number in the unit of the axis.
    pub(crate) fn write(&self, number: f64) -> String {
        self.axis.unit.write(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(spacing: Spacing, low: f64, high: f64) -> Scale {
        let axis = Axis { spacing, ..Axis::default() };
        Scale::new(&axis, Extent { low, high }, 100.0, 0.0)
    }

    #[test]
    fn linear_is_even_and_ends_at_the_edge() {
        let scale = scale(Spacing::Linear, 0.0, 10.0);
        let places = [0.0, 5.0, 10.0, 11.0, -1.0].map(|number| scale.place(number).unwrap());
        assert_eq!(places, [100.0, 50.0, 0.0, 0.0, 100.0]);
        assert_eq!(scale.place(f64::NAN), None);
    }

    #[test]
    fn logarithmic_is_even_in_ratios_and_has_no_zero() {
        let scale = scale(Spacing::Logarithmic, 1.0, 100.0);
        assert!((scale.place(10.0).unwrap() - 50.0).abs() < 1e-9);
        assert_eq!(scale.place(0.0), None);
        let bounds = [0.0, f64::INFINITY, f64::NAN].map(|bound| scale.place_bound(bound));
        assert_eq!(bounds, [Some(100.0), Some(0.0), None]);
        assert_eq!(scale.ground(), 100.0);
    }

    #[test]
    fn the_ground_is_zero_where_there_is_one() {
        assert_eq!(scale(Spacing::Linear, -10.0, 10.0).ground(), 50.0);
        assert_eq!(scale(Spacing::Linear, 5.0, 10.0).ground(), 100.0);
    }
}
