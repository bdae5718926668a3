//! A stream in chunks, each a statement of its own: between them nothing is held, and nothing is
//! open in Postgres.
//!
//! A chunk is loaded by a task, to its end: whoever reads the stream may stop to do so at any time,
//! as the body of an answer does whose client takes nothing, and no connection may wait for that.

use std::panic::resume_unwind;
use std::time::Duration;

use tenfold_context::{Context, Deadline};
use tokio::task::JoinSet;

use super::key::UnusableKey;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::query::Yields;
use crate::replica::REPLICA_LOST;
use crate::run::Loaded;

/// Where a stream in chunks stands.
pub(crate) struct Chunks<K, C, G> {
    db: Db,
    /// Who goes on if that is a replica and is lost.
    primary: Option<Db>,
    patience: Duration,
    chunk: C,
    key: G,
    after: After<K>,
}

/// What is known of the chunk before: nothing before the first one.
struct After<K> {
    /// The key of its last row, to go on from.
    from: Option<K>,
    first: Option<K>,
    last: Option<K>,
    /// Its rows: the next chunk is likely to have as many.
    count: usize,
}

impl<K, C, G> Chunks<K, C, G> {
    pub(crate) fn new(db: &Db, replica: Option<&Db>, chunk: C, key: G) -> Chunks<K, C, G> {
        let context: &Context = db.context();
        let patience = context.deadline().moment().since(context.arrived());
        Chunks {
            db: replica.unwrap_or(db).exclusive(),
            primary: replica.map(|_| db.exclusive()),
            patience,
            chunk,
            key,
            after: After { from: None, first: None, last: None, count: 0 },
        }
    }

    /// The next rows; none at the end.
    pub(crate) async fn next<U, Q>(&mut self) -> Result<Vec<U>>
    where
        K: PartialEq,
        U: Send + 'static,
        Q: Yields<U> + 'static,
        C: FnMut(Option<K>) -> Q,
        G: Fn(&U) -> K,
    {
        let query = (self.chunk)(self.after.from.take()).into_statement();
        let (patience, count) = (self.patience, self.after.count);
        let (values, query) = load::<U, Q>(&self.db, patience, query, count).await?;
        let values = match (values, self.primary.take()) {
            // Of this chunk nothing has been handed out.
            (Err(error), Some(primary)) if error.is_of_its_server() => {
                self.db = primary;
                self.db.metrics().run_again(REPLICA_LOST);
                load::<U, Q>(&self.db, patience, query, count).await?.0?
            }
            (values, primary) => {
                self.primary = primary;
                values?
            }
        };
        // An index makes the columns of one table unique; what a query joins to them, or how it
        // goes on behind a key, only its rows can show.
        let first = values.first().map(&self.key);
        if first.is_some() && first == self.after.first {
            return Err(Error::unusable_key(UnusableKey::Stuck));
        }
        let mut last = self.after.last.take();
        for row in &values {
            let key = Some((self.key)(row));
            if key == last {
                return Err(Error::unusable_key(UnusableKey::Repeated));
            }
            last = key;
        }
        let from = values.last().map(&self.key);
        self.after = After { from, first, last, count: values.len() };
        Ok(values)
    }
}

/// The rows of a chunk, or why there are none, with its query; whoever leaves stops it.
async fn load<U, Q>(
    db: &Db,
    patience: Duration,
    mut query: Q::Statement,
    count: usize,
) -> Result<(Result<Vec<U>>, Q::Statement)>
where
    U: Send + 'static,
    Q: Yields<U> + 'static,
{
    let db = db.clone().with_deadline(Deadline::after(patience));
    let context = db.context().clone();
    // A set, because that ends its task when it is dropped.
    let mut task = JoinSet::new();
    task.spawn(context.scope(async move {
        let values = load_all::<U, Q>(&db, &mut query, count).await;
        (values, query)
    }));
    match task.join_next().await {
        Some(Ok(loaded)) => Ok(loaded),
        Some(Err(failed)) if failed.is_panic() => resume_unwind(failed.into_panic()),
        // Its event loop is ending.
        Some(Err(_)) | None => Err(Error::Closed),
    }
}

/// The rows of a chunk; the first time it is looked whether their order is that of a key.
async fn load_all<U, Q: Yields<U>>(
    db: &Db,
    query: &mut Q::Statement,
    count: usize,
) -> Result<Vec<U>> {
    let unknown = db.known_keys().look_at(query)?;
    let Loaded { values, first_row } = db.load_at_once::<U, Q>(query, count).await?;
    if let (Some(unknown), Some(row)) = (unknown, &first_row) {
        unknown.check(db, row).await?;
    }
    Ok(values)
}
