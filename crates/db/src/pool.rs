//! The exclusive lane: a pool behind a gate, whose connections are clean when they come back,
//! not when the next one asks.
//!
//! A request that leaves in the middle of a transaction must not block others through the locks
//! it left behind. So a connection in doubt is cleaned by a task of its own, which keeps the
//! place in the pool until Postgres has confirmed that nothing runs and nothing is open.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use tenfold_context::{Context, Deadline, Moment};
use tenfold_overload::{Entrance, Limits, Occupancy, Permit};

use crate::cancel::Canceller;
use crate::connect::Connector;
use crate::connection::{Connection, Left};
use crate::error::{Error, Lane, Result};
use crate::metrics::PoolMetrics;
use crate::settings::DatabaseSettings;
use crate::transaction::idle_in_transaction_max;

/// Time that cleaning may take before the connection is closed instead.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(2);

/// The first pause before a statement that did not stop is cancelled again; doubled each time.
const CANCEL_AGAIN_MIN: Duration = Duration::from_millis(10);

/// The longest of these pauses: each cancellation is a connection to Postgres.
const CANCEL_AGAIN_MAX: Duration = Duration::from_millis(200);

/// The connections of the exclusive lane, for all shards. A clone is the same pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    statements_max: NonZeroUsize,
    connections_max: usize,
    entrance: Entrance,
    /// Those that are being made.
    opening: AtomicUsize,
    /// The most recently used last. At most `connections_max`, less those in use.
    idle: Mutex<Vec<Idle>>,
    canceller: Canceller,
    metrics: PoolMetrics,
}

#[derive(Debug)]
struct Idle {
    connection: Arc<Connection>,
    /// The thread that drives its socket: another one can use it, a little slower.
    home: ThreadId,
}

impl Pool {
    pub(crate) fn new(
        connector: Connector,
        settings: &DatabaseSettings,
        metrics: PoolMetrics,
    ) -> Pool {
        // A transaction that nobody ends, because the network between is gone, must not keep its
        // locks: Postgres ends it by itself, long after our own budget has.
        let idle_max = idle_in_transaction_max(settings.transaction_budget);
        let connector = connector.with_timeout("idle_in_transaction_session_timeout", idle_max);
        let entrance = Entrance::new(Limits {
            places: settings.pool_max,
            waiting_max: settings.pool_waiting_max,
        });
        Pool(Arc::new(Inner {
            canceller: Canceller::new(connector.clone(), settings.pool_max),
            connector,
            statements_max: settings.statements_max(),
            connections_max: settings.pool_max,
            entrance,
            opening: AtomicUsize::new(0),
            idle: Mutex::default(),
            metrics,
        }))
    }

    /// A connection for the caller alone, waiting for one until the context's deadline.
    pub(crate) async fn take(&self, context: &Context) -> Result<Exclusive> {
        let asked = Moment::now();
        let permit = self.0.entrance.enter(context).await.map_err(|refusal| {
            self.0.metrics.refused(refusal);
            Error::Refused { lane: Lane::Exclusive, refusal }
        })?;
        let taken = Moment::now();
        self.0.metrics.wait.record(taken.since(asked));
        let (connection, home) = match self.idle_connection() {
            Some(idle) => (idle.connection, idle.home),
            None => self.connect(context.deadline()).await?,
        };
        Ok(Exclusive { held: Some(Held { connection, home, permit, taken }), pool: self.clone() })
    }

    /// Connects and puts the connection away, so that the first request finds one, and a wrong
    /// address is found at start-up.
    pub(crate) async fn warm_up(&self, context: &Context) -> Result<()> {
        self.take(context).await.map(drop)
    }

    /// Hands out nothing any more and closes what is idle. Connections in use are closed when
    /// they come back.
    pub(crate) fn close(&self) {
        self.0.entrance.close();
        self.idle().clear();
    }

    /// Stops what runs on a connection, and then runs `sql`, which may be run twice.
    ///
    /// A cancellation that comes before Postgres has begun with the statement hits nothing, and
    /// the statement runs on, with all its locks, even if the connection is closed. So it is
    /// cancelled again until what was sent behind it is answered.
    pub(crate) async fn stop_then(&self, connection: &Arc<Connection>, sql: &str) -> Result<()> {
        let mut again = CANCEL_AGAIN_MIN;
        loop {
            let mut batch = pin!(connection.batch(sql));
            loop {
                self.0.canceller.cancel(connection).await?;
                match tokio::time::timeout(again, &mut batch).await {
                    // It hit this one instead.
                    Ok(Err(error)) if is_cancelled(&error) => break,
                    Ok(done) => return done,
                    Err(_elapsed) => again = (again * 2).min(CANCEL_AGAIN_MAX),
                }
            }
        }
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        self.0.entrance.occupancy()
    }

