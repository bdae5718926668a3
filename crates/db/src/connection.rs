//! One connection to Postgres, thin over tokio-postgres: it finds or prepares a statement, runs
//! it, and knows whether it may be handed to somebody else afterwards.

mod line;
mod request;
mod running;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::TryStreamExt;
use tenfold_context::Moment;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Client, SimpleQueryMessage};

use crate::connect::{Connected, Connector, Place};
use crate::error::{Class, Error, Result};
use crate::query::{Key, Statement};
use crate::row::PgRow;
use crate::session::{self, Change};
use crate::settings::Pooler;
use crate::slow::SlowStatements;
use crate::statements::Statements;
use crate::types::{CustomTypes, MissingTypes};

use line::Line;
use request::{Form, Request, Text, Way, values};
pub(crate) use running::{Left, Rows, Running};

/// How long a connection waits to be told its number: a Postgres that is slower has other sorrows.
const BACKEND_PID_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection and what it has prepared. Statements on one connection are pipelined: each is
/// sent at once, and Postgres answers them in order.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    /// The server that it leads to.
    place: Place,
    /// Whether a statement that has been prepared can be run again: not where the next one may
    /// come to another session of Postgres.
    names_statements: bool,
    statements: Statements,
    /// Where the socket is driven.
    runtime: Handle,
    /// Statements that were sent and whose answer has not come to its end.
    running: AtomicUsize,
    /// Whether an answer's reader went away before its end; the pool cleans up then.
    abandoned: AtomicBool,
    /// Whether a transaction is open, or may be.
    in_transaction: AtomicBool,
    /// Whether raw SQL has changed the session, so that the next one would find it changed.
    session_changed: AtomicBool,
    /// Whether it did so in a way that only the end of the session undoes.
    session_spoilt: AtomicBool,
    /// Whether others use the session at the same time, so that nobody may change it.
    session_shared: bool,
    /// Whether this connection is at its end, though the socket may not have heard of it.
    broken: AtomicBool,
    /// The task that drives the socket.
    driver: AbortHandle,
    /// The single statements that are under way.
    line: Line,
    /// What learns of slow statements, where others wait behind them.
    slow: Option<SlowStatements>,
    /// What takes longer by itself is slow.
    slow_after: Duration,
    /// The number of its process in Postgres, once it has said so.
    backend_pid: OnceLock<i32>,
    /// Why it was stopped, if it was: what everybody hears who uses it then.
    stopped: OnceLock<Error>,
}

impl Connection {
    /// Connects; the socket is driven by a task of the current runtime, which ends when the
    /// connection does.
    pub(crate) async fn open(
        connector: &Connector,
        statements_max: NonZeroUsize,
    ) -> Result<(Arc<Connection>, JoinHandle<()>)> {
        Connection::open_with(connector, statements_max, None).await
    }

    /// The same for a connection that others use at the same time: statements that change the
    /// session are refused, and `slow` hears of those that hold it up.
    pub(crate) async fn open_shared(
        connector: &Connector,
        statements_max: NonZeroUsize,
        slow: SlowStatements,
    ) -> Result<(Arc<Connection>, JoinHandle<()>)> {
        Connection::open_with(connector, statements_max, Some(slow)).await
    }

    async fn open_with(
        connector: &Connector,
        statements_max: NonZeroUsize,
        slow: Option<SlowStatements>,
    ) -> Result<(Arc<Connection>, JoinHandle<()>)> {
        let Connected { client, driver, place } = connector.connect().await?;
        let connection = Connection {
            client,
            place,
            names_statements: connector.pooler() != Pooler::Transaction,
            statements: Statements::new(statements_max),
            runtime: Handle::current(),
            running: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
            session_changed: AtomicBool::new(false),
            session_spoilt: AtomicBool::new(false),
            session_shared: slow.is_some(),
            broken: AtomicBool::new(false),
            driver: driver.abort_handle(),
            line: Line::default(),
            slow_after: slow.as_ref().map_or(Duration::MAX, SlowStatements::after),
            slow,
            backend_pid: OnceLock::new(),
            stopped: OnceLock::new(),
        };
        let connection = Arc::new(connection);
        // Behind a pooler each transaction may have another process.
        if connector.pooler() == Pooler::None {
            tokio::spawn(Arc::clone(&connection).learn_backend_pid());
        }
        Ok((connection, driver))
    }

