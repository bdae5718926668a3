//! Which statements are too slow for the shared lane: found out by what they took themselves,
//! known to all shards, and forgiven when they are quick again.
//!
//! One slow run is enough to be sent elsewhere, since on the shared lane everybody behind it
//! waits. It may have been bad luck (a pause of Postgres, an event loop that was held up), so
//! the first time one quick run on the exclusive lane is enough to come back. Each further slow
//! run doubles how many quick ones in a row that takes, so that a statement that is now this and
//! now that stays where it disturbs nobody.

use std::any::TypeId;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tenfold_context::Moment;

use crate::query::{Key, Statement, sql_of};

/// Statements that are remembered. The least recently slow one is forgotten, which costs one
/// more slow run.
const KNOWN_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("it is not zero");

/// Quick runs in a row that bring the slowest statement back.
const QUICK_NEEDED_MAX: u32 = 64;

/// How long others are expected to wait for a lock after one has.
const LOCKS_LAST: Duration = Duration::from_secs(1);

/// The bit of all statements that are put together at run time: they cannot be told apart without
/// their text.
const TEXT: u64 = 1 << 63;

/// The statements that were slow on a shared lane. A clone is the same list.
#[derive(Clone, Debug)]
pub(crate) struct SlowStatements(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What takes longer by itself is slow.
    after: Duration,
    /// A bit for each statement that is sent elsewhere, so that the usual one need not be looked
    /// for. Mostly zero.
    filter: AtomicU64,
    /// Until when a statement that waits for a lock is expected to be one of many, in nanoseconds.
    locks_until: AtomicU64,
    known: Mutex<LruCache<Key, Trial>>,
}

/// What is known of one statement.
#[derive(Debug)]
struct Trial {
    state: State,
    /// Quick runs in a row that bring it back.
    quick_needed: u32,
    /// Its text, since it was first sent elsewhere.
    sql: Option<Arc<str>>,
    /// What it took when it was last slow.
    took: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// On the exclusive lane until it has been quick so often in a row.
    Away { quick_left: u32 },
    /// On the shared lane again; slow once more, it stays away for longer.
    Back,
}

impl SlowStatements {
    pub(crate) fn new(after: Duration) -> SlowStatements {
        let known = Mutex::new(LruCache::new(KNOWN_MAX));
        let (filter, locks_until) = (AtomicU64::new(0), AtomicU64::new(0));
        SlowStatements(Arc::new(Inner { after, filter, locks_until, known }))
    }

    /// What takes longer by itself is slow.
    pub(crate) fn after(&self) -> Duration {
        self.0.after
    }

    /// The name of a statement that has to go elsewhere; `None` for one that may go over the
    /// shared lane.
    #[inline]
    pub(crate) fn find<Q: Statement>(&self, query: &Q) -> Option<Key> {
        match self.0.filter.load(Ordering::Relaxed) {
            0 => None,
            filter => self.look_up(filter, query),
        }
    }

    #[cold]
    fn look_up<Q: Statement>(&self, filter: u64, query: &Q) -> Option<Key> {
        let id = Q::query_id();
        if filter & id.map_or(TEXT, bit_of) == 0 {
            return None;
        }
        let key = match id {
            Some(id) => Key::Type(id),
            // Who cannot be read is told so when it is to be sent.
            None => name(Key::Text(sql_of(query).ok()?, [].into())),
        };
        let mut known = self.known();
        let trial = known.get_mut(&key)?;
        if trial.state == State::Back {
            return None;
        }
        if trial.sql.is_none()
            && let Ok(sql) = sql_of(query)
        {
            let took_ms = trial.took.as_millis() as u64;
            tracing::info!(%sql, took_ms, "slow statement goes to the exclusive lane");
            trial.sql = Some(sql);
        }
        Some(key)
    }

    /// A statement took that long by itself, with others behind it or on the exclusive lane.
    pub(crate) fn slow(&self, key: Key, took: Duration) {
        let mut known = self.known();
        let first = || Trial { state: State::Back, quick_needed: 0, sql: None, took };
        let trial = known.get_or_insert_mut(name(key), first);
        trial.quick_needed = (trial.quick_needed * 2).clamp(1, QUICK_NEEDED_MAX);
        trial.state = State::Away { quick_left: trial.quick_needed };
        trial.took = took;
        self.0.filter.store(filter_of(&known), Ordering::Relaxed);
    }

    /// A statement waited for a lock for as long as may be: it waits elsewhere from now on, and
    /// others may be about to wait for the same one.
    pub(crate) fn waited_for_lock(&self, key: Key) {
        self.slow(key, self.0.after);
        let until = (Moment::now() + LOCKS_LAST).as_nanos();
        self.0.locks_until.store(until, Ordering::Relaxed);
    }

    /// Whether statements wait for locks these days.
    pub(crate) fn expects_locks(&self, now: Moment) -> bool {
        now.as_nanos() < self.0.locks_until.load(Ordering::Relaxed)
    }

    /// Whether a statement has been sent elsewhere meanwhile.
    pub(crate) fn is_away(&self, key: &Key) -> bool {
        let known = self.known();
        known.peek(&name(key.clone())).is_some_and(|trial| trial.state != State::Back)
    }

