//! Reads that may be a little old, and so need not bother the primary: they go to a replica that
//! is known to be fresh enough, else to the primary after all.

mod follow;
mod freshness;
mod lsn;
mod position;
mod positions;
mod servers;

use std::time::Duration;

use diesel::sql_types::Text;
use futures_util::Stream;
use tenfold_context::aside;

use crate::database::{Db, STATEMENT, found};
use crate::error::{Error, Result};
use crate::query::Yields;
use crate::transaction::Transaction;

pub use lsn::{Lsn, NoLsn};
pub(crate) use servers::Replicas;

use position::{WRITTEN, read_written};

/// Why a read is run again by the primary, in one word for metrics.
pub(crate) const REPLICA_LOST: &str = "replica_lost";

impl Db {
    /// The same database for reads of data that may be as old as `lag_max`: they go to one of the
    /// servers of `database.replica_url`, if one is certain to be that fresh, else here. A read
    /// that was under way on a replica when its connection broke is read here, too, unless a part
    /// of it has been handed out.
    ///
    /// How old its data may be is measured every `database.replica_check_interval`, by comparing
    /// how far it has replayed the primary's log with where that was and when; so a `lag_max` of
    /// less than twice that is hardly ever met while somebody writes. A replica that is not heard
    /// of grows older, and so falls out.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tenfold_db::{Db, Result, Yields};
    /// # async fn example(db: Db, bestsellers: impl Yields<i64>) -> Result<Vec<i64>> {
    /// db.replica(Duration::from_secs(5)).load(bestsellers).await
    /// # }
    /// ```
    pub fn replica(&self, lag_max: Duration) -> ReplicaReads {
        ReplicaReads::of(self, lag_max, None)
    }

    /// Where the log of changes is: everything that has been confirmed stands before it. Taken
    /// after a write, it lets somebody else read that write from a replica, see
    /// [`ReplicaReads::after`].
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn lsn(&self) -> impl Future<Output = Result<Lsn>> {
        let position = self.first::<String>(diesel::select(diesel::dsl::sql::<Text>(WRITTEN)));
        async move { read_written(&position.await?) }
    }
}

/// Reads that a replica may serve. Made by [`Db::replica`]; it cannot write, whoever serves it:
/// what writes and yields rows all the same fails on a replica, so it should not be tried.
#[derive(Clone, Debug)]
pub struct ReplicaReads {
    primary: Db,
    lag_max: Duration,
    after: Option<Lsn>,
    /// The one that was fresh enough when this was made, and its number.
    replica: Option<(usize, Db)>,
}

impl ReplicaReads {
    fn of(primary: &Db, lag_max: Duration, after: Option<Lsn>) -> ReplicaReads {
        let is_up = |index| primary.on_replica(index).is_some_and(|db| db.is_lane_up());
        let index = primary.replicas().choose(lag_max, after, is_up);
        let replica = index.and_then(|index| Some((index, primary.on_replica(index)?)));
        ReplicaReads { primary: primary.clone(), lag_max, after, replica }
    }

    /// Reads that see every write that stands before `lsn` (of [`Db::lsn`]), and everything that
    /// the one who took it had seen: of a replica that has come that far, or of the primary.
    #[must_use]
    pub fn after(&self, lsn: Lsn) -> ReplicaReads {
        ReplicaReads::of(&self.primary, self.lag_max, self.after.max(Some(lsn)))
    }

    /// The same, but each statement on a connection of its own, as with [`Db::exclusive`].
    #[must_use]
    pub fn exclusive(&self) -> ReplicaReads {
        ReplicaReads {
            primary: self.primary.exclusive(),
            replica: self.replica.as_ref().map(|(index, db)| (*index, db.exclusive())),
            ..self.clone()
        }
    }

