//! Rows as a stream, at the pace of whoever reads them and in constant memory.
//!
//! Never on a shared connection: there one slow reader would stop everybody. A stream of one
//! statement holds a connection until its last row, so only a few may run; a stream in chunks
//! ordered by key gives the connection back between chunks, and a reader that stops holds
//! nothing at all.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use futures_util::{Stream, TryStreamExt, stream};
use tenfold_context::aside;
use tenfold_overload::Permit;
use tokio::time::Sleep;

use crate::connection::Rows;
use crate::database::Db;
use crate::error::{Error, Lane, Result};
use crate::pool::Exclusive;
use crate::query::Yields;
use crate::run;

impl Db {
    /// The rows of a query, as one snapshot. It holds a connection of the pool for as long as
    /// it lives; at most `database.streams_max` of them run at once, and the next one waits for
    /// its turn until the deadline. Dropped early, it cancels its statement.
    ///
    /// The deadline bounds the wait for the first row, not the whole stream: how long that
    /// takes is its reader's affair.
    #[track_caller]
    pub fn stream<U, Q>(&self, query: Q) -> impl Stream<Item = Result<U>> + Send + use<U, Q>
    where
        U: Send + 'static,
        Q: Yields<U> + 'static,
    {
        let db = self.clone();
        let opened = async move {
            let context = db.context();
            let place = db.streams().enter(context).await;
            let place = place.map_err(|refusal| Error::Refused { lane: Lane::Stream, refusal })?;
            let exclusive = db.take_exclusive().await?;
            let started = exclusive.connection().rows(query.into_statement(), db.types());
            let rows = match tokio::time::timeout_at(context.deadline().instant(), started).await {
                Ok(rows) => rows?,
                Err(_elapsed) => {
                    let after = tenfold_context::Moment::now().since(context.arrived());
                    return Err(Error::DeadlinePassed { after });
                }
            };
            let row_timeout = db.settings().stream_row_timeout;
            Ok(HeldRows { rows, row_timeout, waiting: None, _exclusive: exclusive, _place: place })
        };
        stream::once(aside::aside("a stream", opened))
            .try_flatten()
            .and_then(|row| std::future::ready(run::decode::<U, Q>(&row)))
    }

    /// The rows of a query in chunks, each a statement of its own on the exclusive lane, with
    /// no connection held in between.
    ///
    /// `chunk` makes the query for the rows after a key (`None` for the first chunk): it must
    /// order by a unique key and have a limit. `key` says the key of a row. The stream ends at
    /// the first empty chunk. Rows that change while it runs are seen as each chunk finds them.
    ///
    /// Each chunk has as long as the whole request had at first.
    pub fn stream_by_key<U, K, Q, C, G>(
        &self,
        chunk: C,
        key: G,
    ) -> impl Stream<Item = Result<U>> + Send + use<U, K, Q, C, G>
    where
        U: Send + 'static,
        K: Send + 'static,
        Q: Yields<U> + 'static,
        C: FnMut(Option<K>) -> Q + Send + 'static,
        G: Fn(&U) -> K + Send + 'static,
    {
        let context = self.context();
        let patience = context.deadline().moment().since(context.arrived());
        let state = Chunks { db: self.exclusive(), patience, chunk, key, after: None };
        stream::try_unfold(state, |mut state| async move {
            let rows = state.next().await?;
            let Some(last) = rows.last() else { return Ok(None) };
            state.after = Some((state.key)(last));
            Ok(Some((stream::iter(rows.into_iter().map(Ok)), state)))
        })
        .try_flatten()
    }
}

/// Where a stream in chunks stands.
struct Chunks<K, C, G> {
    db: Db,
    patience: Duration,
    chunk: C,
    key: G,
    after: Option<K>,
}

impl<K, C, G> Chunks<K, C, G> {
    async fn next<U, Q>(&mut self) -> Result<Vec<U>>
    where
        Q: Yields<U>,
        C: FnMut(Option<K>) -> Q,
    {
        let query = (self.chunk)(self.after.take());
        let deadline = tenfold_context::Deadline::after(self.patience);
        let db = self.db.clone().with_deadline(deadline);
        db.load(query).await
    }
}

pin_project_lite::pin_project! {
    /// The rows, and after them what they hold on to: fields are dropped in this order.
    struct HeldRows {
        #[pin]
        rows: Rows,
        row_timeout: Duration,
        // Runs while the reader and we wait for Postgres.
        waiting: Option<Pin<Box<Sleep>>>,
        _exclusive: Exclusive,
        _place: Permit,
    }
}

impl Stream for HeldRows {
    type Item = Result<crate::row::PgRow>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if let Poll::Ready(row) = this.rows.poll_next(cx) {
            *this.waiting = None;
            return Poll::Ready(row);
        }
        let row_timeout = *this.row_timeout;
        let waiting = this.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(row_timeout)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Some(Err(Error::DeadlinePassed { after: row_timeout })))
    }
}
