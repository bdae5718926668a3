//! Figures of the way past the limit that are worth comparing.

use super::{Figure, Unit, of_requests};
use crate::report::overload::{Overload, shown};

/// Recovery is seen to the second; one more or less is chance, and so is the second beside it.
const RECOVERY_SPREAD_MS: f64 = 1000.0;

/// The peak that goodput is compared with moves as well.
const PEAK_SPREAD: f64 = 0.05;

pub(super) fn figures(overload: &Overload) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (phase, stretch) in overload.phases.iter().zip(&overload.course.stretches) {
        let prefix = format!("{}: ", shown(&phase.name));
        figures.push(Figure::around(
            format!("{prefix}goodput ÷ peak"),
            Unit::Share,
            phase.goodput_to_peak,
            PEAK_SPREAD,
        ));
        let seen = stretch.total();
        let course = &overload.course;
        figures.extend(of_requests(&prefix, &seen, course, stretch.from_s, stretch.until_s));
    }
    let seconds = overload.recovery.seconds.unwrap_or(f64::INFINITY);
    figures.push(Figure::around(
        "recovery".to_owned(),
        Unit::Milliseconds,
        seconds * 1e3,
        RECOVERY_SPREAD_MS,
    ));
    figures
}
