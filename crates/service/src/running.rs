//! A service once it runs: where it is, what it is made of, and what may end it.

use std::net::SocketAddr;

use tenfold_config::Secret;
use tenfold_db::Database;
use tenfold_runtime::{Lifecycle, ShardDied, ShardHandle, StopReport};
use tenfold_server::Reload;
use tokio::sync::watch;

use crate::embedded::{EmbeddedPostgres, PostgresDied};

/// A service that runs. Dropping it ends it without a drain; [`Running::stop`] is the orderly
/// end.
#[derive(Debug)]
pub struct Running {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) started: Started,
}

/// What is known of a service once it runs.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
    pub(crate) database_url: Option<Secret>,
    pub(crate) embedded: Option<EmbeddedPostgres>,
    pub(crate) database: Option<Database>,
    pub(crate) shards: Vec<ShardHandle>,
    pub(crate) certificates: Option<Reload>,
    pub(crate) first_death: watch::Receiver<Option<ShardDied>>,
}

/// What ends all sense in going on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A shard is gone, and with it a part of all connections.
    #[error(transparent)]
    Shard(ShardDied),
    /// The database is gone, and nobody but this service would start it again.
    #[error(transparent)]
    Postgres(PostgresDied),
}

impl Running {
    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.started.address
    }

    /// Where its admin port is.
    pub fn admin_address(&self) -> SocketAddr {
        self.started.admin_address
    }

    /// The address of its database, if it has one.
    pub fn database_url(&self) -> Option<&Secret> {
        self.started.database_url.as_ref()
    }

    /// Its database, if it has one: for what a program does beside serving, on a shard of its
    /// [`shards`](Running::shards).
    pub fn database(&self) -> Option<&Database> {
        self.started.database.as_ref()
    }

    /// What has the files of its certificates read again; nothing if it does not speak TLS.
    pub fn certificates(&self) -> Option<&Reload> {
        self.started.certificates.as_ref()
    }

    /// Its shards.
    pub fn shards(&self) -> &[ShardHandle] {
        &self.started.shards
    }

    /// What its private Postgres said of why it cannot go on, if it has one and that did lately.
    pub fn postgres_said(&self) -> Option<String> {
        self.started.embedded.as_ref().and_then(EmbeddedPostgres::said)
    }

    /// Waits for what ends all sense in going on: the death of a shard, or of the private
    /// Postgres.
    pub async fn failed(&self) -> Failure {
        tokio::select! {
            died = self.shard_died() => Failure::Shard(died),
            died = self.postgres_died() => Failure::Postgres(died),
        }
    }

    async fn shard_died(&self) -> ShardDied {
        let mut first_death = self.started.first_death.clone();
        match first_death.wait_for(Option::is_some).await.map(|death| death.clone()) {
            Ok(Some(death)) => death,
            // It has been stopped, and nobody died.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    async fn postgres_died(&self) -> PostgresDied {
        match &self.started.embedded {
            Some(embedded) => embedded.died().await,
            None => std::future::pending().await,
        }
    }

    /// Drains and stops everything, the door first; how that went, part by part.
    pub async fn stop(self) -> StopReport {
        self.lifecycle.stop().await
    }
}