    /// Asks in front of the first statement, which does not wait for the answer.
    async fn learn_backend_pid(self: Arc<Self>) {
        let asked = self.client.simple_query("SELECT pg_catalog.pg_backend_pid()");
        // Nobody needs it so much that an error of its own would be worth saying.
        let Ok(Ok(answer)) = tokio::time::timeout(BACKEND_PID_TIMEOUT, asked).await else { return };
        let pid = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        if let Some(pid) = pid {
            let _ = self.backend_pid.set(pid);
        }
    }

    /// The number of its process in Postgres, if it is known.
    pub(crate) fn backend_pid(&self) -> Option<i32> {
        self.backend_pid.get().copied()
    }

    /// Whoever uses it from now on, or waits for an answer on it, hears that error; false if it
    /// has been stopped before. The caller ends it.
    pub(crate) fn stop(&self, why: Error) -> bool {
        let is_first = self.stopped.set(why).is_ok();
        // So that it is not used again, however quickly it comes back.
        self.broken.store(true, Ordering::Relaxed);
        is_first
    }

    /// Looks up types of one's own first.
    async fn request_with(
        &self,
        query: &mut impl Statement,
        types: &Arc<CustomTypes>,
        missing: MissingTypes,
    ) -> Result<Request> {
        types.learn(&self.client, missing).await?;
        self.request(query, types)?.map_err(|_still_missing| {
            Error::mistranslated("a type was looked up and is unknown still")
        })
    }

