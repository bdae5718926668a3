//! COPY: rows in bulk, at the pace at which Postgres takes them, or a reader does.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt, TryStreamExt, stream};
use tenfold_context::{Moment, aside};
use tokio_postgres::CopyOutStream;

use crate::connection::{Connection, Running};
use crate::database::Db;
use crate::error::{Error, Result};
use crate::pool::Work;
use crate::session;
use crate::stream::Held;

impl Db {
    /// Runs a `COPY … FROM STDIN` and feeds it with `chunks`, on a connection of its own; the
    /// number of rows that came in. Nothing came in unless all did. Each chunk waits until
    /// Postgres has taken those before it.
    ///
    /// The end of `chunks` is taken for the end of the rows. What comes from a source that may
    /// break in the middle, such as an upload, belongs to [`Db::try_copy_in`].
    ///
    /// # Errors
    /// See [`Error`]. When the deadline passes, or the caller leaves, Postgres takes back
    /// what it had, unless it had all of it.
    #[track_caller]
    pub fn copy_in(
        &self,
        sql: &str,
        chunks: impl Stream<Item = Bytes>,
    ) -> impl Future<Output = Result<u64>> {
        self.try_copy_in(sql, chunks.map(Ok::<_, Error>))
    }

    /// The same with chunks of which one may be an error: then Postgres takes back what it had,
    /// and the error is what comes back.
    ///
    /// ```
    /// # use bytes::Bytes;
    /// # use futures_util::{Stream, TryStreamExt};
    /// # use tenfold_db::{Db, Error};
    /// # #[derive(Debug)]
    /// # enum Failure { Database(Error), Upload(std::io::Error) }
    /// # impl From<Error> for Failure { fn from(error: Error) -> Failure { Failure::Database(error) } }
    /// async fn import(
    ///     db: &Db,
    ///     upload: impl Stream<Item = std::io::Result<Bytes>>,
    /// ) -> Result<u64, Failure> {
    ///     let sql = "COPY products (name, price) FROM STDIN (FORMAT csv)";
    ///     db.try_copy_in(sql, upload.map_err(Failure::Upload)).await
    /// }
    /// ```
    ///
    /// # Errors
    /// That of `chunks`, or as in [`Db::copy_in`].
    #[track_caller]
    pub fn try_copy_in<E: From<Error>>(
        &self,
        sql: &str,
        chunks: impl Stream<Item = Result<Bytes, E>>,
    ) -> impl Future<Output = Result<u64, E>> {
        aside::aside("COPY on another connection", async move {
            check(sql, "STDIN")?;
            let exclusive = self.take_exclusive(Work::Copy).await?;
            let connection = exclusive.connection();
            let copy = async {
                keep_session(connection).await.map_err(CopyInError::ours)?;
                let sink = connection.client().copy_in::<_, Bytes>(sql).await?;
                let mut sink = pin!(sink);
                let mut chunks = pin!(chunks);
                while let Some(chunk) = chunks.next().await {
                    sink.feed(chunk.map_err(CopyInError::Source)?).await?;
                }
                let copied = sink.finish().await?;
                let committed = commit(connection).await;
                committed.map(|()| copied).map_err(CopyInError::ours)
            };
            self.watch_copy_in(connection, copy).await
        })
    }

    /// Waits for the end of a COPY that is fed. Whatever ends it but the end of its source has
    /// dropped the sink, which makes COPY fail in Postgres.
    pub(crate) async fn watch_copy_in<E: From<Error>>(
        &self,
        connection: &Arc<Connection>,
        copy: impl Future<Output = Result<u64, CopyInError<E>>>,
    ) -> Result<u64, E> {
        let running = connection.running();
        let began = Moment::now();
        match tokio::time::timeout_at(self.context().deadline().instant(), copy).await {
            Ok(Ok(copied)) => {
                running.end();
                Ok(copied)
            }
            Ok(Err(CopyInError::Driver(error))) => {
                let error = connection.failed(error);
                // What is no COPY FROM STDIN runs on, and has to be stopped.
                if error.postgres().is_some() {
                    running.end();
                }
                Err(error.into())
            }
            // The pool ends what has begun.
            Ok(Err(CopyInError::Source(error))) => Err(error),
            Err(_elapsed) => {
                Err(Error::DeadlinePassed { after: Moment::now().since(began) }.into())
            }
        }
    }

