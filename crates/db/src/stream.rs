//! Rows as a stream, at the pace of whoever reads them and in constant memory.
//!
//! Never on a shared connection: there one slow reader would stop everybody. A stream of one
//! statement holds a connection until its last row, so only a few may run, and their readers
//! have to keep up; a stream in chunks ordered by key gives the connection back between chunks,
//! and a reader that stops holds nothing at all.

mod chunks;
mod held;
mod key;
mod ordering;
mod pace;

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tenfold_context::aside;

use crate::database::Db;
use crate::error::{Error, Lane, Result};
use crate::query::Yields;
use crate::replica::REPLICA_LOST;
use crate::row::PgRow;
use crate::run;

use chunks::Chunks;
pub(crate) use held::Held;
pub(crate) use key::KnownKeys;

impl Db {
    /// The rows of a query, as one snapshot. It holds a connection of the pool for as long as
    /// it lives; at most `database.streams_max` of them run at once, and the next one waits for
    /// its turn until the deadline. Dropped early, it cancels its statement.
    ///
    /// The deadline bounds the wait for the first row, not the whole stream: how long that
    /// takes is its reader's affair, as long as it takes `database.stream_rate_min`. Else it is
    /// ended with [`Error::ReaderTooSlow`], and the connection is somebody else's.
    #[track_caller]
    pub fn stream<U, Q>(&self, query: Q) -> impl Stream<Item = Result<U>> + Send + use<U, Q>
    where
        U: Send + 'static,
        Q: Yields<U> + 'static,
    {
        self.stream_or_of::<U, Q>(None, query)
    }

    /// The same of a replica, if there is one; of this one if the replica is lost before it has
    /// given a row.
    #[track_caller]
    pub(crate) fn stream_or_of<U, Q>(
        &self,
        replica: Option<&Db>,
        query: Q,
    ) -> impl Stream<Item = Result<U>> + Send + use<U, Q>
    where
        U: Send + 'static,
        Q: Yields<U> + 'static,
    {
        let (replica, db) = (replica.cloned(), self.clone());
        let opened = async move {
            let mut statement = query.into_statement();
            if let Some(replica) = replica {
                match replica.open_stream::<U, Q>(&mut statement, true).await {
                    Err(error) if error.is_of_its_server() => {
                        db.metrics().run_again(REPLICA_LOST);
                    }
                    opened => return opened,
                }
            }
            db.open_stream::<U, Q>(&mut statement, false).await
        };
        stream::once(aside::aside("a stream", opened))
            .try_flatten()
            .and_then(|row| std::future::ready(run::decode::<U, Q>(&row)))
    }

    /// Starts a stream; on request it waits for the first row, or for why there is none.
    async fn open_stream<U, Q: Yields<U>>(
        &self,
        statement: &mut Q::Statement,
        with_first: bool,
    ) -> Result<impl Stream<Item = Result<PgRow>> + Send + use<U, Q>> {
        let (place, exclusive) = self.take_for_stream().await?;
        let context = self.context();
        let started = exclusive.connection().rows(statement, self.types());
        let rows = match tokio::time::timeout_at(context.deadline().instant(), started).await {
            Ok(rows) => rows?,
            Err(_elapsed) => {
                let after = tenfold_context::Moment::now().since(context.arrived());
                return Err(Error::DeadlinePassed { after });
            }
        };
        let mut held = Held::new(self, std::any::type_name::<U>(), rows, exclusive, place);
        let first = if with_first { held.next().await.transpose()? } else { None };
        Ok(stream::iter(first.map(Ok)).chain(held))
    }

    /// The rows of a query in chunks, each a statement of its own on the exclusive lane, with
    /// no connection held in between.
    ///
    /// `chunk` makes the query for the rows after a key (`None` for the first chunk), and `key`
    /// says the key of a row. The query must have a limit, and order by columns that are unique
    /// together and that an index has in this order; its condition must be the same columns
    /// behind the key. That is looked up when a query is streamed for the first time, and what
    /// is not so is [`Error::UnusableKey`], which names what is missing.
    ///
    /// The stream ends at the first empty chunk. Rows that change while it runs are seen as each
    /// chunk finds them. Each chunk has as long as the whole request had at first.
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
        self.stream_by_key_or_of::<U, K, Q, C, G>(None, chunk, key)
    }

    /// The same of a replica, if there is one; from the chunk on with which the replica is lost,
    /// of this one.
    pub(crate) fn stream_by_key_or_of<U, K, Q, C, G>(
        &self,
        replica: Option<&Db>,
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
        let chunks = Chunks::new(self, replica, chunk, key);
        stream::try_unfold(chunks, |mut chunks| async move {
            let rows = chunks.next::<U, Q>().await?;
            if rows.is_empty() {
                return Ok::<_, Error>(None);
            }
            Ok(Some((stream::iter(rows.into_iter().map(Ok)), chunks)))
        })
        .try_flatten()
    }

    /// A connection for a stream, and the place of one of the few.
    pub(crate) async fn take_for_stream(
        &self,
    ) -> Result<(tenfold_overload::Permit, crate::pool::Exclusive)> {
        let place = self.streams().enter(self.context()).await;
        let place = place.map_err(|refusal| Error::refused(Lane::Stream, refusal))?;
        Ok((place, self.take_exclusive(crate::pool::Work::Stream).await?))
    }
}
