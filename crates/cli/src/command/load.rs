//! `tenfold load`: offers load to any HTTP service, finds the most that it holds, goes past it,
//! and reports.

mod export_k6;
mod interrupt;
mod limit;
mod offered;
mod output;
mod overload;
mod progress;
mod run;
mod screen;
mod table;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use tenfold_config::duration;
use tenfold_loadgen::scenario::template;
use tenfold_loadgen::{ConnectionsPossible, RATE_MAX, RunError, Scenario, Spacing, StartError};

use super::Error;
use crate::printable::complain;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints a commented scenario file for an address
    Init {
        /// The address, such as http://127.0.0.1:8080/products
        url: String,
    },
    /// Offers a load, and tells what came of it
    #[command(allow_negative_numbers = true)]
    Run(run::Arguments),
    /// Finds the highest rate that a service holds, and what ends it
    #[command(allow_negative_numbers = true)]
    Limit(limit::Arguments),
    /// Goes to multiples of the limit and back, and tells how much of its work the service keeps
    #[command(allow_negative_numbers = true)]
    Overload(overload::Arguments),
    /// Prints a script for k6 that does what a scenario says, as far as k6 can
    #[command(allow_negative_numbers = true)]
    ExportK6(export_k6::Arguments),
}

/// What was asked for makes no sense; the same code as of a wrong command line.
const WRONG: u8 = 2;

/// The generator was the bottleneck: nothing was learnt of the service.
const GENERATOR: u8 = 3;

/// Thresholds were crossed; the same code as k6's.
const CROSSED: u8 = 99;

/// Why there is no result.
#[derive(Debug)]
enum Problem {
    /// What was asked for makes no sense: exit code 2, as for a wrong command line.
    Usage(String),
    /// It went wrong.
    Failed(String),
}

impl Problem {
    fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> Problem {
        Problem::Failed(error.into().to_string())
    }

    fn usage<E: Into<Box<dyn std::error::Error + Send + Sync>>>(error: E) -> Problem {
        Problem::Usage(error.into().to_string())
    }

    /// A run that could not be: for what was asked for, or for something that went wrong.
    fn of_run(error: RunError) -> Problem {
        match error {
            RunError::Start(error) if error.is_usage() => Problem::usage(error),
            error => Problem::failed(error),
        }
    }

    /// A flag whose value makes no sense: which, what it was, and what would be right.
    fn flag(flag: &str, value: impl Display, why: impl Display) -> Problem {
        Problem::Usage(format!("invalid value '{value}' for '{flag}': {why}"))
    }
}

/// Both, or all that is wrong with either, so that whoever mends it does so once.
fn both<A, B>(one: Result<A, Problem>, other: Result<B, Problem>) -> Result<(A, B), Problem> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(Problem::Usage(one)), Err(Problem::Usage(other))) => {
            Err(Problem::Usage(format!("{one}\nerror: {other}")))
        }
        (Err(problem), _) | (_, Err(problem)) => Err(problem),
    }
}

pub(super) fn run(command: &Command) -> Result<ExitCode, Error> {
    let done = match command {
        Command::Init { url } => init(url),
        Command::Run(arguments) => run::run(arguments),
        Command::Limit(arguments) => limit::run(arguments),
        Command::Overload(arguments) => overload::run(arguments),
        Command::ExportK6(arguments) => export_k6::run(arguments),
    };
    match done {
        Ok(code) => Ok(code),
        Err(Problem::Failed(problem)) => Err(Error::Load(problem)),
        Err(Problem::Usage(problem)) => {
            complain(&format!("error: {problem}"));
            Ok(ExitCode::from(WRONG))
        }
    }
}

fn init(url: &str) -> Result<ExitCode, Problem> {
    output::print_all(&template(url).map_err(Problem::usage)?)?;
    Ok(ExitCode::SUCCESS)
}

