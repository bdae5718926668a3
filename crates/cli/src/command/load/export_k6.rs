//! `tenfold load export-k6`: a scenario and its load for those who have k6.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tenfold_config::duration::show;
use tenfold_loadgen::scenario::{k6_losses, k6_script};
use tenfold_loadgen::{Load, Scenario};

use super::offered::LoadArguments;
use super::output::print_all;
use super::{Problem, both};
use crate::printable::complain;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The scenario file
    scenario: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let (scenario, load) = both(arguments.scenario(), arguments.load())?;
    for loss in k6_losses(&scenario) {
        complain(&format!("not in the script: {loss}"));
    }
    print_all(&k6_script(&scenario, &load))?;
    Ok(ExitCode::SUCCESS)
}

/// k6 says so itself, but only when the script is run.
const K6_DURATION_MIN: Duration = Duration::from_secs(1);

impl Arguments {
    fn scenario(&self) -> Result<Scenario, Problem> {
        let file = &self.scenario;
        Scenario::load(file)
            .map_err(|errors| Problem::Usage(format!("{}:\n{errors}", file.display())))
    }

    fn load(&self) -> Result<Load, Problem> {
        let load = self.load.read()?.load;
        if load.duration() < K6_DURATION_MIN {
            let (length, least) = (show(load.duration()), show(K6_DURATION_MIN));
            let why = format!("k6 takes no less than {least}");
            return Err(Problem::flag("--duration <TIME>", length, why));
        }
        Ok(load)
    }
}
