//! What the author of a service says about it.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use diesel::migration::MigrationSource;
use diesel::pg::Pg;
use tenfold_config::Config;
use tenfold_context::Deadline;
use tenfold_db::{Database, MigrateError};
use tenfold_telemetry::metrics::Registry;

use crate::command_line;
use crate::error::StartError;
use crate::running::Running;
use crate::sockets::Sockets;
use crate::start;

/// Begins to describe a service of this name, which stands in its log lines, in `/buildinfo`
/// and in Postgres' list of connections.
pub fn service(name: &'static str) -> Service {
    Service {
        name,
        version: "",
        migrations: None,
        embedded_database: false,
        on_wait: Box::new(|line| tracing::info!("{line}")),
        routes: Box::new(Router::new),
        sockets: Sockets::default(),
    }
}

/// A service before it runs. Everything has a sound default: a router is enough.
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) migrations: Option<Arc<dyn Migrations>>,
    pub(crate) embedded_database: bool,
    pub(crate) on_wait: Box<dyn Fn(&str) + Send>,
    pub(crate) routes: Box<dyn Fn() -> Router + Send>,
    /// Ports that are open already.
    pub(crate) sockets: Sockets,
}

impl Service {
    /// Says the version that `/buildinfo` shows: usually `env!("CARGO_PKG_VERSION")`.
    #[must_use]
    pub fn version(mut self, version: &'static str) -> Service {
        self.version = version;
        self
    }

    /// What its database needs; run at every start, before the first request. With it the
    /// service has a database, and does not start without one.
    #[must_use]
    pub fn migrations<S>(mut self, source: S) -> Service
    where
        S: MigrationSource<Pg> + Send + Sync + 'static,
    {
        self.migrations = Some(Arc::new(source));
        self
    }

    /// Lets it start a private Postgres of its own where no address of one is set: for
    /// development, demonstrations and tests.
    #[must_use]
    pub fn embedded_database(mut self) -> Service {
        self.embedded_database = true;
        self
    }

    /// Tells somebody what makes the start take long, such as a Postgres that is fetched first:
    /// a program for people. Otherwise it is a line of the log.
    #[must_use]
    pub fn on_wait(mut self, tell: impl Fn(&str) + Send + 'static) -> Service {
        self.on_wait = Box::new(tell);
        self
    }

    /// Its routes: any axum router. Called once per shard.
    #[must_use]
    pub fn routes(mut self, routes: impl Fn() -> Router + Send + 'static) -> Service {
        self.routes = Box::new(routes);
        self
    }

    /// Runs as a program: reads its command line and settings, serves until SIGTERM or SIGINT,
    /// and drains. What goes wrong is one sentence on standard error and exit code 1; a wrong
    /// command line is exit code 2.
    pub fn run(self) -> ExitCode {
        command_line::run(self)
    }

    /// Starts within a process that has other things to do: a test, a demonstration. The
    /// connections are let in by the current runtime, so it has to go on running.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running then.
    pub async fn start(self, config: &Config, registry: &Registry) -> Result<Running, StartError> {
        let started = self.start_unless(config, registry, std::future::pending()).await?;
        Ok(started.expect("nobody can give up waiting for what never comes"))
    }

    /// The same, unless `given_up` comes first: a start may have to wait, for instance for
    /// another replica that migrates. Then everything that had started is stopped again, and
    /// there is nothing that runs.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn start_unless(
        self,
        config: &Config,
        registry: &Registry,
        given_up: impl Future<Output = ()>,
    ) -> Result<Option<Running>, StartError> {
        start::start(self, config, registry, given_up).await
    }
}

/// A source of migrations whose type does not matter any more. `Database::migrate` is generic
/// over the source; this keeps that from reaching every line here.
pub(crate) trait Migrations: Send + Sync {
    fn run<'a>(
        self: Arc<Self>,
        database: &'a Database,
        deadline: Deadline,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<String>, MigrateError>> + Send + 'a>>;
}

impl<S: MigrationSource<Pg> + Send + Sync + 'static> Migrations for S {
    fn run<'a>(
        self: Arc<Self>,
        database: &'a Database,
        deadline: Deadline,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<String>, MigrateError>> + Send + 'a>>
    {
        Box::pin(async move { database.migrate(&*self, deadline).await })
    }
}
