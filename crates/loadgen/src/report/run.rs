//! A single load, as a report keeps it.

use crate::outcome::Outcome;
use crate::report::course::Course;

/// What came of a single load.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// What was offered, in words.
    pub load: String,
    /// How long it took until the last answer, in seconds.
    pub elapsed_s: f64,
    /// Whether it was stopped before its time.
    pub stopped: bool,
    /// Whether the generator can be believed.
    pub valid: bool,
    /// The same in words, with the reason.
    pub validity: String,
    /// The share of a core that each of the generator's threads used.
    pub cpu_share: f64,
    /// What was seen.
    pub course: Course,
}

impl RunReport {
    /// What an outcome has to tell; `load` says in words what was offered.
    pub fn of(outcome: &Outcome, load: &str) -> RunReport {
        RunReport {
            load: load.to_owned(),
            elapsed_s: outcome.elapsed.as_secs_f64(),
            stopped: outcome.stopped,
            valid: outcome.validity.is_valid(),
            validity: outcome.validity.to_string(),
            cpu_share: outcome.cpu_share,
            course: Course::of(outcome),
        }
    }
}
