//! One connection to Postgres, thin over tokio-postgres: it finds or prepares a statement, runs
//! it, and knows whether it may be handed to somebody else afterwards.

use std::num::NonZeroUsize;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use diesel::pg::Pg;
use futures_util::{Stream, TryStreamExt};
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{CancelToken, Client, RowStream};

use crate::binds::Binds;
use crate::connect::{Connected, Connector, Place};
use crate::error::{Class, Error, Result};
use crate::query::{Key, Statement, sql_of};
use crate::row::PgRow;
use crate::settings::Pooler;
use crate::statements::{Found, Slot, Statements};
use crate::types::{CustomTypes, MissingTypes, type_of};

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
    /// Whether this connection is at its end, though the socket may not have heard of it.
    broken: AtomicBool,
    /// The task that drives the socket.
    driver: AbortHandle,
    /// How many answers have come to their end.
    answers: AtomicUsize,
}

/// A query that has found its way to run on a connection: all that travels of it.
struct Request {
    key: Key,
    binds: Binds,
    way: Way,
}

enum Way {
    Run(Form),
    /// It is to be prepared, by whoever comes first.
    Prepare(Slot, Box<Text>),
}

/// In which form a statement is run.
enum Form {
    Prepared(tokio_postgres::Statement),
    /// It will hardly come again, says diesel, and so is run without a name.
    Once(Box<Text>),
}

/// What has to be sent with a statement that Postgres does not know. It lies in a box, so that
/// the usual request, which has none, is small to pass on.
struct Text {
    sql: Arc<str>,
    bind_types: Vec<Type>,
}

impl Text {
    fn of(query: &impl Statement, binds: &Binds) -> Result<Box<Text>> {
        let bind_types = binds.types()?.iter().copied().map(type_of).collect();
        let sql = sql_of(query)?;
        match transaction_control(&sql) {
            Some(word) => Err(Error::mistranslated(format!(
                "{word} in raw SQL would leave others a connection with a transaction that \
                 nobody knows of: use Db::transaction"
            ))),
            None => Ok(Box::new(Text { sql, bind_types })),
        }
    }
}

