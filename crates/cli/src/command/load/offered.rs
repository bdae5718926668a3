//! Which load is offered: the flags that `run` and `export-k6` have in common.

use std::path::PathBuf;
use std::time::Duration;

use tenfold_config::duration::{self, show};
use tenfold_loadgen::scenario::read_text;
use tenfold_loadgen::{Load, Schedule};

use super::{Problem, length, offered_rate, requests_per_second};

#[derive(Debug, clap::Args)]
pub(super) struct LoadArguments {
    /// Requests per second
    #[arg(long, value_name = "RATE", default_value = "100", value_parser = offered_rate)]
    rate: f64,
    /// How long, or how long each step
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = length, allow_hyphen_values = true)]
    duration: Duration,
    /// Begins with this rate and rises, or falls, to --rate
    #[arg(long, value_name = "RATE", value_parser = offered_rate)]
    ramp_from: Option<f64>,
    /// Rates that are held one after the other
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = offered_rate, allow_hyphen_values = true,
          conflicts_with_all = ["rate", "ramp_from"])]
    steps: Vec<f64>,
    /// A recorded load: lines of second,rate
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "ramp_from", "steps", "duration"])]
    trace: Option<PathBuf>,
    /// A closed model instead: so many users, each of whom waits for an answer before the next
    /// request, which hides how a service stalls
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "ramp_from", "steps", "trace"],
          value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// How long a user thinks between two requests
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "users",
          value_parser = think, allow_hyphen_values = true)]
    think: Duration,
}

/// A load with all that there is to say of it.
pub(super) struct Offered {
    pub(super) load: Load,
    /// What it is.
    pub(super) words: String,
    /// Its parts, if it has some.
    pub(super) phases: Vec<(String, Duration)>,
}

/// No time at all is a way to think as well.
fn think(text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        _ if text == "0" => Ok(Duration::ZERO),
        Some(none) if none.is_zero() => Ok(none),
        _ => length(text),
    }
}

/// A line for each second of a month, and more.
const TRACE_BYTES_MAX: u64 = 64 << 20;

impl LoadArguments {
    pub(super) fn read(&self) -> Result<Offered, Problem> {
        let duration = show(self.duration);
        let mut phases = Vec::new();
        let (load, words) = if let Some(users) = self.users {
            let who = match (users, self.think.is_zero()) {
                (1, true) => "user who never pauses,".to_owned(),
                (_, true) => "users who never pause,".to_owned(),
                (1, false) => format!("user who thinks for {}", show(self.think)),
                (_, false) => format!("users who think for {}", show(self.think)),
            };
            let words = format!("{users} {who} for {duration}");
            (self.closed(users), words)
        } else if let Some(file) = &self.trace {
            let wrong = |problem: &dyn std::fmt::Display| {
                Problem::Usage(format!("{}: {problem}", file.display()))
            };
            let text = read_text(file, TRACE_BYTES_MAX).map_err(|error| wrong(&error))?;
            let schedule = Schedule::trace(&text).map_err(|errors| wrong(&errors))?;
            (Load::Open(schedule), format!("the load of {}", file.display()))
        } else if !self.steps.is_empty() {
            let steps: Vec<_> = self.steps.iter().map(|rate| (*rate, self.duration)).collect();
            phases = steps.iter().map(|(rate, length)| (format!("{rate}/s"), *length)).collect();
            let rates: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
            let rates = requests_per_second(rates.join(", "));
            (Load::Open(Schedule::steps(&steps)), format!("{rates} for {duration} each"))
        } else if let Some(from) = self.ramp_from {
            let words = format!("{from} to {} within {duration}", requests_per_second(self.rate));
            (Load::Open(Schedule::ramp(from, self.rate, self.duration)), words)
        } else {
            let words = format!("{} for {duration}", requests_per_second(self.rate));
            (Load::Open(Schedule::constant(self.rate, self.duration)), words)
        };
        Ok(Offered { load, words, phases })
    }

    fn closed(&self, users: u32) -> Load {
        Load::Closed { users: users as usize, think: self.think, duration: self.duration }
    }

    /// Whether users come, and not a clock.
    pub(super) fn is_closed(&self) -> bool {
        self.users.is_some()
    }
}
