//! `tenfold config`: which settings there are, which hold here, and why.

use std::process::ExitCode;

use clap::Subcommand;

use super::{ConfigArguments, Error, print};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows every setting with its value and where it comes from
    Explain(ConfigArguments),
    /// Writes a settings file with every setting, its meaning and its default, to the output
    Default,
}

pub(super) fn run(command: &Command) -> Result<ExitCode, Error> {
    match command {
        Command::Explain(arguments) => print(arguments.load(&[])?.explain_text().trim_end()),
        Command::Default => print(tenfold::known_settings().default_file().trim_end()),
    }
    Ok(ExitCode::SUCCESS)
}
