//! COPY: rows in bulk, at the pace at which Postgres takes them.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{SinkExt, Stream, StreamExt};
use tenfold_context::aside;

use crate::database::Db;
use crate::error::{Error, Result};

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
            let exclusive = self.take_exclusive().await?;
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
            let began = tenfold_context::Moment::now();
            match tokio::time::timeout_at(self.context().deadline().instant(), copy).await {
                Ok(copied) => {
                    running.end();
                    copied.map_err(Error::of_statement)
                }
                Err(_elapsed) => {
                    let after = tenfold_context::Moment::now().since(began);
                    Err(Error::DeadlinePassed { after })
                }
            }
        })
    }
}
