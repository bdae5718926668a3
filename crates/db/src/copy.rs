//! COPY: rows in bulk, at the pace at which Postgres takes them, or a reader does.

use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt, TryStreamExt, stream};
use tenfold_context::{Moment, aside};
use tokio_postgres::CopyOutStream;

use crate::connection::Running;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::pool::Work;
use crate::stream::Held;

impl Db {
    /// Runs a `COPY … FROM STDIN` and feeds it with `chunks`, on a connection of its own; the
    /// number of rows that came in. Nothing came in unless all did. Each chunk waits until
    /// Postgres has taken those before it.
    ///
    /// # Errors
    /// See [`Error`]. When the deadline passes, or the caller leaves, Postgres takes back
    /// what it had.
    #[track_caller]
    pub fn copy_in(
        &self,
        sql: &str,
        chunks: impl Stream<Item = Bytes>,
    ) -> impl Future<Output = Result<u64>> {
        aside::aside("COPY on another connection", async move {
            check(sql)?;
            let exclusive = self.take_exclusive(Work::Copy).await?;
            let connection = exclusive.connection();
            let running = connection.running();
            let copy = async {
                let sink = connection.client().copy_in::<_, Bytes>(sql).await?;
                let mut sink = pin!(sink);
                let mut chunks = pin!(chunks);
                while let Some(chunk) = chunks.next().await {
                    sink.feed(chunk).await?;
                }
                sink.finish().await
            };
            let began = Moment::now();
            match tokio::time::timeout_at(self.context().deadline().instant(), copy).await {
                Ok(copied) => {
                    running.end();
                    copied.map_err(Error::of_statement)
                }
                Err(_elapsed) => Err(Error::DeadlinePassed { after: Moment::now().since(began) }),
            }
        })
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
            check(&sql)?;
            let (place, exclusive) = db.take_for_stream().await?;
            let connection = exclusive.connection();
            let running = connection.running();
            let began = Moment::now();
            let started = connection.client().copy_out(&sql);
            let deadline = db.context().deadline();
            let rows = match tokio::time::timeout_at(deadline.instant(), started).await {
                Ok(Ok(rows)) => CopiedRows { rows, running: Some(running) },
                Ok(Err(error)) => {
                    let error = Error::of_statement(error);
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
            Ok(Held::new(&db, "COPY", rows, exclusive, place))
        };
        stream::once(aside::aside("COPY on another connection", opened)).try_flatten()
    }
}

/// Anything else might leave a transaction open that nobody knows of.
fn check(sql: &str) -> Result<()> {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next();
    match word.is_some_and(|word| word.eq_ignore_ascii_case("COPY")) {
        true => Ok(()),
        false => Err(Error::mistranslated(format!("a COPY is needed here, not {sql:?}"))),
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