    /// A statement that was sent elsewhere took that long there. What is neither slow nor quick
    /// (less than half of slow) says nothing new, except that it is not quick yet.
    pub(crate) fn ran_elsewhere(&self, key: &Key, took: Duration) {
        if took >= self.0.after {
            return self.slow(key.clone(), took);
        }
        let mut known = self.known();
        let Some(trial) = known.peek_mut(key) else { return };
        let State::Away { quick_left } = trial.state else { return };
        if took >= self.0.after / 2 {
            trial.state = State::Away { quick_left: trial.quick_needed };
        } else if quick_left > 1 {
            trial.state = State::Away { quick_left: quick_left - 1 };
        } else {
            trial.state = State::Back;
            if let Some(sql) = trial.sql.take() {
                tracing::info!(%sql, "statement is quick again and goes over the shared lane");
            }
            self.0.filter.store(filter_of(&known), Ordering::Relaxed);
        }
    }

    /// How many statements are sent elsewhere.
    pub(crate) fn away_count(&self) -> usize {
        self.known().iter().filter(|(_, trial)| trial.state != State::Back).count()
    }

    fn known(&self) -> MutexGuard<'_, LruCache<Key, Trial>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A statement's name here: the types of its values make no other statement of it.
fn name(key: Key) -> Key {
    match key {
        Key::Type(_) => key,
        Key::Text(sql, _) => Key::Text(sql, [].into()),
    }
}

fn filter_of(known: &LruCache<Key, Trial>) -> u64 {
    let away = known.iter().filter(|(_, trial)| trial.state != State::Back);
    away.fold(0, |filter, (key, _)| {
        filter
            | match key {
                Key::Type(id) => bit_of(*id),
                Key::Text(..) => TEXT,
            }
    })
}

/// One of the 63 bits below that of texts.
fn bit_of(id: TypeId) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    1 << (hasher.finish() % 63)
}

#[cfg(test)]
mod tests {
    use diesel::IntoSql;
    use diesel::sql_types::Integer;

    use super::*;

    const SLOW: Duration = Duration::from_millis(60);
    const SO_SO: Duration = Duration::from_millis(30);
    const QUICK: Duration = Duration::from_millis(1);

    fn statements() -> SlowStatements {
        SlowStatements::new(Duration::from_millis(50))
    }

    fn text(sql: &str) -> Key {
        Key::Text(sql.into(), [].into())
    }

    fn is_away(statements: &SlowStatements, sql: &str) -> bool {
        statements.find(&diesel::sql_query(sql)).is_some()
    }

    #[test]
    fn one_slow_run_is_enough_and_one_quick_one_forgives_it() {
        let statements = statements();
        assert!(!is_away(&statements, "SELECT 1"));
        statements.slow(text("SELECT 1"), SLOW);
        assert!(is_away(&statements, "SELECT 1"));
        assert!(!is_away(&statements, "SELECT 2"));
        statements.ran_elsewhere(&text("SELECT 1"), QUICK);
        assert!(!is_away(&statements, "SELECT 1"));
        assert_eq!(statements.away_count(), 0);
    }

    #[test]
    fn the_types_of_values_make_no_other_statement() {
        let statements = statements();
        statements.slow(Key::Text("SELECT $1".into(), [20].into()), SLOW);
        assert!(is_away(&statements, "SELECT $1"));
    }

    #[test]
    fn the_more_often_it_was_slow_the_longer_it_stays_away() {
        let statements = statements();
        let key = text("SELECT 1");
        let quick_runs = || {
            (1..).find(|_| {
                statements.ran_elsewhere(&key, QUICK);
                !is_away(&statements, "SELECT 1")
            })
        };
        for needed in [1, 2, 4, 8, 16, 32, 64, 64] {
            statements.slow(key.clone(), SLOW);
            assert_eq!(quick_runs(), Some(needed));
        }
    }

    #[test]
    fn quick_runs_count_only_in_a_row() {
        let statements = statements();
        let key = text("SELECT 1");
        statements.slow(key.clone(), SLOW);
        statements.slow(key.clone(), SLOW);
        for took in [QUICK, SO_SO, QUICK, SLOW, QUICK, QUICK, QUICK] {
            statements.ran_elsewhere(&key, took);
            assert!(is_away(&statements, "SELECT 1"), "{took:?}");
        }
        statements.ran_elsewhere(&key, QUICK);
        assert!(!is_away(&statements, "SELECT 1"));
    }

    #[test]
    fn statements_of_one_shape_are_found_without_their_text() {
        let statements = statements();
        let query = diesel::select(1_i32.into_sql::<Integer>());
        let id = id_of(&query).unwrap();
        statements.slow(Key::Type(id), SLOW);
        assert_eq!(statements.find(&query), Some(Key::Type(id)));
        let other = diesel::select(("a".into_sql::<diesel::sql_types::Text>(),));
        assert_eq!(statements.find(&other), None);
    }

    fn id_of<Q: Statement>(_: &Q) -> Option<TypeId> {
        Q::query_id()
    }

    #[test]
    fn no_more_are_remembered_than_that() {
        let statements = statements();
        for number in 0..KNOWN_MAX.get() + 1 {
            statements.slow(text(&format!("SELECT {number}")), SLOW);
        }
        assert!(!is_away(&statements, "SELECT 0"));
        assert!(is_away(&statements, "SELECT 1"));
        assert_eq!(statements.away_count(), KNOWN_MAX.get());
    }
}
