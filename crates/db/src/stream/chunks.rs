//! A stream in chunks, each a statement of its own: between them nothing is held, and nothing is
//! open in Postgres.

use std::time::Duration;

use tenfold_context::{Context, Deadline};

use super::key::UnusableKey;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::query::Yields;
use crate::run::Loaded;

/// Where a stream in chunks stands.
pub(crate) struct Chunks<K, C, G> {
    db: Db,
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
    pub(crate) fn new(db: &Db, chunk: C, key: G) -> Chunks<K, C, G> {
        let context: &Context = db.context();
        let patience = context.deadline().moment().since(context.arrived());
        Chunks {
            db: db.exclusive(),
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
        let query = (self.chunk)(self.after.from.take()).into_statement();
        let db = self.db.clone().with_deadline(Deadline::after(self.patience));
        let unknown = db.known_keys().look_at(&query)?;
        let Loaded { values, first_row } = db.load_at_once::<U, Q>(query, self.after.count).await?;
        if let (Some(unknown), Some(row)) = (unknown, &first_row) {
            unknown.check(&db, row).await?;
        }
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
