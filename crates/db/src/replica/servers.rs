//! The replicas that there are: a database of its own behind each, and the tasks that measure
//! how far it is behind.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenfold_context::Moment;
use tenfold_telemetry::metrics::{Counter, Registry};
use tokio::task::JoinSet;

use super::follow::{Followed, start};
use super::freshness::Freshness;
use super::lsn::Lsn;
use crate::connect::Connector;
use crate::database::Database;
use crate::error::Result;
use crate::settings::DatabaseSettings;

/// The replicas of one primary, as the settings name them; none if they name none.
#[derive(Default)]
pub(crate) struct Replicas {
    servers: Vec<ReplicaServer>,
    /// Ends with them.
    following: Mutex<JoinSet<()>>,
    metrics: Option<ReplicaMetrics>,
}

/// One replica.
#[derive(Debug)]
pub(crate) struct ReplicaServer {
    pub(crate) database: Database,
    pub(crate) freshness: Arc<Freshness>,
}

#[derive(Clone, Debug)]
struct ReplicaMetrics {
    by_replica: Counter,
    by_primary: Counter,
}

impl Replicas {
    /// Reads where they are, and starts to measure. Nothing is waited for: without them reads go
    /// to the primary.
    pub(crate) fn open(
        settings: &DatabaseSettings,
        application_name: &str,
        primary: &Connector,
        registry: &Registry,
        database: impl Fn(&DatabaseSettings, Connector) -> Database,
    ) -> Result<Replicas> {
        let Some(settings) = settings.of_replicas() else { return Ok(Replicas::default()) };
        let connector = Connector::new(&settings, application_name)?;
        let (mut servers, mut followed) = (Vec::new(), Vec::new());
        for (name, connector) in connector.each_server() {
            let freshness = Arc::<Freshness>::default();
            show_lag(registry, &name, &freshness);
            followed.push(Followed {
                name,
                connector: connector.clone().for_watching(),
                freshness: Arc::clone(&freshness),
            });
            servers.push(ReplicaServer { database: database(&settings, connector), freshness });
        }
        let interval = settings.replica_check_interval;
        let following = start(primary.clone().for_watching(), followed.into_iter(), interval);
        let reads = |served_by| {
            registry.counter(
                "tenfold_db_replica_reads_total",
                "Reads that a replica was allowed to serve, by who served them: the primary, where none was fresh enough.",
                &[("served_by", served_by)],
            )
        };
        Ok(Replicas {
            servers,
            following: Mutex::new(following),
            metrics: Some(ReplicaMetrics {
                by_replica: reads("replica"),
                by_primary: reads("primary"),
            }),
        })
    }

    pub(crate) fn servers(&self) -> &[ReplicaServer] {
        &self.servers
    }

    /// The first that serves, beginning with a random one so that all have their part.
    pub(super) fn choose(
        &self,
        lag_max: Duration,
        after: Option<Lsn>,
        is_up: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let count = self.servers.len();
        if count == 0 {
            return None;
        }
        let (first, now) = (fastrand::usize(..count), Moment::now());
        (first..first + count).map(|index| index % count).find(|&index| {
            self.servers[index].freshness.serves(now, lag_max, after) && is_up(index)
        })
    }

    /// Counts a read.
    pub(super) fn served(&self, by_replica: bool) {
        if let Some(ReplicaMetrics { by_replica: replica, by_primary: primary }) = &self.metrics {
            if by_replica { replica.increment() } else { primary.increment() }
        }
    }

    pub(crate) fn close(&self) {
        self.following.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.servers.iter().for_each(|server| server.database.close());
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas").field("servers", &self.servers).finish_non_exhaustive()
    }
}

fn show_lag(registry: &Registry, name: &str, freshness: &Arc<Freshness>) {
    let freshness = Arc::clone(freshness);
    registry.gauge_with(
        "tenfold_db_replica_lag_seconds",
        "How old a replica's data may be at most; infinite if it does not follow or is not heard of.",
        &[("replica", name)],
        move || freshness.lag(Moment::now()).map_or(f64::INFINITY, |lag| lag.as_secs_f64()),
    );
}