impl Connection {
    /// Connects; the socket is driven by a task of the current runtime, which ends when the
    /// connection does.
    pub(crate) async fn open(
        connector: &Connector,
        statements_max: NonZeroUsize,
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
            broken: AtomicBool::new(false),
            driver: driver.abort_handle(),
            answers: AtomicUsize::new(0),
        };
        Ok((Arc::new(connection), driver))
    }

    /// Turns a query into what travels of it. `Err` names types of one's own that `types` has
    /// to learn first.
    fn request(
        &self,
        query: &impl Statement,
        types: &Arc<CustomTypes>,
    ) -> Result<Result<Request, MissingTypes>> {
        let binds = match Binds::of(query, types)? {
            Ok(binds) => binds,
            Err(missing) => return Ok(Err(missing)),
        };
        let key = Key::of(query, &binds)?;
        if !self.names_statements {
            let way = Way::Run(Form::Once(Text::of(query, &binds)?));
            return Ok(Ok(Request { key, binds, way }));
        }
        let way = match self.statements.find(&key) {
            Some(Found::Prepared(statement)) => Way::Run(Form::Prepared(statement)),
            // It was kept because diesel allows it, and diesel's verdict goes by the key.
            Some(Found::Slot(slot)) => Way::Prepare(slot, Text::of(query, &binds)?),
            None if query.is_safe_to_cache_prepared(&Pg).map_err(Error::mistranslated)? => {
                Way::Prepare(self.statements.slot(&key), Text::of(query, &binds)?)
            }
            None => Way::Run(Form::Once(Text::of(query, &binds)?)),
        };
        Ok(Ok(Request { key, binds, way }))
    }

    /// Looks up types of one's own first. The query itself is gone when the statement runs,
    /// since the parts of a boxed query cannot be shared between threads.
    async fn request_with(
        &self,
        types: &Arc<CustomTypes>,
        missing: MissingTypes,
        query: impl Statement,
    ) -> Result<Request> {
        types.learn(&self.client, missing).await?;
        self.request(&query, types)?.map_err(|_still_missing| {
            Error::mistranslated("a type was looked up and is unknown still")
        })
    }

    /// Runs a query whose rows the caller reads.
    pub(crate) async fn rows<Q: Statement>(
        self: &Arc<Self>,
        query: Q,
        types: &Arc<CustomTypes>,
    ) -> Result<Rows> {
        let running = Running::start(self);
        let Request { key, binds, way } = match self.request(&query, types)? {
            Ok(request) => request,
            Err(missing) => self.request_with(types, missing, query).await?,
        };
        let form = match way {
            Way::Run(form) => form,
            Way::Prepare(slot, text) => self.prepared(slot, text).await?,
        };
        let stream = match form {
            Form::Prepared(statement) => self.client.query_raw(&statement, values(&binds)).await,
            Form::Once(text) => {
                let Text { sql, bind_types } = *text;
                self.client.query_typed_raw(&sql, values(&binds).zip(bind_types)).await
            }
        };
        match stream {
            Ok(stream) => Ok(Rows { stream, running: Some(running) }),
            Err(error) => {
                running.end();
                Err(self.statement_failed(&key, types, error))
            }
        }
    }

    /// Runs a query for its first row; rows behind it are read and counted, since the answer has
    /// to come to its end. The same as [`Connection::rows`] would do, in one future instead of
    /// four: reading one row is what a service does most, and passing it on costs as much as
    /// reading it.
    pub(crate) async fn first_row<Q: Statement>(
        self: &Arc<Self>,
        query: Q,
        types: &Arc<CustomTypes>,
    ) -> Result<FirstRow> {
        let running = Running::start(self);
        let Request { key, binds, way } = match self.request(&query, types)? {
            Ok(request) => request,
            Err(missing) => self.request_with(types, missing, query).await?,
        };
        let form = match way {
            Way::Run(form) => form,
            Way::Prepare(slot, text) => self.prepared(slot, text).await?,
        };
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
        let read = read.await;
        running.end();
        match read {
            Ok(()) => Ok(answer),
            Err(error) => Err(self.statement_failed(&key, types, error)),
        }
    }

    /// Runs a query for its effect; the number of rows it touched.
    pub(crate) async fn execute<Q: Statement>(
        self: &Arc<Self>,
        query: Q,
        types: &Arc<CustomTypes>,
    ) -> Result<u64> {
        let running = Running::start(self);
        let Request { key, binds, way } = match self.request(&query, types)? {
            Ok(request) => request,
            Err(missing) => self.request_with(types, missing, query).await?,
        };
        let form = match way {
            Way::Run(form) => form,
            Way::Prepare(slot, text) => self.prepared(slot, text).await?,
        };
        let done = match form {
            Form::Prepared(statement) => self.client.execute_raw(&statement, values(&binds)).await,
            Form::Once(text) => {
                let Text { sql, bind_types } = *text;
                let values: Vec<_> = values(&binds).collect();
                let values = values.iter().map(|value| value as &(dyn ToSql + Sync));
                let typed: Vec<_> = values.zip(bind_types).collect();
                self.client.execute_typed(&sql, &typed).await
            }
        };
        running.end();
        done.map_err(|error| self.statement_failed(&key, types, error))
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

    /// Counts a statement that is run through [`Connection::client`].
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        Running::start(self)
    }

    /// Waits until everything that was sent has been answered, which the answer to something
    /// sent last shows, since Postgres answers in order. As long as answers come it waits for as
    /// many as there are; with none for `silence_max` it gives the connection up.
    pub(crate) async fn settle(&self, silence_max: Duration) {
        let mut last = pin!(self.client.check_connection());
        loop {
            let answers = self.answers.load(Ordering::Relaxed);
            match tokio::time::timeout(silence_max, &mut last).await {
                Ok(_answered_or_closed) => {
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(_elapsed) if self.answers.load(Ordering::Relaxed) != answers => {}
                Err(_elapsed) => {
                    tracing::warn!("connection given up on which postgres does not answer");
                    return self.give_up();
                }
            }
        }
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

    /// In which state the last user left it.
    pub(crate) fn left(&self) -> Left {
        if self.is_closed() {
            Left::Broken
        } else if self.running.load(Ordering::Relaxed) > 0 || self.abandoned.load(Ordering::Relaxed)
        {
            Left::Running
        } else if self.in_transaction.load(Ordering::Relaxed) {
            Left::InTransaction
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
    }

    /// Prepares a statement, unless somebody else has meanwhile. That goes on when the caller
    /// leaves, because a name that was made in Postgres and forgotten here would stay there for
    /// ever.
    async fn prepared(self: &Arc<Self>, slot: Slot, text: Box<Text>) -> Result<Form> {
        let Text { sql, bind_types } = *text;
        let prepare = async {
            let connection = Arc::clone(self);
            let task = self.runtime.spawn(async move {
                let prepared = connection.client.prepare_typed(&sql, &bind_types).await;
                prepared.map_err(Error::of_statement)
            });
            task.await.unwrap_or(Err(Error::Closed))
        };
        slot.get_or_try_init(|| prepare).await.cloned().map(Form::Prepared)
    }

    fn statement_failed(
        &self,
        key: &Key,
        types: &CustomTypes,
        error: tokio_postgres::Error,
    ) -> Error {
        let error = self.failed(error);
        if let Some(said) = error.postgres() {
            // Behind a pooler the driver has looked up a type that is newer than the connection,
            // with a statement that another session has: the next connection knows the type.
            if !self.names_statements && ["26000", "42P05"].contains(&said.code()) {
                self.broken.store(true, Ordering::Relaxed);
            }
            let type_is_gone = is_gone_type(said.code(), said.message());
            if type_is_gone {
                types.forget();
            }
            if type_is_gone || is_stale(said.code(), said.message()) {
                self.statements.forget(key);
            }
        }
        error
    }

    fn failed(&self, error: tokio_postgres::Error) -> Error {
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

/// Whether Postgres rejects a prepared statement because the schema changed under it.
fn is_stale(code: &str, message: &str) -> bool {
    code == "26000" || (code == "0A000" && message.contains("cached plan"))
}

/// Whether Postgres has no type of that number any more: somebody made the type anew.
fn is_gone_type(code: &str, message: &str) -> bool {
    code == "42704" || message.contains("cache lookup failed for type")
}

/// The word with which a text would begin or end a transaction, if it would.
fn transaction_control(sql: &str) -> Option<&'static str> {
    const WORDS: [&str; 8] =
        ["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE"];
    let mut rest = sql.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
    loop {
        let comment_end = if rest.starts_with("--") {
            rest.find('\n')
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 1)
        } else {
            break;
        };
        rest = rest[comment_end? + 1..].trim_start();
    }
    let word = rest.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    WORDS.into_iter().find(|control| word.eq_ignore_ascii_case(control))
}

/// How a connection was left by its last user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Clean,
    /// A statement whose answer nobody reads any more.
    Running,
    InTransaction,
    Broken,
}

impl Left {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Left::Clean => "clean",
            Left::Running => "running",
            Left::InTransaction => "in_transaction",
            Left::Broken => "broken",
        }
    }
}

