//! Transactions that stay open for too long. While one is open, Postgres keeps every version of
//! every row that anybody has replaced since, so that all of it grows slower; and it may hold
//! locks. One of ours is named and stopped, one of somebody else is shown.

mod others;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenfold_context::Moment;
use tenfold_telemetry::metrics::Registry;

use crate::connect::Connector;
use crate::error::Result;
use crate::lanes::Lanes;
use crate::observer::Observer;
use crate::pool::{Pool, WeakPool};
use crate::settings::DatabaseSettings;

use others::{Known, Other, others};

/// The shortest time between two looks at our own.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);

/// How long the oldest transaction of somebody else has been open, as far as is known. A clone is
/// the same.
#[derive(Clone, Debug, Default)]
struct OldestOther {
    /// How old it was, and when that was said. Not since when: no moment is before the beginning
    /// of this process, and the transactions that matter most are.
    seen: Arc<Mutex<Option<(Moment, Duration)>>>,
}

impl OldestOther {
    fn set(&self, age: Option<Duration>) {
        *self.seen() = age.map(|age| (Moment::now(), age));
    }

    fn age(&self) -> Duration {
        let seen = *self.seen();
        seen.map_or(Duration::ZERO, |(at, age)| age + Moment::now().since(at))
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Moment, Duration)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the ages of the oldest transactions.
fn show(registry: &Registry, pool: &Pool, other: &OldestOther) {
    const NAME: &str = "tenfold_db_oldest_transaction_seconds";
    const HELP: &str = "How long the oldest transaction has been open: of this process, and of all others on the server, asked for now and then.";
    let pool = pool.clone();
    registry.gauge_with(NAME, HELP, &[("whose", "ours")], move || {
        pool.longest_hold().unwrap_or_default().as_secs_f64()
    });
    let other = other.clone();
    registry.gauge_with(NAME, HELP, &[("whose", "others")], move || other.age().as_secs_f64());
}

/// Starts to watch, on the current runtime; ends when the pool is closed or gone.
pub(crate) fn watch(
    settings: &DatabaseSettings,
    connector: &Connector,
    pool: &Pool,
    lanes: &Lanes,
    registry: &Registry,
) {
    let oldest = OldestOther::default();
    show(registry, pool, &oldest);
    watch_ours(settings, pool);
    let others = Others {
        pool: pool.downgrade(),
        lanes: lanes.clone(),
        connector: connector.clone().for_watching(),
        interval: settings.transaction_watch_interval,
        limit: settings.transaction_age_max,
        oldest,
    };
    tokio::spawn(others.watch());
}

/// Only the part that looks at our own: on a replica, too, one that is open for long keeps what
/// has been replaced, or what has to be replayed.
pub(crate) fn watch_ours(settings: &DatabaseSettings, pool: &Pool) {
    tokio::spawn(stop_old(pool.downgrade(), settings.transaction_age_max));
}

/// Needs nobody's answer: the pool knows who has a connection, and since when.
async fn stop_old(pool: WeakPool, limit: Duration) {
    // The limit is exceeded by a tenth at most.
    let interval = (limit / 10).max(LOOK_INTERVAL_MIN);
    loop {
        tokio::time::sleep(interval).await;
        let Some(pool) = pool.unless_closed() else { return };
        pool.stop_older_than(limit).await;
    }
}

/// What is needed to look at the transactions of others.
struct Others {
    pool: WeakPool,
    lanes: Lanes,
    connector: Connector,
    interval: Duration,
    limit: Duration,
    oldest: OldestOther,
}

impl Others {
    async fn watch(self) {
        let mut known = Known::default();
        loop {
            // Services that have started together do not ask together.
            tokio::time::sleep(self.interval.mul_f64(0.75 + fastrand::f64() / 4.0)).await;
            let Some(pool) = self.pool.unless_closed() else { return };
            let mut ours = pool.backend_pids();
            ours.extend(self.lanes.backend_pids());
            drop(pool);
            match look(&self.connector, &ours).await {
                Ok(others) => {
                    self.oldest.set(others.first().map(|other| other.age));
                    known.news(others, self.limit).iter().for_each(Other::complain);
                }
                // Lanes and pool say loudly enough that Postgres is not there.
                Err(error) => {
                    tracing::debug!(error = %error, "open transactions cannot be looked at");
                }
            }
        }
    }
}

/// The connection is kept no longer than the question takes: it is asked rarely, and connections
/// are what a small Postgres has least of.
async fn look(connector: &Connector, ours: &[i32]) -> Result<Vec<Other>> {
    let observer = Observer::connect(connector).await?;
    others(&observer, ours).await
}
