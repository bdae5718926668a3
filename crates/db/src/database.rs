//! The database as the service sees it, and as one request sees it.

use std::pin::{Pin, pin};
use std::sync::Arc;

use tenfold_context::{Alarm, Context, Deadline, Late, Moment, Until, aside};
use tenfold_overload::{Entrance, Limits};
use tenfold_telemetry::metrics::Registry;

use crate::connect::Connector;
use crate::connection::Connection;
use crate::error::{Error, Lane, Result};
use crate::lane::{Entry, SharedLane, SharedPlace};
use crate::lanes::Lanes;
use crate::metrics::DatabaseMetrics;
use crate::pool::{Exclusive, Pool};
use crate::query::{Statement, Yields};
use crate::run;
use crate::settings::DatabaseSettings;
use crate::types::CustomTypes;

/// What work that has a transaction open is told that it waits for.
const STATEMENT: &str = "a statement outside of it";

/// One Postgres, for the whole process. A clone is the same database.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: DatabaseSettings,
    connector: Connector,
    pool: Pool,
    lanes: Lanes,
    streams: Entrance,
    types: Arc<CustomTypes>,
    metrics: DatabaseMetrics,
}

impl Database {
    /// Connects, so that a wrong address or password is found at start-up.
    ///
    /// # Errors
    /// [`Error::Misconfigured`] if the settings cannot be used, [`Error::Unreachable`] if nobody
    /// answers there.
    pub async fn open(
        settings: &DatabaseSettings,
        application_name: &str,
        registry: &Registry,
    ) -> Result<Database> {
        let connector = Connector::new(settings, application_name)?;
        let metrics = DatabaseMetrics::new(registry);
        let pool = Pool::new(connector.clone(), settings, metrics.pool.clone());
        metrics.watch_pool(registry, &pool);
        let lanes = Lanes::default();
        metrics.watch_lanes(registry, &lanes);
        let database = Database(Arc::new(Inner {
            streams: Entrance::new(Limits {
                places: settings.streams_max,
                waiting_max: settings.pool_waiting_max,
            }),
            settings: settings.clone(),
            connector,
            pool,
            lanes,
            types: Arc::default(),
            metrics,
        }));
        let patience = database.0.connector.time_max();
        let context = Context::new().with_deadline(Deadline::after(patience));
        database.0.pool.warm_up(&context).await?;
        Ok(database)
    }

    /// The database as one shard sees it; call it on the shard's own runtime, which drives the
    /// connections of its shared lane.
    pub fn on_this_shard(&self) -> ShardDatabase {
        let lane = SharedLane::open(&self.0.connector, &self.0.settings);
        let shard = Arc::new(Shard { database: self.clone(), lane, alarm: Alarm::start() });
        self.0.lanes.add(&shard);
        ShardDatabase(shard)
    }

    /// Hands out nothing any more; what runs may finish.
    pub fn close(&self) {
        self.0.pool.close();
        self.0.streams.close();
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    pub(crate) fn settings(&self) -> &DatabaseSettings {
        &self.0.settings
    }
}

/// One Postgres, as seen from one shard. A clone is the same.
#[derive(Clone, Debug)]
pub struct ShardDatabase(Arc<Shard>);

#[derive(Debug)]
pub(crate) struct Shard {
    database: Database,
    lane: SharedLane,
    /// Ends the waits for answers; a timer for each would cost more than the gate.
    alarm: Alarm,
}

impl Shard {
    pub(crate) fn lane(&self) -> &SharedLane {
        &self.lane
    }
}

impl ShardDatabase {
    /// The database for a piece of work, which bounds every wait by the context's deadline.
    pub fn handle(&self, context: Context) -> Db {
        Db { shard: self.clone(), context, lane: Lane::Shared }
    }

    /// The database behind it.
    pub fn database(&self) -> &Database {
        &self.0.database
    }

    /// Sends nothing over the shared lane any more; what is in flight may finish.
    pub fn close(&self) {
        self.0.lane.close();
    }

