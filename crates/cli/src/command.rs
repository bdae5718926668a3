//! Every command of the program, and what they have in common.

mod config;
mod demo;
mod load;
mod migrate;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;
use tenfold::{Failure, StartError};
use tenfold_config::{Config, ConfigErrors, Environment, Layers};
use tenfold_db::MigrateError;
use tokio::runtime::{Builder, Runtime};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the store at work, and at ten times what it can serve: a real service on a real Postgres
    Demo(demo::Arguments),
    /// Offers load to any HTTP service: finds its limit, goes past it, and reports
    #[command(subcommand)]
    Load(Box<load::Command>),
    /// Shows settings, or writes the documented default file
    #[command(subcommand)]
    Config(config::Command),
    /// Changes a database's schema, in the format of diesel's own command
    #[command(subcommand)]
    Migrate(migrate::Command),
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self {
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Load(command) => load::run(&command),
            Command::Config(command) => config::run(&command),
            Command::Migrate(command) => migrate::run(&command),
        }
    }
}

/// Where settings come from.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArguments {
    /// Settings file [default: tenfold.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A single setting, above file and environment; may come more than once
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArguments {
    /// Reads all settings; `flags` come before those of the command line, so they count less.
    fn load(&self, flags: &[String]) -> Result<Config, ConfigErrors> {
        let flags = flags.iter().chain(&self.set).cloned();
        let layers = Layers::usual(self.config.as_deref(), &Environment::process(), flags);
        tenfold::known_settings().load(&layers)
    }
}

/// What ends a command with exit code 1: one sentence each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "the catalog could not be loaded: {cause}{}",
        said.as_deref().map_or_else(String::new, |said| format!(", after Postgres said: {said}"))
    )]
    Catalog { cause: tenfold_db::Error, said: Option<String> },
    #[error("the disk is full, so the catalog could not be loaded: {0}")]
    DiskFull(tenfold_db::Error),
    #[error(transparent)]
    Failed(Failure),
    #[error(
        "--data keeps a Postgres of the demo's own, but {origin} names another one: \
         leave out one of the two"
    )]
    TwoDatabases { origin: String },
    #[error("shard {0} ended while the catalog was loaded")]
    Shard(usize),
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    #[error("cannot {what} {}: {cause}", path.display())]
    File { what: &'static str, path: PathBuf, cause: io::Error },
    #[error("{0}")]
    Migrations(String),
    #[error("no database is named: set DATABASE_URL, or give --set database.url=postgres://…")]
    NoDatabase,
    #[error("{0}")]
    Load(String),
    #[error("the system refuses {what}: {cause}")]
    System { what: &'static str, cause: io::Error },
}

/// An event loop for a command that waits for something.
fn event_loop() -> Result<Runtime, Error> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|cause| Error::System { what: "an event loop", cause })
}

/// Prints a line for whoever runs the program. Who has closed the output has seen enough of it,
/// which is no reason to end: a demo still has to drain.
fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
