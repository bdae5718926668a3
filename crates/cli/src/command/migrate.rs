//! `tenfold migrate`: migrations from a folder, in the format and table of diesel's own command,
//! which works on the same database.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use chrono::Utc;
use clap::Subcommand;
use diesel_migrations::FileBasedMigrations;
use tenfold::StartError;
use tenfold_context::Deadline;
use tenfold_db::{Database, DatabaseSettings, MigrationState};
use tenfold_telemetry::metrics::Registry;

use super::{ConfigArguments, Error, event_loop, print};

/// How long a command waits for another process that is migrating.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs what is pending, in order
    Run(Arguments),
    /// Shows which migrations have run
    Status(Arguments),
    /// Undoes the last one that ran
    Revert(Arguments),
    /// Writes the two files of a new migration
    New {
        /// What it does, in a few words: letters, digits, - and _
        name: String,
        /// The folder of all migrations
        #[arg(long, value_name = "FOLDER", default_value = "migrations")]
        folder: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of all migrations
    #[arg(long, value_name = "FOLDER", default_value = "migrations")]
    folder: PathBuf,
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(command: &Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run(arguments) => on_database(arguments, async |database, source| {
            let ran = database.migrate(&source, Deadline::after(LOCK_TIMEOUT)).await?;
            match ran.as_slice() {
                [] => print("nothing is pending"),
                ran => ran.iter().for_each(|name| print(&format!("ran {name}"))),
            }
            Ok(())
        }),
        Command::Status(arguments) => on_database(arguments, async |database, source| {
            let all = database.migration_status(&source, Deadline::after(LOCK_TIMEOUT)).await?;
            for one in all {
                let state = match one.state {
                    MigrationState::Applied => "applied",
                    MigrationState::Pending => "pending",
                    MigrationState::Unknown => "unknown",
                };
                print(&format!("{state}  {}", one.name));
            }
            Ok(())
        }),
        Command::Revert(arguments) => on_database(arguments, async |database, source| {
            let name = database.revert_migration(&source, Deadline::after(LOCK_TIMEOUT)).await?;
            print(&format!("reverted {name}"));
            Ok(())
        }),
        Command::New { name, folder } => new(name, folder),
    }
}

fn on_database(
    arguments: &Arguments,
    command: impl AsyncFnOnce(Database, FileBasedMigrations) -> Result<(), Error>,
) -> Result<ExitCode, Error> {
    let config = arguments.config.load(&[])?;
    let settings = config.get::<DatabaseSettings>();
    let url = settings.url.clone().ok_or(Error::NoDatabase)?;
    let source = FileBasedMigrations::from_path(&arguments.folder).map_err(|error| {
        Error::Migrations(format!(
            "cannot read the folder of migrations, {}: {error}; name another one with --folder",
            arguments.folder.display()
        ))
    })?;
    event_loop()?.block_on(async {
        let opened = Database::open(&settings, "tenfold migrate", &Registry::new()).await;
        let database = opened.map_err(|cause| StartError::Database { url, cause })?;
        command(database, source).await
    })?;
    Ok(ExitCode::SUCCESS)
}

fn new(name: &str, folder: &Path) -> Result<ExitCode, Error> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(sound) {
        let problem = format!("{name:?} is no name for a migration: use letters, digits, - and _");
        return Err(Error::Migrations(problem));
    }
    // As diesel's own command names them: the moment in UTC, so that versions sort by time.
    let one = folder.join(format!("{}_{name}", Utc::now().format("%Y-%m-%d-%H%M%S")));
    let written = |what, path: &Path| {
        let path = path.to_owned();
        move |cause: io::Error| Error::File { what, path, cause }
    };
    std::fs::create_dir_all(&one).map_err(written("make", &one))?;
    let comments = [
        ("up.sql", "-- What changes. It runs in a transaction.\n"),
        ("down.sql", "-- What undoes it.\n"),
    ];
    for (file, comment) in comments {
        let path = one.join(file);
        std::fs::write(&path, comment).map_err(written("write", &path))?;
        print(&path.display().to_string());
    }
    Ok(ExitCode::SUCCESS)
}
