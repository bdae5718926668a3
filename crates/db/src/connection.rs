//! One connection to Postgres, thin over tokio-postgres: it finds or prepares a statement, runs
//! it, and knows whether it may be handed to somebody else afterwards.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, ready};

use futures_util::Stream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_postgres::types::{IsNull, ToSql, Type};
use tokio_postgres::{CancelToken, Client, NoTls, RowStream};

use crate::error::{Class, Error, Result};
use crate::query::{Request, Statement, sql_of};
use crate::row::PgRow;
use crate::statements::{Slot, Statements};
use crate::types::{CustomTypes, type_of};

/// A connection and what it has prepared. Statements on one connection are pipelined: each is
/// sent at once, and Postgres answers them in order.
#[derive(Debug)]
pub(crate) struct Connection {
    client: Client,
    statements: Statements,
    /// Where the socket is driven.
    runtime: Handle,
    /// Statements that were sent and whose answer has not come to its end.
    running: AtomicUsize,
    /// Whether an answer's reader went away before its end; the pool cleans up then.
    abandoned: AtomicBool,
    /// Whether a transaction is open, or may be.
    in_transaction: AtomicBool,
    /// Whether Postgres said that it ends this connection; the socket hears of it later.
    broken: AtomicBool,
}

/// A request that found its connection and its statement's place there.
pub(crate) struct Ready {
    request: Request,
    slot: Slot,
    /// The text, if it is not prepared yet.
    sql: Option<Arc<str>>,
}

impl Connection {
    /// Connects; the socket is driven by a task of the current runtime, which ends when the
    /// connection does.
    pub(crate) async fn open(
        config: &tokio_postgres::Config,
        statements_max: NonZeroUsize,
    ) -> Result<(Arc<Connection>, JoinHandle<()>)> {
        let (client, connection) = config.connect(NoTls).await.map_err(Error::unreachable)?;
        let runtime = Handle::current();
        let driver = runtime.spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "connection to postgres lost"
                );
            }
        });
        let connection = Connection {
            client,
            statements: Statements::new(statements_max),
            runtime,
            running: AtomicUsize::new(0),
            abandoned: AtomicBool::new(false),
            in_transaction: AtomicBool::new(false),
            broken: AtomicBool::new(false),
        };
        Ok((Arc::new(connection), driver))
    }

    /// Turns a query into what travels, looking up types of one's own on the way. The query
    /// itself is gone when this waits, since the parts of a boxed query cannot be shared
    /// between threads.
    pub(crate) async fn ready<Q: Statement>(
        &self,
        query: Q,
        types: &Arc<CustomTypes>,
    ) -> Result<Ready> {
        let request = match Request::of(&query, types)? {
            Ok(request) => request,
            Err(missing) => {
                types.learn(&self.client, missing).await?;
                Request::of(&query, types)?.map_err(|_still_missing| {
                    Error::mistranslated("a type was looked up and is unknown still")
                })?
            }
        };
        let slot =
            if request.cacheable { self.statements.slot(&request.key) } else { Slot::default() };
        let sql = if slot.initialized() { None } else { Some(sql_of(&query)?) };
        Ok(Ready { request, slot, sql })
    }

    /// Runs a query whose rows the caller reads.
    pub(crate) async fn rows(self: &Arc<Self>, ready: Ready) -> Result<Rows> {
        let running = Running::start(self);
        let Ready { request, slot, sql } = ready;
        let stream = if request.cacheable {
            let statement = self.prepared(&request, &slot, sql).await?;
            self.client.query_raw(&statement, binds(&request)).await
        } else {
            let sql = sql.unwrap_or_default();
            let types = request.bind_types.iter().copied().map(type_of);
            self.client.query_typed_raw(&sql, binds(&request).zip(types)).await
        };
        match stream {
            Ok(stream) => Ok(Rows { stream, running: Some(running) }),
            Err(error) => {
                running.end();
                Err(self.statement_failed(&request, error))
            }
        }
    }

    /// Runs a query for its effect; the number of rows it touched.
    pub(crate) async fn execute(self: &Arc<Self>, ready: Ready) -> Result<u64> {
        let running = Running::start(self);
        let Ready { request, slot, sql } = ready;
        let done = if request.cacheable {
            let statement = self.prepared(&request, &slot, sql).await?;
            self.client.execute_raw(&statement, binds(&request)).await
        } else {
            let sql = sql.unwrap_or_default();
            let values: Vec<_> = binds(&request).collect();
            let types = request.bind_types.iter().copied().map(type_of);
            let typed: Vec<_> =
                values.iter().map(|v| v as &(dyn ToSql + Sync)).zip(types).collect();
            self.client.execute_typed(&sql, &typed).await
        };
        running.end();
        done.map_err(|error| self.statement_failed(&request, error))
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

    /// Says that all that was left behind is cleaned up.
    pub(crate) fn set_clean(&self) {
        self.abandoned.store(false, Ordering::Relaxed);
        self.in_transaction.store(false, Ordering::Relaxed);
    }

    /// The prepared statement of this slot. Preparing goes on when the caller leaves, because a
    /// name that was made in Postgres and forgotten here would stay there for ever.
    async fn prepared(
        self: &Arc<Self>,
        request: &Request,
        slot: &Slot,
        sql: Option<Arc<str>>,
    ) -> Result<tokio_postgres::Statement> {
        if let Some(statement) = slot.get() {
            return Ok(statement.clone());
        }
        let prepare = async {
            let types: Vec<Type> = request.bind_types.iter().copied().map(type_of).collect();
            let (connection, sql) = (Arc::clone(self), sql.unwrap_or_default());
            let task = self.runtime.spawn(async move {
                connection.client.prepare_typed(&sql, &types).await.map_err(Error::of_statement)
            });
            task.await.unwrap_or(Err(Error::Closed))
        };
        slot.get_or_try_init(|| prepare).await.cloned()
    }

    fn statement_failed(&self, request: &Request, error: tokio_postgres::Error) -> Error {
        let error = self.failed(error);
        if error.postgres().is_some_and(|error| is_stale(error.code(), error.message())) {
            self.statements.forget(&request.key);
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

/// Whether Postgres rejects a prepared statement because the schema changed under it.
fn is_stale(code: &str, message: &str) -> bool {
    code == "26000" || (code == "0A000" && message.contains("cached plan"))
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
        if !self.ended {
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

/// The values of a request as the driver wants them.
fn binds(request: &Request) -> impl ExactSizeIterator<Item = Bind<'_>> {
    request.binds.iter().map(|bind| Bind(bind.as_deref()))
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
