//! What the program has decided by itself where a setting left it the choice, for `/config`:
//! whoever reads the settings there wants to know what is in effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Decisions by the key of their setting. A clone is the same list.
#[derive(Clone, Debug, Default)]
pub struct Decided(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Decided {
    /// Notes, or changes, what has been decided about a setting and why, in one line. `key` is
    /// one of the program's own, so that the list cannot grow without end.
    pub fn set(&self, key: &'static str, decision: String) {
        self.all().insert(key, decision);
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.all().get(key).cloned()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
