//! Why a service did not start: one sentence each, that says what to do about it.

use tenfold_config::{ConfigErrors, Secret};
use tenfold_db::MigrateError;
use tenfold_runtime::{ShardGone, StartOffloadError, StartShardsError};
use tenfold_server::{StartAdminError, StartServerError};
use tenfold_telemetry::log::StartLogError;
use tenfold_telemetry::metrics::RegistrationErrors;

/// Why a service did not start. What had started has been stopped again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings are wrong: all of them at once.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The log cannot be written.
    #[error(transparent)]
    Log(#[from] StartLogError),
    /// The admin port cannot be opened.
    #[error(transparent)]
    Admin(#[from] StartAdminError),
    /// The port cannot be opened, or its certificate is no good.
    #[error(transparent)]
    Server(#[from] StartServerError),
    /// The private Postgres did not start.
    #[error(transparent)]
    Embedded(#[from] tenfold_local::StartError),
    /// No database was named, and the service was built without one of its own.
    #[error(
        "the service needs a Postgres: set DATABASE_URL (or `database.url`) to \
         postgres://user:password@host:port/database"
    )]
    NoDatabase,
    /// Nobody answers at the database's address, or not in the right way.
    #[error("cannot use the database {url}: {cause}")]
    Database {
        /// Its address; the password is not shown.
        url: Secret,
        /// What happened.
        cause: tenfold_db::Error,
    },
    /// The migrations did not run through.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// There are no threads for CPU work.
    #[error(transparent)]
    Offload(#[from] StartOffloadError),
    /// There are no threads for the shards.
    #[error(transparent)]
    Shards(#[from] StartShardsError),
    /// A shard ended while the service was starting.
    #[error(transparent)]
    ShardGone(#[from] ShardGone),
    /// Two parts claim the same metric for different things: a mistake in the program.
    #[error(transparent)]
    Metrics(#[from] RegistrationErrors),
    /// The system refuses something that every process has.
    #[error("the system refuses {what}: {cause}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        cause: std::io::Error,
    },
}
