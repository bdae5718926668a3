//! The database as the service sees it, and as one request sees it.

use std::borrow::BorrowMut;
use std::pin::{Pin, pin};
use std::sync::{Arc, OnceLock};

use tenfold_context::{Alarm, Context, Deadline, Late, Moment, Until, aside};
use tenfold_overload::{Entrance, Limits};
use tenfold_telemetry::metrics::Registry;

use crate::connect::Connector;
use crate::connection::Connection;
use crate::error::{Class, Error, Lane, PostgresError, Result};
use crate::lane::{Entry, SharedLane, SharedPlace};
use crate::lanes::Lanes;
use crate::metrics::DatabaseMetrics;
use crate::oldest;
use crate::pool::{Exclusive, Pool, PoolSize, Work};
use crate::query::{Key, Statement, Yields, sql_of};
use crate::repeatable::is_read;
use crate::replica::Replicas;
use crate::run;
use crate::settings::DatabaseSettings;
use crate::slow::SlowStatements;
use crate::stream::KnownKeys;
use crate::types::CustomTypes;

/// What work that has a transaction open is told that it waits for.
pub(crate) const STATEMENT: &str = "a statement outside of it";

/// How many connections may break under a read before its caller is told. The second may have
/// been broken by the same thing, and nobody had noticed; one more is no accident, and it may be
/// the read that breaks them.
const LOST_MAX: u32 = 2;

/// How many connections a statement leaves because others wait for a lock there, before it gets
/// one of its own.
const MOVED_MAX: u32 = 3;