    /// The first row of the answer, as [`Db::first`].
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; see [`Error`] for the others.
    #[track_caller]
    pub fn first<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<U>> {
        aside::aside(STATEMENT, self.first_row(query))
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn optional<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<Option<U>>> {
        aside::aside(STATEMENT, async move { found(self.first_row(query).await) })
    }

    /// All rows of the answer, in memory.
    ///
    /// # Errors
    /// See [`Error`].
    #[track_caller]
    pub fn load<U>(&self, query: impl Yields<U>) -> impl Future<Output = Result<Vec<U>>> {
        aside::aside(STATEMENT, self.rows(query))
    }

    /// The rows of a query, as one snapshot, as [`Db::stream`]. On a replica Postgres ends one
    /// that lasts longer than `max_standby_streaming_delay`, where it stands in the way of what
    /// has to be replayed.
    #[track_caller]
    pub fn stream<U, Q>(&self, query: Q) -> impl Stream<Item = Result<U>> + Send + use<U, Q>
    where
        U: Send + 'static,
        Q: Yields<U> + 'static,
    {
        self.primary.stream_or_of(self.chosen(), query)
    }

    /// The rows of a query in chunks, as [`Db::stream_by_key`]: all of the one that serves the
    /// first chunk, however far behind it is when the last one is read; if it is lost meanwhile,
    /// the primary goes on with the chunk that it did not give.
    pub fn stream_by_key<U, K, Q, C, G>(
        &self,
        chunk: C,
        key: G,
    ) -> impl Stream<Item = Result<U>> + Send + use<U, K, Q, C, G>
    where
        U: Send + 'static,
        K: PartialEq + Send + 'static,
        Q: Yields<U> + 'static,
        C: FnMut(Option<K>) -> Q + Send + 'static,
        G: Fn(&U) -> K + Send + 'static,
    {
        self.primary.stream_by_key_or_of(self.chosen(), chunk, key)
    }

    /// Runs `work` in a transaction that cannot write, as [`Db::transaction`].
    ///
    /// # Errors
    /// As [`Db::transaction`].
    #[track_caller]
    pub fn transaction<T, E, F, W>(
        &self,
        name: &'static str,
        work: F,
    ) -> impl Future<Output = Result<T, E>>
    where
        F: Fn(Transaction) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let replica = self.chosen();
        let otherwise = replica.is_some().then_some(&self.primary);
        replica.unwrap_or(&self.primary).begin(name).read_only().or_of(otherwise).run(work)
    }

    async fn first_row<U, Q: Yields<U>>(&self, query: Q) -> Result<U> {
        let mut statement = query.into_statement();
        if let Some(replica) = self.chosen() {
            let row = replica.first_row::<U, Q>(&mut statement).await;
            if let Some(row) = self.unless_lost(row) {
                return row;
            }
        }
        self.primary.first_row::<U, Q>(statement).await
    }

    async fn rows<U, Q: Yields<U>>(&self, query: Q) -> Result<Vec<U>> {
        let mut statement = query.into_statement();
        if let Some(replica) = self.chosen() {
            let rows = replica.rows::<U, Q>(&mut statement).await;
            if let Some(rows) = self.unless_lost(rows) {
                return rows;
            }
        }
        self.primary.rows::<U, Q>(statement).await
    }

    /// The answer of a replica; none if the primary has to be asked, because the replica was lost
    /// meanwhile, or had to give up the read for what it has to replay. Whatever it was that was
    /// read, it has changed nothing there.
    fn unless_lost<T>(&self, answer: Result<T>) -> Option<Result<T>> {
        if answer.as_ref().is_err_and(Error::is_of_its_server) {
            self.primary.metrics().run_again(REPLICA_LOST);
            return None;
        }
        Some(answer)
    }

    /// The replica that serves the next read, if one does: a value made for one read may be used
    /// for another long after, so it is looked at each time.
    fn chosen(&self) -> Option<&Db> {
        let replicas = self.primary.replicas();
        let replica = self.replica.as_ref().filter(|(index, db)| {
            let server = replicas.servers().get(*index);
            let now = tenfold_context::Moment::now();
            db.is_lane_up()
                && server.is_some_and(|it| it.freshness.serves(now, self.lag_max, self.after))
        });
        replicas.served(replica.is_some());
        replica.map(|(_, db)| db)
    }
}
