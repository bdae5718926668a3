//! A stream in chunks, each a statement of its own: between them nothing is held, and nothing is
//! open in Postgres.

use std::time::Duration;

use tenfold_context::{Context, Deadline};

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
        Q: Yields<U>,
        C: FnMut(Option<K>) -> Q,
        G: Fn(&U) -> K,
    {
        let mut query = (self.chunk)(self.after.from.take()).into_statement();
        let (patience, count) = (self.patience, self.after.count);
        let values = match load::<U, Q>(&self.db, patience, &mut query, count).await {
            // Of this chunk nothing has been handed out.
            Err(error) if error.is_of_its_server() && self.primary.is_some() => {
                self.db = self.primary.take().unwrap_or_else(|| self.db.clone());
                self.db.metrics().run_again(REPLICA_LOST);
                load::<U, Q>(&self.db, patience, &mut query, count).await?
            }
            values => values?,
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

/// The rows of a chunk; the first time it is looked whether their order is that of a key.
async fn load<U, Q: Yields<U>>(
    db: &Db,
    patience: Duration,
    query: &mut Q::Statement,
    count: usize,
) -> Result<Vec<U>> {
    let db = db.clone().with_deadline(Deadline::after(patience));
    let unknown = db.known_keys().look_at(query)?;
    let Loaded { values, first_row } = db.load_at_once::<U, Q>(query, count).await?;
    if let (Some(unknown), Some(row)) = (unknown, &first_row) {
        unknown.check(&db, row).await?;
    }
    Ok(values)
}