    /// How many connections there may be.
    pub(crate) fn connections_max(&self) -> usize {
        self.0.connections_max
    }

    /// How many requests have a connection in their hands.
    pub(crate) fn used_count(&self) -> usize {
        self.occupancy().inside.saturating_sub(self.opening_count())
    }

    /// How many requests have a place in the pool and wait for its connection to be made.
    pub(crate) fn opening_count(&self) -> usize {
        self.0.opening.load(Ordering::Relaxed)
    }

    pub(crate) fn idle_count(&self) -> usize {
        self.idle().len()
    }

    /// An idle connection, preferably one of this thread; none if a new one may be made instead.
    fn idle_connection(&self) -> Option<Idle> {
        let here = std::thread::current().id();
        let mut idle = self.idle();
        idle.retain(|idle| !idle.connection.is_closed());
        if let Some(position) = idle.iter().rposition(|idle| idle.home == here) {
            return Some(idle.remove(position));
        }
        // The caller is inside already, so this counts the connection that it is about to make.
        let connections = self.0.entrance.occupancy().inside + idle.len();
        if connections > self.0.connections_max { idle.pop() } else { None }
    }

    async fn connect(&self, deadline: Deadline) -> Result<(Arc<Connection>, ThreadId)> {
        let _opening = Opening::new(&self.0.opening);
        // The connector has limits of its own, and says at which of the servers it met them.
        let open = Connection::open(&self.0.connector, self.0.statements_max);
        let opened = match tokio::time::timeout_at(deadline.instant(), open).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(Error::unreachable("no answer to an attempt to connect")),
        };
        self.0.metrics.connected(opened.is_ok());
        let (connection, _driver) = opened?;
        Ok((connection, std::thread::current().id()))
    }

    fn put_back(&self, held: Held) {
        let Held { connection, home, permit, .. } = held;
        if self.0.entrance.is_closed() {
            return;
        }
        self.idle().push(Idle { connection, home });
        // Only now may the next one come in, so that it finds the connection.
        drop(permit);
    }

    /// Stops what runs, rolls back what is open, and puts the connection back; closes it when
    /// Postgres does not confirm in time.
    async fn clean(self, held: Held, left: Left) {
        let cleaned = tokio::time::timeout(CLEAN_TIMEOUT, async {
            match left {
                Left::Running => self.stop_then(&held.connection, "ROLLBACK").await,
                _ => held.connection.batch("ROLLBACK").await,
            }
        });
        match cleaned.await {
            Ok(Ok(())) => {
                held.connection.set_clean();
                self.put_back(held);
            }
            Ok(Err(error)) => {
                held.connection.give_up();
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    left = left.name(),
                    "connection closed that could not be cleaned"
                );
            }
            Err(_elapsed) => {
                held.connection.give_up();
                tracing::warn!(left = left.name(), "connection closed that was not clean in time");
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts a connection that is being made, also when whoever wanted it leaves.
struct Opening<'a>(&'a AtomicUsize);

impl<'a> Opening<'a> {
    fn new(count: &'a AtomicUsize) -> Opening<'a> {
        count.fetch_add(1, Ordering::Relaxed);
        Opening(count)
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn is_cancelled(error: &Error) -> bool {
    error.postgres().is_some_and(|error| error.code() == "57014")
}

/// A connection of the pool in somebody's hands; back to the pool when dropped.
#[derive(Debug)]
pub(crate) struct Exclusive {
    /// `Some` until dropped.
    held: Option<Held>,
    pool: Pool,
}

#[derive(Debug)]
struct Held {
    connection: Arc<Connection>,
    home: ThreadId,
    permit: Permit,
    taken: Moment,
}

impl Exclusive {
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.held.as_ref().expect("only `drop` takes it out").connection
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        self.pool.0.metrics.hold.record(Moment::now().since(held.taken));
        let left = held.connection.left();
        self.pool.0.metrics.returned(left);
        match left {
            Left::Clean => self.pool.put_back(held),
            Left::Broken => {}
            Left::Running | Left::InTransaction => {
                let runtime = held.connection.runtime().clone();
                runtime.spawn(self.pool.clone().clean(held, left));
            }
        }
    }
}
