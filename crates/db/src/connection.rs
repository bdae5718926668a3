//! One connection to Postgres, thin over tokio-postgres: it finds or prepares a statement, runs
//! it, and knows whether it may be handed to somebody else afterwards.

mod blame;
mod failed;
mod line;
mod reader;
mod request;
mod running;
mod turns;

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
use tokio_postgres::{CancelToken, Client, RowStream, SimpleQueryMessage};

use crate::binds::Binds;
use crate::connect::{Connected, Connector, Place};
use crate::error::{Error, Result};
use crate::query::Statement;
use crate::row::PgRow;
use crate::session::{self, Change, Others};
use crate::settings::Pooler;
use crate::slow::SlowStatements;
use crate::statements::Statements;
use crate::types::{CustomTypes, MissingTypes};

use line::Line;
use reader::Reader;
use request::{Form, Request, Text, Way, values};
pub(crate) use running::{Left, Rows, Running};
pub(crate) use turns::Moved;
use turns::{Answered, Turns};

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
    /// Whether it is of use only as long as its server takes writes.
    wants_writes: bool,
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
    /// Who else has the session, so that nobody may change it.
    session_others: Others,
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
    /// The turns of what may wait for a lock, where others wait behind it.
    turns: Option<Turns>,
    /// Whether reads leave it because of locks, and nobody is given it any more.
    crowded: AtomicBool,
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
            wants_writes: connector.wants_writes(),
            statements: Statements::new(statements_max),
            runtime: Handle::current(),
            running: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
            session_changed: AtomicBool::new(false),
            session_spoilt: AtomicBool::new(false),
            session_others: Others {
                now: slow.is_some(),
                later: connector.pooler() != Pooler::None,
            },
            broken: AtomicBool::new(false),
            driver: driver.abort_handle(),
            line: Line::default(),
            slow_after: slow.as_ref().map_or(Duration::MAX, SlowStatements::after),
            // Behind a pooler it is another session, and its own limits, that wait.
            turns: (slow.is_some() && connector.pooler() == Pooler::None).then(Turns::new),
            crowded: AtomicBool::new(false),
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
        at_once: bool,
    ) -> Result<Request> {
        types.learn(&self.client, missing).await?;
        self.request(query, types, at_once)?.map_err(|_still_missing| {
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
        let mut again = 0;
        loop {
            let mut running = Running::start(self);
            let Request { key, binds, way } = match self.request(query, types, again > 1)? {
                Ok(request) => request,
                Err(missing) => self.request_with(query, types, missing, again > 1).await?,
            };
            let (form, waits) = match way {
                Way::Run(form, waits) => (form, waits),
                Way::Prepare(slot, text) => match self.prepared(slot, text, &key).await {
                    Ok(form) => form,
                    Err(error) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                        continue;
                    }
                },
            };
            if waits {
                running.take_turn(&key).await?;
            }
            let of = running.send(key, waits);
            if self.slow.is_some() {
                let connection = Arc::clone(self);
                let answer =
                    async move { connection.answer(of, connection.ask(form, &binds)).await };
                let mut reader = Reader::start(self, running, of == Answered::Read, answer);
                match reader.begun().await? {
                    Ok(()) => return Ok(Rows::Read { reader }),
                    Err((running, error)) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                    }
                }
                continue;
            }
            match self.ask(form, &binds).await {
                Ok(stream) => return Ok(Rows::Driven { stream, running: Some(running) }),
                Err(error) => {
                    self.failed_to_run(running, types, self.failed(error), &mut again)?;
                }
            }
        }
    }

    /// Sends a statement whose rows are wanted.
    async fn ask(&self, form: Form, binds: &Binds) -> Result<RowStream, tokio_postgres::Error> {
        match form {
            Form::Prepared(statement) => self.client.query_raw(&statement, values(binds)).await,
            Form::Once(text) => {
                let Text { sql, bind_types } = *text;
                self.client.query_typed_raw(&sql, values(binds).zip(bind_types)).await
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
        let mut again = 0;
        loop {
            let mut running = Running::start(self);
            let Request { key, binds, way } = match self.request(query, types, again > 1)? {
                Ok(request) => request,
                Err(missing) => self.request_with(query, types, missing, again > 1).await?,
            };
            let (form, waits) = match way {
                Way::Run(form, waits) => (form, waits),
                Way::Prepare(slot, text) => match self.prepared(slot, text, &key).await {
                    Ok(form) => form,
                    Err(error) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                        continue;
                    }
                },
            };
            if waits {
                running.take_turn(&key).await?;
            }
            let of = running.send(key, waits);
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
            // Pinned where it was made: it is large to pass on.
            let ended = {
                let read = pin!(read);
                self.answer(of, read).await?
            };
            match ended {
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
        let mut again = 0;
        loop {
            let mut running = Running::start(self);
            let Request { key, binds, way } = match self.request(query, types, again > 1)? {
                Ok(request) => request,
                Err(missing) => self.request_with(query, types, missing, again > 1).await?,
            };
            let (form, waits) = match way {
                Way::Run(form, waits) => (form, waits),
                Way::Prepare(slot, text) => match self.prepared(slot, text, &key).await {
                    Ok(form) => form,
                    Err(error) => {
                        self.failed_to_run(running, types, error, &mut again)?;
                        continue;
                    }
                },
            };
            if waits {
                running.take_turn(&key).await?;
            }
            let of = running.send(key, waits);
            let done = async {
                match form {
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
                }
            };
            let ended = {
                let done = pin!(done);
                self.answer(of, done).await?
            };
            match ended {
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

    /// Notes whether an SQL text that is about to be sent changes the session; refuses it where
    /// others would find it changed.
    pub(crate) fn note_change(&self, sql: &str) -> Result<bool> {
        let Some(change) = session::change(sql) else { return Ok(false) };
        if let Some(why) = self.session_others.refuse(change) {
            return Err(Error::mistranslated(why));
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

    /// Whether somebody waits for an answer on it.
    pub(crate) fn is_in_use(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
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
}

/// What [`Connection::first_row`] finds.
pub(crate) struct FirstRow {
    pub(crate) row: Option<PgRow>,
    /// How many rows came behind it.
    pub(crate) superfluous: u64,
}
