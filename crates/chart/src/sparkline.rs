//! A chart for a terminal: one line of text.

/// What a sparkline is made of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// ▁▂▃▄▅▆▇█, for terminals that show Unicode.
    #[default]
    Blocks,
    /// `_.-=+*#@`, for all others.
    Ascii,
}

/// A line of at most `width_max` characters, each as high as its value is between zero and the
/// largest.
///
/// Of more values than characters, each character shows the largest of its share, so
/// that a spike is never lost. What is not finite is a space; what is below zero is as low as
/// zero.
///
/// ```
/// use tenfold_chart::{Glyphs, sparkline};
///
/// assert_eq!(sparkline(&[0.0, 1.0, 4.0, f64::NAN, 8.0], 40, Glyphs::Blocks), "▁▂▅ █");
/// assert_eq!(sparkline(&[0.0, 0.0, 9.0, 0.0, 0.0, 1.0], 3, Glyphs::Ascii), "_@.");
/// ```
pub fn sparkline(values: &[f64], width_max: usize, glyphs: Glyphs) -> String {
    let width = values.len().min(width_max);
    let columns: Vec<f64> =
        (0..width).map(|column| largest(share(values, column, width))).collect();
    let highest = largest(&columns);
    let glyphs = match glyphs {
        Glyphs::Blocks => ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        Glyphs::Ascii => ['_', '.', '-', '=', '+', '*', '#', '@'],
    };
    let glyph = |value: f64| match value {
        _ if value.is_nan() => ' ',
        _ if value <= 0.0 => glyphs[0],
        // Halves are rounded up, so that what is more than nothing is seldom shown as nothing.
        _ => glyphs[(value / highest * 7.0).round().clamp(0.0, 7.0) as usize],
    };
    columns.into_iter().map(glyph).collect()
}

/// The values that fall to a column: each to one, none left out.
fn share(values: &[f64], column: usize, width: usize) -> &[f64] {
    let edge = |column: usize| (column as u128 * values.len() as u128 / width as u128) as usize;
    &values[edge(column)..edge(column + 1)]
}

/// NaN if none is finite.
fn largest(values: &[f64]) -> f64 {
    values.iter().copied().filter(|value| value.is_finite()).fold(f64::NAN, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(sparkline(&[], 40, Glyphs::Blocks), "");
        assert_eq!(sparkline(&[1.0], 0, Glyphs::Blocks), "");
        assert_eq!(sparkline(&[f64::NAN, f64::INFINITY], 40, Glyphs::Blocks), "  ");
    }

    #[test]
    fn what_does_not_change_is_flat() {
        assert_eq!(sparkline(&[0.0, 0.0], 40, Glyphs::Blocks), "▁▁");
        assert_eq!(sparkline(&[5.0, 5.0], 40, Glyphs::Blocks), "██");
        assert_eq!(sparkline(&[-5.0, 5.0], 40, Glyphs::Ascii), "_@");
    }

    proptest! {
        #[test]
        fn never_too_wide_and_the_highest_is_always_there(
            values in prop::collection::vec(any::<f64>(), 0..300),
            width_max in 0_usize..100,
        ) {
            let line = sparkline(&values, width_max, Glyphs::Ascii);
            prop_assert_eq!(line.len(), values.len().min(width_max));
            if width_max > 0 && values.iter().any(|&value| value.is_finite() && value > 0.0) {
                prop_assert!(line.contains('@'));
            }
        }
    }
}