/// A statement between its sending and the end of its answer. Dropped in between, it leaves a
/// mark on the connection.
#[derive(Debug)]
pub(crate) struct Running {
    connection: Arc<Connection>,
    ended: bool,
}

impl Running {
    fn start(connection: &Arc<Connection>) -> Running {
        connection.running.fetch_add(1, Ordering::Relaxed);
        Running { connection: Arc::clone(connection), ended: false }
    }

    /// The answer has been read to its end.
    pub(crate) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended {
            self.connection.answers.fetch_add(1, Ordering::Relaxed);
        } else {
            self.connection.abandoned.store(true, Ordering::Relaxed);
        }
        self.connection.running.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// The rows of one answer, as they come. Dropped before the end, it leaves the rest of the
    /// answer to be thrown away, and the connection marked.
    pub(crate) struct Rows {
        #[pin]
        stream: RowStream,
        running: Option<Running>,
    }
}

impl Stream for Rows {
    type Item = Result<PgRow>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<PgRow>>> {
        let this = self.project();
        let row = match ready!(this.stream.poll_next(cx)) {
            Some(Ok(row)) => return Poll::Ready(Some(Ok(PgRow::new(row)))),
            Some(Err(error)) => Some(Err(match this.running {
                Some(running) => running.connection.failed(error),
                None => Error::of_statement(error),
            })),
            None => None,
        };
        // Postgres says nothing more about a statement after an error or the last row.
        if let Some(running) = this.running.take() {
            running.end();
        }
        Poll::Ready(row)
    }
}

/// The values as the driver wants them.
fn values(binds: &Binds) -> impl ExactSizeIterator<Item = Bind<'_>> {
    binds.values().iter().map(|value| Bind(value.as_deref()))
}

/// A value that diesel has encoded already.
#[derive(Debug)]
struct Bind<'a>(Option<&'a [u8]>);

impl ToSql for Bind<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Some(bytes) => {
                out.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transaction_control_is_seen_through_case_space_and_comments() {
        for sql in [
            "BEGIN",
            "begin isolation level serializable",
            " ;\n commit",
            "-- now\nROLLBACK",
            "/* a */ -- b\n/* c */ savepoint s",
            "End;",
        ] {
            assert!(transaction_control(sql).is_some(), "{sql:?}");
        }
        for sql in [
            "SELECT 1 -- BEGIN",
            "SELECT 'COMMIT'",
            "beginning",
            "",
            "-- BEGIN",
            "/* BEGIN",
            "WITH abort AS (SELECT 1) SELECT * FROM abort",
        ] {
            assert_eq!(transaction_control(sql), None, "{sql:?}");
        }
    }
}