/// What is asked, and how clients go about it.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArguments {
    /// The address that is asked, again and again, with GET
    #[arg(required_unless_present = "scenario", conflicts_with = "scenario")]
    url: Option<String>,
    /// A scenario file; `tenfold load init URL` prints one
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// The most connections, above the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: Option<u32>,
    /// How many threads send
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// How requests are spaced: evenly, or at random as people come
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,
    /// What chance is made from: the same seed gives the same load
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Arrivals {
    Even,
    Poisson,
}

/// What is asked, and the text that says so; none for a single address.
struct Asked {
    scenario: Scenario,
    text: String,
}

impl TargetArguments {
    fn read(&self) -> Result<Asked, Problem> {
        let (asked, connections) = both(self.asked(), self.connections())?;
        let mut scenario = asked.scenario;
        let behaviour = &mut scenario.behaviour;
        behaviour.connections_max = connections.or(behaviour.connections_max);
        let possible = ConnectionsPossible::raised();
        match behaviour.connections_max {
            Some(connections_max) if connections_max > possible.connections => {
                let error = StartError::Connections { connections_max, possible };
                Err(Problem::usage(error))
            }
            _ => Ok(Asked { scenario, ..asked }),
        }
    }

    fn connections(&self) -> Result<Option<usize>, Problem> {
        let possible = ConnectionsPossible::raised();
        match self.connections.map(|connections| connections as usize) {
            Some(connections) if connections > possible.connections => {
                Err(Problem::flag("--connections <N>", connections, possible))
            }
            connections => Ok(connections),
        }
    }

    fn asked(&self) -> Result<Asked, Problem> {
        Ok(match (&self.scenario, &self.url) {
            (Some(file), _) => {
                let (scenario, text) = Scenario::load_with_text(file)
                    .map_err(|errors| Problem::Usage(format!("{}:\n{errors}", file.display())))?;
                Asked { scenario, text }
            }
            (None, url) => {
                let scenario = Scenario::get(url.as_deref().unwrap_or_default());
                Asked { scenario: scenario.map_err(Problem::usage)?, text: String::new() }
            }
        })
    }

    fn threads(&self) -> usize {
        self.threads as usize
    }

    fn spacing(&self) -> Spacing {
        match self.arrivals {
            Some(Arrivals::Poisson) => Spacing::Poisson,
            Some(Arrivals::Even) | None => Spacing::Even,
        }
    }
}

/// For flags that are a length of time.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    duration::parse(text)
        .filter(|length| !length.is_zero())
        .ok_or_else(|| "a length of time is needed, such as 500ms, 10s or 2m".to_owned())
}

/// For flags that are a rate which is offered.
fn offered_rate(text: &str) -> Result<f64, String> {
    match above_zero(text)? {
        rate if rate <= RATE_MAX => Ok(rate),
        _ => Err(format!("no more than {RATE_MAX} per second is possible")),
    }
}

/// For flags that are a rate, or a multiple.
fn above_zero(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "a number above 0 is needed".to_owned())
}

/// A rate with as many digits as say something: there are services that hold one request in ten
/// seconds.
fn rate(per_second: f64) -> String {
    if per_second >= 9.995 {
        return format!("{per_second:.0}");
    }
    let written = format!("{per_second:.2}");
    written.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A rate in a sentence.
fn requests_per_second(rate: impl Display) -> String {
    let written = rate.to_string();
    let noun = if written == "1" { "request" } else { "requests" };
    format!("{written} {noun} per second")
}

/// For flags that are a share.
fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "a share between 0 and 1 is needed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_told_with_the_digits_that_matter() {
        let rates = [0.1, 0.5, 1.0, 1.239, 9.999, 12.6, 2_263.4].map(rate);
        assert_eq!(rates, ["0.1", "0.5", "1", "1.24", "10", "13", "2263"]);
        assert_eq!(requests_per_second(1.0), "1 request per second");
        assert_eq!(requests_per_second(rate(0.5)), "0.5 requests per second");
    }
}
