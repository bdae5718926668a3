//! `tenfold load export-k6`: a scenario for those who have k6.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tenfold_loadgen::Scenario;
use tenfold_loadgen::scenario::{k6_losses, k6_script};

use super::output::print_all;
use super::{Problem, above_zero, length};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scenario file
    scenario: PathBuf,
    /// Requests per second
    #[arg(long, value_name = "RATE", default_value = "100", value_parser = above_zero)]
    rate: f64,
    /// How long
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = length_for_k6)]
    duration: Duration,
}

/// k6 says so itself, but only when the script is run.
fn length_for_k6(text: &str) -> Result<Duration, String> {
    let length = length(text)?;
    match length < Duration::from_secs(1) {
        true => Err("k6 takes no less than 1s".to_owned()),
        false => Ok(length),
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let file = &arguments.scenario;
    let scenario = Scenario::load(file)
        .map_err(|errors| Problem::Usage(format!("{}:\n{errors}", file.display())))?;
    for loss in k6_losses(&scenario) {
        eprintln!("not in the script: {loss}");
    }
    print_all(&k6_script(&scenario, arguments.rate, arguments.duration))?;
    Ok(ExitCode::SUCCESS)
}