    /// Runs a query whose rows the caller reads.
    ///
    /// The query is lent as if it were to be changed, here and below, because the parts of a
    /// boxed one cannot be shared between threads.
    pub(crate) async fn rows<Q: Statement>(
        self: &Arc<Self>,
        query: &mut Q,
        types: &Arc<CustomTypes>,
    ) -> Result<Rows> {
        let mut again = false;
        loop {
            let mut running = Running::start(self);
            let Request { key, binds, way } = match self.request(query, types)? {
                Ok(request) => request,
                Err(missing) => self.request_with(query, types, missing).await?,
            };
            let form = match way {
                Way::Run(form) => form,
                Way::Prepare(slot, text) => match self.prepared(slot, text, &key).await {
                    Ok(form) => form,
                    Err(error) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                        continue;
                    }
                },
            };
            running.send(key);
            let stream = match form {
                Form::Prepared(statement) => {
                    self.client.query_raw(&statement, values(&binds)).await
                }
                Form::Once(text) => {
                    let Text { sql, bind_types } = *text;
                    self.client.query_typed_raw(&sql, values(&binds).zip(bind_types)).await
                }
            };
            match stream {
                Ok(stream) => return Ok(Rows { stream, running: Some(running) }),
                Err(error) => {
                    self.failed_to_run(running, types, self.failed(error), &mut again)?;
                }
            }
        }
    }

    /// Runs a query for its first row; rows behind it are read and counted, since the answer has
    /// to come to its end. The same as [`Connection::rows`] would do, in one future instead of
    /// four: reading one row is what a service does most, and passing it on costs as much as
    /// reading it.
    pub(crate) async fn first_row<Q: Statement>(
        self: &Arc<Self>,
        query: &mut Q,
        types: &Arc<CustomTypes>,
    ) -> Result<FirstRow> {
        let mut again = false;
        loop {
            let mut running = Running::start(self);
            let Request { key, binds, way } = match self.request(query, types)? {
                Ok(request) => request,
                Err(missing) => self.request_with(query, types, missing).await?,
            };
            let form = match way {
                Way::Run(form) => form,
                Way::Prepare(slot, text) => match self.prepared(slot, text, &key).await {
                    Ok(form) => form,
                    Err(error) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                        continue;
                    }
                },
            };
            running.send(key);
            let mut answer = FirstRow { row: None, superfluous: 0 };
            let read = async {
                let mut rows = pin!(match form {
                    Form::Prepared(statement) => {
                        self.client.query_raw(&statement, values(&binds)).await?
                    }
                    Form::Once(text) => {
                        let Text { sql, bind_types } = *text;
                        self.client.query_typed_raw(&sql, values(&binds).zip(bind_types)).await?
                    }
                });
                answer.row = rows.try_next().await?.map(PgRow::new);
                while answer.row.is_some() && rows.try_next().await?.is_some() {
                    answer.superfluous += 1;
                }
                Ok(())
            };
            match read.await {
                Ok(()) => {
                    running.end();
                    return Ok(answer);
                }
                Err(error) => {
                    self.failed_to_run(running, types, self.failed(error), &mut again)?;
                }
            }
        }
    }

    /// Runs a query for its effect; the number of rows it touched.
    pub(crate) async fn execute<Q: Statement>(
        self: &Arc<Self>,
        query: &mut Q,
        types: &Arc<CustomTypes>,
    ) -> Result<u64> {
        let mut again = false;
        loop {
            let mut running = Running::start(self);
            let Request { key, binds, way } = match self.request(query, types)? {
                Ok(request) => request,
                Err(missing) => self.request_with(query, types, missing).await?,
            };
            let form = match way {
                Way::Run(form) => form,
                Way::Prepare(slot, text) => match self.prepared(slot, text, &key).await {
                    Ok(form) => form,
                    Err(error) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                        continue;
                    }
                },
            };
            running.send(key);
            let done = match form {
                Form::Prepared(statement) => {
                    self.client.execute_raw(&statement, values(&binds)).await
                }
                Form::Once(text) => {
                    let Text { sql, bind_types } = *text;
                    let values: Vec<_> = values(&binds).collect();
                    let values = values.iter().map(|value| value as &(dyn ToSql + Sync));
                    let typed: Vec<_> = values.zip(bind_types).collect();
                    self.client.execute_typed(&sql, &typed).await
                }
            };
            match done {
                Ok(touched) => {
                    running.end();
                    return Ok(touched);
                }
                Err(error) => {
                    self.failed_to_run(running, types, self.failed(error), &mut again)?;
                }
            }
        }
    }

    /// Runs SQL text with no values in it, several statements at once if it says so.
    pub(crate) async fn batch(self: &Arc<Self>, sql: &str) -> Result<()> {
        let running = Running::start(self);
        let done = self.client.batch_execute(sql).await;
        running.end();
        done.map_err(|error| self.failed(error))
    }

    /// The driver underneath, for COPY.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Whether a statement that has been prepared is found again by the next message.
    pub(crate) fn names_statements(&self) -> bool {
        self.names_statements
    }

    /// Counts a statement that is run through [`Connection::client`].
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        Running::start(self)
    }

    /// Waits until everything that was sent has been answered, which the answer to something
    /// sent last shows, since Postgres answers in order. As long as answers come it waits for as
    /// many as there are; with none for `silence_max` it gives the connection up.
    pub(crate) async fn settle(&self, silence_max: Duration) {
        let number = self.line.sent();
        let mut last = pin!(self.client.check_connection());
        loop {
            let heard = self.line.since();
            match tokio::time::timeout(silence_max, &mut last).await {
                Ok(_answered_or_closed) => {
                    let took = self.line.answered(number, Moment::now());
                    return self.judge(number + 1, None, took);
                }
                Err(_elapsed) if self.line.since() != heard => {}
                Err(_elapsed) => {
                    tracing::warn!("connection given up on which postgres does not answer");
                    return self.give_up();
                }
            }
        }
    }

    /// How long nothing has been heard from Postgres, if it has something to answer.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        self.line.silent_for(Moment::now())
    }

    /// When the last answer came to its end.
    pub(crate) fn last_answer(&self) -> Moment {
        self.line.since()
    }

    /// Ends the connection without a word to Postgres, which may not hear it. Whoever waits for
    /// an answer hears that it is lost.
    pub(crate) fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
        self.driver.abort();
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    pub(crate) fn cancel_token(&self) -> CancelToken {
        self.client.cancel_token()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.broken.load(Ordering::Relaxed) || self.client.is_closed()
    }

    /// The runtime that drives the socket.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Says that BEGIN is about to be sent, or that the transaction has certainly ended.
    pub(crate) fn set_in_transaction(&self, open: bool) {
        self.in_transaction.store(open, Ordering::Relaxed);
    }

    /// Notes whether an SQL text that is about to be sent changes the session.
    fn note_change(&self, sql: &str) -> Result<bool> {
        let Some(change) = session::change(sql) else { return Ok(false) };
        if self.session_shared {
            return Err(Error::mistranslated(format!(
                "{} in raw SQL would change the session of others on the shared lane: use \
                 Db::exclusive or Db::transaction",
                change.word()
            )));
        }
        self.session_changed.store(true, Ordering::Relaxed);
        if matches!(change, Change::Lasting(_)) {
            self.session_spoilt.store(true, Ordering::Relaxed);
        }
        Ok(true)
    }

    /// Whether raw SQL has changed the session.
    pub(crate) fn is_session_changed(&self) -> bool {
        self.session_changed.load(Ordering::Relaxed)
    }

    /// Whether raw SQL has changed the session in a way that only its end undoes.
    pub(crate) fn is_session_spoilt(&self) -> bool {
        self.session_spoilt.load(Ordering::Relaxed)
    }

    /// In which state the last user left it.
    pub(crate) fn left(&self) -> Left {
        if self.is_closed() {
            Left::Broken
        } else if self.running.load(Ordering::Relaxed) > 0 || self.abandoned.load(Ordering::Relaxed)
        {
            Left::Running
        } else if self.in_transaction.load(Ordering::Relaxed) {
            Left::InTransaction
        } else if self.is_session_changed() {
            Left::SessionChanged
        } else {
            Left::Clean
        }
    }

    /// Says that all answers that were left unread have come to their end.
    pub(crate) fn set_caught_up(&self) {
        self.abandoned.store(false, Ordering::Relaxed);
    }

    /// Says that all that was left behind is cleaned up.
    pub(crate) fn set_clean(&self) {
        self.abandoned.store(false, Ordering::Relaxed);
        self.in_transaction.store(false, Ordering::Relaxed);
        self.session_changed.store(false, Ordering::Relaxed);
    }

    /// Takes note of an error, and forgets what Postgres does not accept any more because the
    /// schema has changed. `Ok` says that the statement is to be prepared and sent again: once,
    /// since Postgres refused it before it began with it, and not in a transaction, which the
    /// error has ended.
    #[cold]
    fn failed_to_run(
        &self,
        running: Running,
        types: &CustomTypes,
        error: Error,
        again: &mut bool,
    ) -> Result<()> {
        let Some(said) = error.postgres() else {
            running.end();
            return Err(error);
        };
        // Behind a pooler the driver has looked up a type that is newer than the connection,
        // with a statement that another session has: the next connection knows the type.
        if !self.names_statements && ["26000", "42P05"].contains(&said.code()) {
            self.broken.store(true, Ordering::Relaxed);
        }
        let type_is_gone = said.is_type_gone();
        if type_is_gone {
            types.forget();
        }
        let is_stale = said.is_stale_statement();
        let in_transaction = self.in_transaction.load(Ordering::Relaxed);
        if is_stale && in_transaction {
            // Begun again, the transaction must not stumble over its next statement.
            self.statements.clear();
        } else if (is_stale || type_is_gone)
            && let Some(sent) = running.sent()
        {
            self.statements.forget(&sent.key, sent.number);
        }
        running.end();
        let may = (is_stale || type_is_gone) && self.names_statements && !in_transaction && !*again;
        if !may {
            return Err(error);
        }
        *again = true;
        tracing::debug!(error = &error as &dyn std::error::Error, "statement is prepared again");
        Ok(())
    }

    /// The answer to a statement has come to its end.
    #[inline]
    fn answered(&self, number: u64, key: &Key) {
        let took = self.line.answered(number, Moment::now());
        if took >= self.slow_after || self.line.has_left() {
            self.judge(number, Some(key), took);
        }
    }

    /// Finds out whose time that was which an answer took: its own, or that of those before it
    /// whose callers have left. Several of these share the blame; it is only a suspicion, and one
    /// quick run elsewhere clears them of it.
    #[cold]
    fn judge(&self, number: u64, key: Option<&Key>, took: Duration) {
        let Some(slow) = &self.slow else { return };
        let left = self.line.take_left(number);
        let Ok(suspects) = u32::try_from(left.len() + usize::from(key.is_some())) else { return };
        let each = took / suspects.max(1);
        if each < slow.after() {
            return;
        }
        if left.is_empty() {
            key.into_iter().for_each(|key| slow.slow(key.clone(), took));
        } else {
            left.into_iter().flatten().for_each(|key| slow.slow(key, each));
        }
    }

    /// A statement goes on though its caller has left.
    #[cold]
    fn left_behind(&self, number: u64, key: Key) {
        let Some(slow) = &self.slow else { return };
        match self.line.working_at(number, Moment::now()) {
            Some(took) if took >= slow.after() => {
                slow.slow(key, took);
                self.line.leave(number, None);
            }
            _ => self.line.leave(number, Some(key)),
        }
    }

    /// What an error of the driver means to whoever has this connection.
    pub(crate) fn failed(&self, error: tokio_postgres::Error) -> Error {
        if let Some(why) = self.stopped.get() {
            return why.clone();
        }
        let error = Error::of_statement(error);
        if matches!(error.class(), Class::Unreachable | Class::Unknown) {
            self.broken.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// What [`Connection::first_row`] finds.
pub(crate) struct FirstRow {
    pub(crate) row: Option<PgRow>,
    /// How many rows came behind it.
    pub(crate) superfluous: u64,
}
