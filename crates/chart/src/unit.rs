//! How numbers are written, so that 0.000012 reads as 12 µs and 12000 as 12k.

use crate::axis::MAGNITUDE_MAX;

/// What a number counts, which decides how it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unit {
    /// Things, or things per second: 950, 12k, 1.5M.
    #[default]
    Count,
    /// Seconds that something took: 120 µs, 15 ms, 2 s.
    Duration,
    /// Seconds since a beginning: 30 s, 1:30, 5 min, 2 h.
    Elapsed,
    /// A part of one: 0.95 is written as 95 %.
    Share,
    /// A multiple of something: 10×.
    Times,
}

/// What a number is divided by before it is written, and what is written behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shown {
    divisor: f64,
    suffix: &'static str,
}

impl Unit {
    /// A number that stands alone, in three digits: 12.3 ms.
    pub(crate) fn write(self, number: f64) -> String {
        if number.is_nan() || number.abs() > MAGNITUDE_MAX {
            return "unknown".to_owned();
        }
        let shown = self.shown(number.abs());
        let scaled = number / shown.divisor;
        let digits_before = if scaled == 0.0 { 1.0 } else { scaled.abs().log10().floor() + 1.0 };
        let rounded = decimal(scaled, (3.0 - digits_before).clamp(0.0, 3.0) as usize);
        let trimmed = match rounded.contains('.') {
            true => rounded.trim_end_matches('0').trim_end_matches('.'),
            false => &rounded,
        };
        format!("{trimmed}{}", shown.suffix)
    }

    /// The labels of ticks that are `step` apart: one suffix and one number of digits for all.
    pub(crate) fn write_ticks(self, ticks: &[f64], step: f64) -> Vec<String> {
        let largest = ticks.iter().fold(0.0, |largest: f64, tick| largest.max(tick.abs()));
        let shown = match self {
            Self::Elapsed if largest >= 120.0 && step % 60.0 != 0.0 => {
                return ticks.iter().map(|&tick| minutes_and_seconds(tick)).collect();
            }
            Self::Elapsed if step % 3600.0 == 0.0 => Shown { divisor: 3600.0, suffix: " h" },
            Self::Elapsed if step % 60.0 == 0.0 => Shown { divisor: 60.0, suffix: " min" },
            Self::Elapsed => Shown { divisor: 1.0, suffix: " s" },
            _ => self.shown(largest),
        };
        let decimals = (-(step / shown.divisor).log10() - 1e-9).ceil().clamp(0.0, 6.0) as usize;
        let write = |&tick| match decimal(tick / shown.divisor, decimals) {
            _ if tick == 0.0 && !matches!(self, Self::Elapsed) => "0".to_owned(),
            number => format!("{number}{}", shown.suffix),
        };
        ticks.iter().map(write).collect()
    }

    /// How numbers up to this one are shown.
    fn shown(self, largest: f64) -> Shown {
        let (divisor, suffix) = match self {
            Self::Count if largest >= 1e13 => (1e12, "T"),
            Self::Count if largest >= 1e9 => (1e9, "G"),
            Self::Count if largest >= 1e6 => (1e6, "M"),
            // Four digits read as easily as one and a letter.
            Self::Count if largest >= 1e4 => (1e3, "k"),
            Self::Count => (1.0, ""),
            // 999.6 µs would be rounded to 1000 µs.
            Self::Duration if largest == 0.0 || largest >= 0.9995 => (1.0, " s"),
            Self::Duration if largest >= 0.000_999_5 => (1e-3, " ms"),
            Self::Duration if largest >= 0.000_000_999_5 => (1e-6, " µs"),
            Self::Duration => (1e-9, " ns"),
            Self::Elapsed if largest >= 7200.0 => (3600.0, " h"),
            Self::Elapsed if largest >= 120.0 => (60.0, " min"),
            Self::Elapsed => (1.0, " s"),
            Self::Share => (0.01, " %"),
            Self::Times => (1.0, "×"),
        };
        Shown { divisor, suffix }
    }
}

fn minutes_and_seconds(number: f64) -> String {
    let seconds = number.abs().round();
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{:.0}:{:02.0}", (seconds / 60.0).floor(), seconds % 60.0)
}

/// Never "-0".
fn decimal(number: f64, decimals: usize) -> String {
    let written = format!("{number:.decimals$}");
    let is_zero = written.chars().all(|character| matches!(character, '-' | '0' | '.'));
    if is_zero { written.trim_start_matches('-').to_owned() } else { written }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_in_three_digits() {
        let cases = [
            (Unit::Count, 0.0, "0"),
            (Unit::Count, 950.4, "950"),
            (Unit::Count, 9500.0, "9500"),
            (Unit::Count, 12_345.0, "12.3k"),
            (Unit::Count, 2_000_000.0, "2M"),
            (Unit::Count, -0.0001, "0"),
            (Unit::Duration, 0.000_012_34, "12.3 µs"),
            (Unit::Duration, 0.0152, "15.2 ms"),
            (Unit::Duration, 0.999_6, "1 s"),
            (Unit::Duration, 100.0, "100 s"),
            (Unit::Elapsed, 61.0, "61 s"),
            (Unit::Elapsed, 150.0, "2.5 min"),
            (Unit::Elapsed, 9000.0, "2.5 h"),
            (Unit::Share, 0.954, "95.4 %"),
            (Unit::Times, 10.0, "10×"),
            (Unit::Count, f64::NAN, "unknown"),
        ];
        for (unit, number, written) in cases {
            assert_eq!(unit.write(number), written, "{unit:?} {number}");
        }
    }

    #[test]
    fn ticks_share_suffix_and_digits() {
        let cases: [(Unit, &[f64], f64, &[&str]); 8] = [
            (Unit::Count, &[0.0, 5e3, 1e4], 5e3, &["0", "5k", "10k"]),
            (Unit::Count, &[0.0, 0.5, 1.0], 0.5, &["0", "0.5", "1.0"]),
            (Unit::Duration, &[0.0, 0.02, 0.04], 0.02, &["0", "20 ms", "40 ms"]),
            (Unit::Elapsed, &[0.0, 20.0, 40.0], 20.0, &["0 s", "20 s", "40 s"]),
            (Unit::Elapsed, &[0.0, 90.0, 180.0], 90.0, &["0:00", "1:30", "3:00"]),
            (Unit::Elapsed, &[0.0, 120.0], 120.0, &["0 min", "2 min"]),
            (Unit::Share, &[0.0, 0.25, 0.5], 0.25, &["0", "25 %", "50 %"]),
            (Unit::Times, &[1.0, 1.5], 0.5, &["1.0×", "1.5×"]),
        ];
        for (unit, ticks, step, written) in cases {
            assert_eq!(unit.write_ticks(ticks, step), written, "{unit:?} {ticks:?}");
        }
    }
}
