//! The way past the limit and back, as a report keeps it.

use crate::overload::{OverloadReport, PhaseReport, Recovery, multiples};
use crate::report::course::Course;
use crate::settle::Unloaded;

/// So many times its limit is more than a limit that was measured with care can be wrong.
const RISING_TIMES: f64 = 1.2;

/// What became of a service past its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Overload {
    /// The limit that was multiplied, in requests per second.
    pub limit_per_second: f64,
    /// What else was done to the service, in words; empty if nothing.
    pub variants: String,
    /// How quick the service was when one client asked alone.
    pub unloaded: Unloaded,
    /// The multiples in their order, and after them the rest.
    pub phases: Vec<PhaseReport>,
    /// Whether it came back, and when.
    pub recovery: Recovery,
    /// The most connections that the generator could open.
    pub connections_max: usize,
    /// Whether it was not there any more at the end.
    pub gone: bool,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Whether the generator can be believed, in words; see also [`PhaseReport::valid`].
    pub validity: String,
    /// What was seen, second by second.
    pub course: Course,
}

impl Overload {
    /// What there is to keep of it; `variants` says in words what else was done to the service.
    pub fn of(report: &OverloadReport, variants: &str) -> Overload {
        Overload {
            limit_per_second: report.limit_per_second,
            variants: variants.to_owned(),
            unloaded: report.unloaded.clone(),
            phases: report.phases.clone(),
            recovery: report.recovery.clone(),
            connections_max: report.connections_max,
            gone: report.gone,
            stopped: report.stopped,
            validity: report.outcome.validity.to_string(),
            course: Course::of(&report.outcome),
        }
    }

    /// The multiples of the limit, without the rest after them.
    pub fn multiples(&self) -> &[PhaseReport] {
        multiples(&self.phases)
    }

    /// The multiple beyond the limit at which the least of the best goodput is left, among those
    /// where the generator kept up; the first of several.
    pub fn worst(&self) -> Option<&PhaseReport> {
        let beyond = self.multiples().iter().filter(|phase| phase.times > 1.0 && phase.valid);
        beyond.min_by(|one, other| one.goodput_to_peak.total_cmp(&other.goodput_to_peak))
    }

    /// A multiple beyond the limit at which it did clearly more than the limit: then that was none.
    pub fn rising(&self) -> Option<&PhaseReport> {
        let more = RISING_TIMES * self.limit_per_second;
        let beyond = self.multiples().iter().filter(|phase| phase.times > 1.0 && phase.valid);
        let best =
            beyond.max_by(|one, other| one.goodput_per_second.total_cmp(&other.goodput_per_second));
        best.filter(|phase| phase.goodput_per_second > more)
    }

    /// Whether the generator kept up at every multiple.
    pub fn is_valid(&self) -> bool {
        self.multiples().iter().all(|phase| phase.valid)
    }
}

/// The name of a phase as it is shown: `10×`, `after`.
pub(crate) fn shown(name: &str) -> String {
    match name.strip_suffix('x') {
        Some(times) if times.parse::<f64>().is_ok() => format!("{times}×"),
        _ => name.to_owned(),
    }
}
