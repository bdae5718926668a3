//! The statements that one connection has prepared: bounded, and a miss makes only those wait
//! that asked for the same statement.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use lru::LruCache;
use tokio::sync::OnceCell;
use tokio_postgres::Statement;

use crate::query::Key;

/// A place for one prepared statement; whoever comes first prepares it.
pub(crate) type Slot = Arc<OnceCell<Statement>>;

/// The least recently used statement makes room for a new one and is closed in Postgres when
/// its last user is done.
#[derive(Debug)]
pub(crate) struct Statements(Mutex<LruCache<Key, Slot>>);

impl Statements {
    pub(crate) fn new(statements_max: NonZeroUsize) -> Statements {
        Statements(Mutex::new(LruCache::new(statements_max)))
    }

    /// The slot of this statement, empty if it is new. The lock is not held while preparing.
    pub(crate) fn slot(&self, key: &Key) -> Slot {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match cache.get(key) {
            Some(slot) => Arc::clone(slot),
            None => {
                let slot = Slot::default();
                cache.put(key.clone(), Arc::clone(&slot));
                slot
            }
        }
    }

    /// Forgets a statement that Postgres does not accept any more.
    pub(crate) fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(key);
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