    /// How many statements are in flight and waiting on the shared lane.
    pub fn shared_lane(&self) -> tenfold_overload::Occupancy {
        self.0.lane.occupancy()
    }
}

/// The database in the hands of one request or job.
///
/// A single statement goes over the shared lane. Transactions and streams take a connection of
/// their own, and so do the statements of [`Db::exclusive`].
#[derive(Clone, Debug)]
pub struct Db {
    shard: ShardDatabase,
    context: Context,
    lane: Lane,
}

impl Db {
    /// The first row of the answer. The query should ask for one row only: rows behind the
    /// first are thrown away and complained about in the log.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; see [`Error`] for the others.
    #[track_caller]
    pub fn first<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<U>> {
        aside::aside(STATEMENT, async move {
            let place = self.enter().await?;
            let statement = pin!(run::optional(place.connection(), self.types(), query));
            self.note(&place, self.watch(statement).await)?.ok_or(Error::NotFound)
        })
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn optional<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<Option<U>>> {
        aside::aside(STATEMENT, async move {
            let place = self.enter().await?;
            let statement = pin!(run::optional(place.connection(), self.types(), query));
            self.note(&place, self.watch(statement).await)
        })
    }

    /// All rows of the answer, in memory. For answers without a bound see [`Db::stream`].
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn load<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<Vec<U>>> {
        aside::aside(STATEMENT, async move {
            let place = self.enter().await?;
            let statement = pin!(run::load(place.connection(), self.types(), query));
            self.note(&place, self.watch(statement).await)
        })
    }

    /// Runs a statement for its effect; the number of rows that it touched.
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn execute(&self, query: impl Statement) -> impl Future<Output = Result<u64>> {
        aside::aside(STATEMENT, async move {
            let place = self.enter().await?;
            let statement = pin!(run::execute(place.connection(), self.types(), query));
            self.note(&place, self.watch(statement).await)
        })
    }

    /// The same database, but each statement on a connection of its own: for what takes long
    /// and would hold up others on the shared lane.
    #[must_use]
    pub fn exclusive(&self) -> Db {
        Db { lane: Lane::Exclusive, ..self.clone() }
    }

    /// The same database with its single statements on the shared lane.
    pub(crate) fn shared(&self) -> Db {
        Db { lane: Lane::Shared, ..self.clone() }
    }

    /// The same database with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Deadline) -> Db {
        self.context = self.context.with_deadline(deadline);
        self
    }

    /// The work that it is used for.
    pub fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn types(&self) -> &Arc<CustomTypes> {
        &self.inner().types
    }

    pub(crate) fn settings(&self) -> &DatabaseSettings {
        &self.inner().settings
    }

    pub(crate) fn metrics(&self) -> &DatabaseMetrics {
        &self.inner().metrics
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner().pool
    }

    pub(crate) fn streams(&self) -> &Entrance {
        &self.inner().streams
    }

    pub(crate) async fn take_exclusive(&self) -> Result<Exclusive> {
        let taken = self.inner().pool.take(&self.context).await;
        taken.inspect_err(|error| self.metrics().failed(error))
    }

    async fn enter(&self) -> Result<Place> {
        match self.lane {
            Lane::Shared => {
                let entered = match self.shard.0.lane.enter(&self.context) {
                    Ok(Entry::Inside(place)) => Ok(place),
                    Ok(entry) => entry.wait(self.context.deadline()).await,
                    Err(error) => Err(error),
                };
                let place = entered.inspect_err(|error| self.metrics().failed(error))?;
                Ok(Place::Shared(place))
            }
            Lane::Exclusive | Lane::Stream => {
                let exclusive = self.take_exclusive().await?;
                Ok(Place::Exclusive { exclusive, since: Moment::now() })
            }
        }
    }

    /// The wait for an answer, which ends at the deadline. What runs is pinned where it was
    /// made: it is a thousand bytes large, and to move it costs as much as to find its statement.
    fn watch<'a, F: Future>(&'a self, statement: Pin<&'a mut F>) -> Until<'a, Pin<&'a mut F>> {
        self.shard.0.alarm.until(self.context.deadline(), statement)
    }

    /// Measures an answer, and what its absence is.
    fn note<T>(&self, place: &Place, answer: Result<Result<T>, Late>) -> Result<T> {
        let took = Moment::now().since(place.since());
        self.metrics().statement(self.lane).record(took);
        let answer = answer.unwrap_or(Err(Error::DeadlinePassed { after: took }));
        place.note(&answer);
        answer.inspect_err(|error| self.metrics().failed(error))
    }

    fn inner(&self) -> &Inner {
        &self.shard.0.database.0
    }
}

/// A place on a lane; given back when the statement is done or the caller leaves.
enum Place {
    Shared(SharedPlace),
    Exclusive { exclusive: Exclusive, since: Moment },
}

impl Place {
    fn connection(&self) -> &Arc<Connection> {
        match self {
            Place::Shared(place) => place.connection(),
            Place::Exclusive { exclusive, .. } => exclusive.connection(),
        }
    }

    fn since(&self) -> Moment {
        match self {
            Place::Shared(place) => place.since(),
            Place::Exclusive { since, .. } => *since,
        }
    }

    /// Takes note whether the answer has come to its end, so that the place is free.
    fn note<T>(&self, answer: &Result<T>) {
        let ended = !matches!(
            answer,
            // Given up waiting for, or given up reading.
            Err(Error::DeadlinePassed { .. } | Error::Mistranslated { .. })
        );
        if let Place::Shared(place) = self
            && ended
        {
            place.answered();
        }
    }
}
