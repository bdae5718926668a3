//! The statements that one connection has prepared: bounded, and a miss makes only those wait
//! that asked for the same statement.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio::sync::OnceCell;
use tokio_postgres::Statement;

use crate::query::Key;

/// A place for one prepared statement; whoever comes first prepares it.
pub(crate) type Slot = Arc<OnceCell<Prepared>>;

/// A prepared statement.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) statement: Statement,
    /// The number of its preparation among all that was sent on the connection.
    pub(crate) number: u64,
    /// Whether it may wait for a lock though nobody changes its table.
    pub(crate) waits: bool,
}

/// What there is of a statement on a connection.
#[derive(Debug)]
pub(crate) enum Found {
    /// It has been prepared; whether it may wait for a lock though nobody changes its table.
    Prepared(Statement, bool),
    /// Somebody is just preparing it, or tried and failed.
    Slot(Slot),
}

/// The least recently used statement makes room for a new one and is closed in Postgres when
/// its last user is done.
#[derive(Debug)]
pub(crate) struct Statements(Mutex<LruCache<Key, Slot>>);

impl Statements {
    pub(crate) fn new(statements_max: NonZeroUsize) -> Statements {
        Statements(Mutex::new(LruCache::new(statements_max)))
    }

    /// This statement, if it has come before.
    pub(crate) fn find(&self, key: &Key) -> Option<Found> {
        let mut cache = self.cache();
        let slot = cache.get(key)?;
        Some(match slot.get() {
            Some(prepared) => Found::Prepared(prepared.statement.clone(), prepared.waits),
            None => Found::Slot(Arc::clone(slot)),
        })
    }

    /// The slot of this statement, empty if it is new. The lock is not held while preparing.
    pub(crate) fn slot(&self, key: &Key) -> Slot {
        Arc::clone(self.cache().get_or_insert_ref(key, Slot::default))
    }

    /// Forgets a statement that Postgres did not accept any more when it was sent as this number.
    /// One that has been prepared since is another one: of many that fail at the same time only
    /// the first has it prepared again.
    pub(crate) fn forget(&self, key: &Key, number: u64) {
        let mut cache = self.cache();
        let is_older = |slot: &Slot| slot.get().is_some_and(|prepared| prepared.number < number);
        if cache.peek(key).is_some_and(is_older) {
            cache.pop(key);
        }
    }

    /// Forgets all statements.
    pub(crate) fn clear(&self) {
        self.cache().clear();
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<Key, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::Text(text.into(), [].into())
    }

    #[test]
    fn keeps_the_recently_used_and_forgets_the_rest() {
        let statements = Statements::new(NonZeroUsize::new(2).unwrap());
        let (a, b) = (statements.slot(&key("a")), statements.slot(&key("b")));
        assert!(Arc::ptr_eq(&a, &statements.slot(&key("a"))));
        statements.slot(&key("c"));
        assert!(Arc::ptr_eq(&a, &statements.slot(&key("a"))), "used last but one: kept");
        assert!(!Arc::ptr_eq(&b, &statements.slot(&key("b"))), "used least: made anew");
    }

    #[test]
    fn the_same_text_with_other_types_is_another_statement() {
        let statements = Statements::new(NonZeroUsize::new(2).unwrap());
        let int4 = statements.slot(&Key::Text("select $1".into(), [23].into()));
        let int8 = statements.slot(&Key::Text("select $1".into(), [20].into()));
        assert!(!Arc::ptr_eq(&int4, &int8));
    }
}
