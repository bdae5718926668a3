//! Whose time it was that passed on a connection: what a statement took by itself, or what those
//! before it took whose callers have left.

use std::time::Duration;

use tenfold_context::Moment;

use super::Connection;
use crate::query::Key;

impl Connection {
    /// The answer to a statement has come to its end.
    #[inline]
    pub(super) fn answered(&self, number: u64, key: &Key) {
        let took = self.line.answered(number, Moment::now());
        if took >= self.slow_after || self.line.has_left() {
            self.judge(number, Some(key), took);
        }
    }

    /// Finds out whose time that was which an answer took: its own, or that of those before it
    /// whose callers have left. Several of these share the blame; it is only a suspicion, and one
    /// quick run elsewhere clears them of it.
    #[cold]
    pub(super) fn judge(&self, number: u64, key: Option<&Key>, took: Duration) {
        let Some(slow) = &self.slow else { return };
        let left = self.take_left(number);
        let Ok(suspects) = u32::try_from(left.len() + usize::from(key.is_some())) else { return };
        let each = took / suspects.max(1);
        if each < slow.after() {
            return;
        }
        if left.is_empty() {
            key.into_iter().for_each(|key| slow.slow(key.clone(), took));
        } else {
            left.into_iter().flatten().for_each(|key| slow.slow(key, each));
        }
    }

    /// A statement has waited for a lock for as long as may be. Nobody before it is to blame.
    #[cold]
    pub(super) fn waited_for_lock(&self, number: u64, key: &Key) {
        self.line.answered(number, Moment::now());
        self.take_left(number);
        if let Some(slow) = &self.slow {
            slow.waited_for_lock(key.clone());
        }
    }

    /// Those whose callers left before that one: they have been answered, and their turns end.
    fn take_left(&self, number: u64) -> Vec<Option<Key>> {
        let (left, turns) = self.line.take_left(number);
        if let Some(all) = &self.turns {
            all.give_back(turns);
        }
        left
    }

    /// A statement goes on though its caller has left, and so does its turn, if it has one.
    #[cold]
    pub(super) fn left_behind(&self, number: u64, key: Key, has_turn: bool) {
        let Some(slow) = &self.slow else { return };
        let key = match self.line.working_at(number, Moment::now()) {
            // It has not left because it was slow.
            _ if self.is_crowded() => None,
            Some(took) if took >= slow.after() => {
                slow.slow(key, took);
                None
            }
            _ => Some(key),
        };
        self.line.leave(number, key, has_turn);
    }
}
