//! What is asked, by whom, and what is a good answer: the contents of a scenario file.

use std::path::Path;
use std::time::Duration;

use http::Method;

mod behaviour;
mod bounded;
mod error;
mod fields;
mod headers;
mod k6;
mod read;
mod sample;
mod status;
mod target;
mod text;
mod zipf;

pub use behaviour::{Behaviour, Protocol, Retries, Share, SlowReaders};
pub use bounded::read_text;
pub use error::{ScenarioError, ScenarioErrors};
pub use k6::{k6_losses, k6_script};
pub use sample::template;
pub use target::{Target, TargetError};
pub use text::Text;

pub(crate) use bounded::read_bytes;
pub(crate) use text::{Escape, Values};

/// The most bytes of a scenario file: thousands of requests fit in a hundredth of it.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// A whole scenario. Made from a file with [`Scenario::parse`] or [`Scenario::load`], or for one
/// address with [`Scenario::get`]; its fields may be changed after that.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The service.
    pub target: Target,
    /// What is asked of it, at least one. Weights are relative to their sum.
    pub requests: Vec<Request>,
    /// The names of the classes by which results are told apart, in the order of their first
    /// request.
    pub classes: Vec<String>,
    /// The names of values that are captured from answers.
    pub captured: Vec<String>,
    /// How the clients behave.
    pub behaviour: Behaviour,
    /// What fails a run.
    pub thresholds: Thresholds,
}

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its name.
    pub name: String,
    /// Its class, by its place in [`Scenario::classes`].
    pub class: usize,
    /// How often it is chosen, relative to the others.
    pub weight: f64,
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: Text,
    /// Headers, beside `host` and `content-length`.
    pub headers: Vec<(String, Text)>,
    /// What is sent; nothing when empty.
    pub body: Text,
    /// What later requests use of its answers.
    pub captures: Vec<Capture>,
    /// Which answers are good.
    pub good: Good,
}

/// A value that is taken from JSON answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Its name, by its place in [`Scenario::captured`].
    pub name: usize,
    /// Where it stands in the answer: a JSON pointer, such as `/items/0/id`.
    pub pointer: String,
}

/// What makes an answer good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Good {
    /// Statuses that are right.
    pub statuses: Vec<Statuses>,
    /// The longest latency, from the intended moment, that is in time.
    pub latency_max: Duration,
    /// A text that a right body contains. Costs a look at every body.
    pub body_contains: Option<String>,
}

/// One status, or a hundred of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// Exactly this.
    One(u16),
    /// All that begin with this digit: `2xx`.
    Hundred(u16),
}

/// What fails a run that is otherwise valid. Whatever is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    /// For all requests together.
    pub all: Threshold,
    /// For single classes, by their place in [`Scenario::classes`].
    pub classes: Vec<(usize, Threshold)>,
}

/// Limits for the requests of one class, or for all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Threshold {
    /// The least share of intended requests that end well, between 0 and 1.
    pub good_share_min: Option<f64>,
    /// The largest median latency of right answers.
    pub p50_max: Option<Duration>,
    /// The largest latency of 99 of 100 right answers.
    pub p99_max: Option<Duration>,
}

impl Default for Good {
    fn default() -> Good {
        Good {
            statuses: vec![Statuses::Hundred(2)],
            latency_max: Duration::from_millis(500),
            body_contains: None,
        }
    }
}

impl Good {
    pub(crate) fn takes(&self, status: u16) -> bool {
        self.statuses.iter().any(|statuses| match statuses {
            Statuses::One(one) => *one == status,
            Statuses::Hundred(hundred) => status / 100 == *hundred,
        })
    }
}

impl Scenario {
    /// Reads a scenario. Files that it names are looked for in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line and what would be right.
    pub fn parse(text: &str, folder: &Path) -> Result<Scenario, ScenarioErrors> {
        read::scenario(text, folder)
    }

    /// Reads a scenario file; the files that it names lie beside it.
    ///
    /// # Errors
    /// When it cannot be read, or has more than 16 MiB, and everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Scenario, ScenarioErrors> {
        Scenario::load_with_text(path).map(|(scenario, _)| scenario)
    }

    /// The same, and the text of the file, which is read once: it may be a pipe.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_with_text(path: &Path) -> Result<(Scenario, String), ScenarioErrors> {
        let text = read_text(path, FILE_BYTES_MAX)
            .map_err(|error| ScenarioErrors::whole(format!("cannot be read: {error}")))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        read::scenario(&text, folder).map(|scenario| (scenario, text))
    }

    /// GET one address, again and again, as well-behaved clients would.
    ///
    /// # Errors
    /// When the address is none.
    pub fn get(url: &str) -> Result<Scenario, TargetError> {
        let (target, path) = Target::parse(url)?;
        let request = Request {
            name: "get".to_owned(),
            class: 0,
            weight: 1.0,
            method: Method::GET,
            path: Text::literal(&path),
            headers: Vec::new(),
            body: Text::default(),
            captures: Vec::new(),
            good: Good::default(),
        };
        Ok(Scenario {
            target,
            requests: vec![request],
            classes: vec!["all".to_owned()],
            captured: Vec::new(),
            behaviour: Behaviour::default(),
            thresholds: Thresholds::default(),
        })
    }
}

#[cfg(test)]
mod tests;