/// One Postgres, for the whole process. A clone is the same database.
#[derive(Clone, Debug)]
pub struct Database(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: DatabaseSettings,
    connector: Connector,
    pool: Pool,
    /// Filled when Postgres has been asked.
    pool_size: OnceLock<PoolSize>,
    lanes: Lanes,
    slow: SlowStatements,
    streams: Entrance,
    types: Arc<CustomTypes>,
    known_keys: KnownKeys,
    metrics: DatabaseMetrics,
    replicas: Replicas,
    /// Whether it is a replica of another one, which is asked where this one cannot answer.
    is_replica: bool,
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
        let types = Arc::default();
        let replica = |settings: &DatabaseSettings, connector: Connector| {
            let pool = Pool::new(connector.clone(), settings, metrics.pool.clone());
            oldest::watch_ours(settings, &pool);
            let (types, none) = (Arc::clone(&types), Replicas::default());
            Database::new(settings, connector, pool, metrics.clone(), types, none, true)
        };
        let replicas = Replicas::open(settings, application_name, &connector, registry, replica)?;
        let pool = Pool::new(connector.clone(), settings, metrics.pool.clone());
        let database = Database::new(settings, connector, pool, metrics, types, replicas, false);
        let Inner { pool, lanes, metrics, .. } = &*database.0;
        metrics.watch_pool(registry, pool);
        metrics.watch_lanes(registry, lanes);
        metrics.watch_slow(registry, &database.0.slow);
        let patience = database.0.connector.time_max();
        let context = Context::new().with_deadline(Deadline::after(patience));
        let size = database.0.pool.warm_up(&context).await?;
        database.resize(size);
        let Inner { settings, connector, pool, lanes, .. } = &*database.0;
        oldest::watch(settings, connector, pool, lanes, registry);
        Ok(database)
    }

    fn new(
        settings: &DatabaseSettings,
        connector: Connector,
        pool: Pool,
        metrics: DatabaseMetrics,
        types: Arc<CustomTypes>,
        replicas: Replicas,
        is_replica: bool,
    ) -> Database {
        Database(Arc::new(Inner {
            streams: Entrance::new(Limits {
                places: settings.streams_max,
                waiting_max: settings.pool_waiting_max,
            }),
            settings: settings.clone(),
            connector,
            pool,
            pool_size: OnceLock::new(),
            lanes: Lanes::default(),
            slow: SlowStatements::new(settings.shared_slow_after),
            types,
            known_keys: KnownKeys::default(),
            metrics,
            replicas,
            is_replica,
        }))
    }

    /// The database as one shard sees it; call it on the shard's own runtime, which drives the
    /// connections of its shared lane.
    pub fn on_this_shard(&self) -> ShardDatabase {
        let Inner { connector, settings, slow, metrics, .. } = &*self.0;
        let abandoned = metrics.abandoned.clone();
        let lane = SharedLane::open(connector, settings, slow.clone(), abandoned);
        let replicas = self.0.replicas.servers().iter();
        let replicas = replicas.map(|replica| replica.database.on_this_shard()).collect();
        let alarm = Alarm::start();
        let shard = Arc::new(Shard { database: self.clone(), lane, alarm, replicas });
        self.0.lanes.add(&shard);
        ShardDatabase(shard)
    }

    /// How many connections the exclusive lane may have, and why.
    pub fn pool_size(&self) -> Option<&PoolSize> {
        self.0.pool_size.get()
    }

    /// Takes note of how many connections there may be, and says so.
    fn resize(&self, size: PoolSize) {
        let PoolSize { connections_max, why, is_too_much } = &size;
        if *is_too_much {
            tracing::warn!(connections_max, why, "postgres may refuse connections of the pool");
        } else {
            tracing::info!(connections_max, why, "the size of the pool");
        }
        for replica in self.0.replicas.servers() {
            replica.database.0.pool.resize(*connections_max);
        }
        // It is called once.
        let _ = self.0.pool_size.set(size);
    }

    /// Hands out nothing any more; what runs may finish.
    pub fn close(&self) {
        self.0.pool.close();
        self.0.streams.close();
        self.0.replicas.close();
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
    /// The same of each replica.
    replicas: Vec<ShardDatabase>,
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
        self.0.replicas.iter().for_each(ShardDatabase::close);
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
        aside::aside(STATEMENT, first_row(self, query))
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn optional<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<Option<U>>> {
        aside::aside(STATEMENT, async move { found(first_row(self, query).await) })
    }

    /// All rows of the answer, in memory. For answers without a bound see [`Db::stream`].
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn load<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<Vec<U>>> {
        aside::aside(STATEMENT, rows(self, query))
    }

    /// All rows of one chunk of a stream.
    pub(crate) async fn load_at_once<U, Q: Yields<U>>(
        &self,
        statement: &mut Q::Statement,
        count: usize,
    ) -> Result<run::Loaded<U>> {
        let mut way = self.way(statement);
        loop {
            let place = self.enter(&way).await?;
            let answer = {
                let (connection, types) = (place.connection(), self.types());
                let run = run::load_at_once::<U, Q>(connection, types, statement, count);
                self.watch(pin!(run)).await
            };
            match self.note(&place, &way, answer) {
                Ok(rows) => return Ok(rows),
                Err(error) => self.again(&mut way, error, statement)?,
            }
        }
    }

    /// Runs a statement for its effect; the number of rows that it touched.
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn execute(&self, mut query: impl Statement) -> impl Future<Output = Result<u64>> {
        aside::aside(STATEMENT, async move {
            let mut way = self.way(&query);
            loop {
                let place = self.enter(&way).await?;
                let answer = {
                    let run = run::execute(place.connection(), self.types(), &mut query);
                    self.watch(pin!(run)).await
                };
                match self.note(&place, &way, answer) {
                    Ok(touched) => return Ok(touched),
                    Err(error) => self.again(&mut way, error, &query)?,
                }
            }
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

    pub(crate) fn replicas(&self) -> &Replicas {
        &self.inner().replicas
    }

    /// The same work on a replica.
    pub(crate) fn on_replica(&self, index: usize) -> Option<Db> {
        let shard = self.shard.0.replicas.get(index)?.clone();
        Some(Db { shard, ..self.clone() })
    }

    /// Whether the shared lane is connected.
    pub(crate) fn is_lane_up(&self) -> bool {
        self.shard.0.lane.is_up()
    }

    /// The gate in front of streams, which have to leave connections to others, however many
    /// there may be at the moment.
    pub(crate) fn streams(&self) -> &Entrance {
        let Inner { streams, pool, settings, .. } = self.inner();
        let places = settings.streams_max.min(pool.connections_max().saturating_sub(1)).max(1);
        if streams.limits().places != places {
            streams.set_places(places);
        }
        streams
    }

    pub(crate) fn known_keys(&self) -> &KnownKeys {
        &self.inner().known_keys
    }

    /// A connection of one's own, for work of that name.
    pub(crate) async fn take_exclusive(&self, work: Work) -> Result<Exclusive> {
        let taken = self.inner().pool.take(&self.context, work).await;
        taken.inspect_err(|error| self.failed(error))
    }

    /// The first row. The statement is handed in, or lent by whoever may need it again.
    pub(crate) async fn first_row<U, Q: Yields<U>>(
        &self,
        mut statement: impl BorrowMut<Q::Statement>,
    ) -> Result<U> {
        let statement = statement.borrow_mut();
        let mut way = self.way(statement);
        loop {
            let place = self.enter(&way).await?;
            let answer = {
                let (connection, types) = (place.connection(), self.types());
                let run = run::optional::<U, Q>(connection, types, statement);
                self.watch(pin!(run)).await
            };
            match self.note(&place, &way, answer) {
                Ok(row) => return row.ok_or(Error::NotFound),
                Err(error) => self.again(&mut way, error, statement)?,
            }
        }
    }

    /// All rows, of a statement as above.
    pub(crate) async fn rows<U, Q: Yields<U>>(
        &self,
        mut statement: impl BorrowMut<Q::Statement>,
    ) -> Result<Vec<U>> {
        let statement = statement.borrow_mut();
        let mut way = self.way(statement);
        loop {
            let place = self.enter(&way).await?;
            let answer = {
                let (connection, types) = (place.connection(), self.types());
                let run = run::load::<U, Q>(connection, types, statement);
                self.watch(pin!(run)).await
            };
            match self.note(&place, &way, answer) {
                Ok(rows) => return Ok(rows),
                Err(error) => self.again(&mut way, error, statement)?,
            }
        }
    }

    /// The way of a statement: over the shared lane, unless it has been slow there.
    fn way(&self, statement: &impl Statement) -> Way {
        let slow = match self.lane {
            Lane::Shared => self.inner().slow.find(statement),
            Lane::Exclusive | Lane::Stream => None,
        };
        let lane = if slow.is_some() { Lane::Exclusive } else { self.lane };
        Way { lane, slow, lost: 0, moved: 0 }
    }

    /// Whether a statement that failed is to be run again: an error if not.
    ///
    /// - One that has waited for a lock for too long on the shared lane waits on the exclusive
    ///   one: Postgres has undone it. (What may commit on its way, CALL and DO, is not let in.)
    /// - One that has left a connection where others wait for a lock goes over another one.
    /// - A read whose connection broke before it was answered is read over another one; on a
    ///   replica, by the primary.
    #[cold]
    fn again(&self, way: &mut Way, error: Error, statement: &impl Statement) -> Result<()> {
        let waited_for_lock = error.postgres().is_some_and(PostgresError::is_lock_timeout);
        let is_lost = matches!(error.class(), Class::Unknown | Class::Unreachable);
        let (reason, error) = if way.lane == Lane::Shared && error.is_moved() {
            let (moved, lost) = (way.moved + 1, way.lost);
            *way = Way { moved, lost, ..self.way(statement) };
            if moved > MOVED_MAX {
                way.lane = Lane::Exclusive;
            }
            ("moved", None)
        } else if way.lane == Lane::Shared && waited_for_lock {
            // Those who wait on the same connection have to hear of it.
            self.shard.0.alarm.wake();
            way.lane = Lane::Exclusive;
            ("lock", None)
        } else if is_lost
            && !self.inner().is_replica
            && sql_of(statement).is_ok_and(|sql| is_read(&sql))
        {
            way.lost += 1;
            // Nothing can have happened: it may be asked for again, by whoever asked.
            ("connection_lost", (way.lost > LOST_MAX).then(|| Error::unreachable(error)))
        } else {
            ("", Some(error))
        };
        match error {
            None => self.metrics().run_again(reason),
            Some(error) => {
                self.failed(&error);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Counts an error, unless another server may answer still.
    pub(crate) fn failed(&self, error: &Error) {
        if !(self.inner().is_replica && error.is_of_its_server()) {
            self.metrics().failed(error);
        }
    }

    async fn enter(&self, way: &Way) -> Result<Place<'_>> {
        match way.lane {
            Lane::Shared => {
                let entered = match self.shard.0.lane.enter(&self.context) {
                    Ok(Entry::Inside(place)) => Ok(place),
                    Ok(entry) => entry.wait(self.context.deadline()).await,
                    Err(error) => Err(error),
                };
                let place = entered.inspect_err(|error| self.failed(error))?;
                Ok(Place::Shared(place))
            }
            Lane::Exclusive | Lane::Stream => {
                let work = if self.lane == Lane::Shared { Work::Detour } else { Work::Statement };
                let exclusive = self.take_exclusive(work).await?;
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
    fn note<T>(&self, place: &Place<'_>, way: &Way, answer: Result<Result<T>, Late>) -> Result<T> {
        let ended = match &answer {
            // Its end has been seen just now, and the time with it.
            Ok(_) => place.connection().last_answer(),
            Err(Late) => Moment::now(),
        };
        let took = ended.since(place.since());
        self.metrics().statement(way.lane).record(took);
        if let Some(slow) = &way.slow {
            self.inner().slow.ran_elsewhere(slow, took);
        }
        let answer = answer.unwrap_or(Err(Error::DeadlinePassed { after: took }));
        place.note(&answer);
        answer
    }

    fn inner(&self) -> &Inner {
        &self.shard.0.database.0
    }
}

/// As a function of its own, so that a query is turned into its statement in no future of its
/// own: to read one row is what a service does most.
fn first_row<U, Q: Yields<U>>(db: &Db, query: Q) -> impl Future<Output = Result<U>> {
    db.first_row::<U, Q>(query.into_statement())
}

/// All rows, for who has said already that it waits aside.
pub(crate) fn rows<U, Q: Yields<U>>(db: &Db, query: Q) -> impl Future<Output = Result<Vec<U>>> {
    db.rows::<U, Q>(query.into_statement())
}

/// What there is, if there is something.
pub(crate) fn found<U>(row: Result<U>) -> Result<Option<U>> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How a statement goes to Postgres.
struct Way {
    lane: Lane,
    /// Its name among the slow statements, if it is one.
    slow: Option<Key>,
    /// How many connections broke under it.
    lost: u32,
    /// How many connections it has left because others waited for a lock there.
    moved: u32,
}

/// A place on a lane; given back when the statement is done or the caller leaves.
enum Place<'a> {
    Shared(SharedPlace<'a>),
    Exclusive { exclusive: Exclusive, since: Moment },
}

impl Place<'_> {
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
            Err(Error::DeadlinePassed { .. } | Error::Mistranslated { .. } | Error::Unread { .. })
        );
        if let Place::Shared(place) = self
            && ended
        {
            place.answered();
        }
    }
}