    /// What a `COPY … TO STDOUT` puts out: one row at a time, in the format that it asks for.
    /// Of all ways to read a table it takes the least of the processor, since nothing is
    /// translated here. Everything that [`Db::stream`] says about its connection and its
    /// reader holds.
    #[track_caller]
    pub fn copy_out(&self, sql: &str) -> impl Stream<Item = Result<Bytes>> + Send + use<> {
        let db = self.clone();
        let sql = sql.to_owned();
        let opened = async move {
            check(&sql, "STDOUT")?;
            let (place, exclusive) = db.take_for_stream().await?;
            let connection = exclusive.connection();
            let running = connection.running();
            let began = Moment::now();
            let started = async {
                keep_session(connection).await?;
                connection.client().copy_out(&sql).await.map_err(|error| connection.failed(error))
            };
            let deadline = db.context().deadline();
            let rows = match tokio::time::timeout_at(deadline.instant(), started).await {
                Ok(Ok(rows)) => CopiedRows { rows, running: Some(running) },
                Ok(Err(error)) => {
                    // What is no COPY TO STDOUT runs on, and has to be stopped.
                    if error.postgres().is_some() {
                        running.end();
                    }
                    return Err(error);
                }
                Err(_elapsed) => {
                    return Err(Error::DeadlinePassed { after: Moment::now().since(began) });
                }
            };
            let connection = Arc::clone(connection);
            let end = stream::once(async move { commit(&connection).await });
            // A row that is none: it is there for its error.
            let rows = rows.chain(end.map_ok(|()| Bytes::new()));
            let rows = rows.try_filter(|row| std::future::ready(!row.is_empty()));
            Ok(Held::new(&db, "COPY", rows, exclusive, place))
        };
        stream::once(aside::aside("COPY on another connection", opened)).try_flatten()
    }
}

/// Why a COPY that is fed did not come to its end.
pub(crate) enum CopyInError<E> {
    /// Postgres, or the way to it.
    Driver(tokio_postgres::Error),
    /// Where the rows come from.
    Source(E),
}

impl<E: From<Error>> CopyInError<E> {
    /// A row that cannot be sent.
    pub(crate) fn ours(error: Error) -> CopyInError<E> {
        CopyInError::Source(error.into())
    }
}

impl<E> From<tokio_postgres::Error> for CopyInError<E> {
    fn from(error: tokio_postgres::Error) -> CopyInError<E> {
        CopyInError::Driver(error)
    }
}

/// COPY goes to Postgres in two steps, of which the second needs what the first has made there.
/// Where each transaction may come to another session, both have to be in one; and in that session
/// somebody else may have left a statement of the same name.
pub(crate) async fn keep_session(connection: &Arc<Connection>) -> Result<()> {
    if connection.names_statements() {
        return Ok(());
    }
    connection.set_in_transaction(true);
    connection.batch("BEGIN; DEALLOCATE ALL").await
}

/// Ends what [`keep_session`] has begun. What ends in another way is rolled back by the pool.
pub(crate) async fn commit(connection: &Arc<Connection>) -> Result<()> {
    if connection.names_statements() {
        return Ok(());
    }
    connection.batch("COMMIT").await?;
    connection.set_in_transaction(false);
    Ok(())
}

/// Anything else might leave a transaction open that nobody knows of, or the connection waiting
/// for rows that nobody sends.
fn check(sql: &str, end: &'static str) -> Result<()> {
    let is = |wanted: &'static str| move |word: &str| word.eq_ignore_ascii_case(wanted);
    let mut words = session::words(sql);
    match words.next().is_some_and(is("COPY")) && words.any(is(end)) {
        true => Ok(()),
        false => Err(Error::mistranslated(format!("a COPY … {end} is needed here, not {sql:?}"))),
    }
}

pin_project_lite::pin_project! {
    /// The rows of a COPY as they come.
    struct CopiedRows {
        #[pin]
        rows: CopyOutStream,
        // `None` once they have come to their end, and the driver must not be asked again.
        running: Option<Running>,
    }
}

impl Stream for CopiedRows {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Bytes>>> {
        let this = self.project();
        if this.running.is_none() {
            return Poll::Ready(None);
        }
        let row = match ready!(this.rows.poll_next(cx)) {
            Some(Ok(row)) => return Poll::Ready(Some(Ok(row))),
            Some(Err(error)) => Some(Err(Error::of_statement(error))),
            None => None,
        };
        if let Some(running) = this.running.take() {
            running.end();
        }
        Poll::Ready(row)
    }
}
