//! The line of statements on one connection: Postgres answers them in order, so what a statement
//! took by itself is the time since the answer before it, and not the time since it was sent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenfold_context::Moment;

use crate::query::Key;

/// Whose turn it is, and since when. The numbers are those of one thread nearly always; where
/// they are not, a measured time may be wrong once, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Line {
    /// How many statements were sent, which is the number of the last one.
    sent: AtomicU64,
    /// The number of the last statement whose end was seen.
    answered: AtomicU64,
    /// Since when Postgres has been working at the statement that is first in line, in
    /// nanoseconds: the end of the answer before it, or its own sending.
    since: AtomicU64,
    /// Those whose callers left before they were answered, in the order of their sending: no
    /// more than may be in flight, since each keeps its place until it is answered.
    left: Mutex<Vec<Left>>,
    has_left: AtomicBool,
}

/// A statement whose caller has left; the end of its answer is not seen.
#[derive(Debug)]
struct Left {
    number: u64,
    /// `None` if it is known already what kind of statement it is.
    key: Option<Key>,
    /// Whether it has a turn among those that may wait for a lock.
    has_turn: bool,
}

impl Line {
    /// A statement is about to be sent; its number.
    pub(crate) fn send(&self) -> u64 {
        let before = self.sent.load(Ordering::Relaxed);
        if self.answered.load(Ordering::Relaxed) >= before {
            self.since.store(Moment::now().as_nanos(), Ordering::Relaxed);
        }
        self.sent.store(before + 1, Ordering::Relaxed);
        before + 1
    }

    /// The answer to a statement has come to its end; what it took by itself, if nobody before
    /// it has left.
    pub(crate) fn answered(&self, number: u64, now: Moment) -> Duration {
        let took = now.since(self.since());
        self.since.store(now.as_nanos(), Ordering::Relaxed);
        if number > self.answered.load(Ordering::Relaxed) {
            self.answered.store(number, Ordering::Relaxed);
        }
        took
    }

    /// The caller of a statement leaves before it is answered.
    pub(crate) fn leave(&self, number: u64, key: Option<Key>, has_turn: bool) {
        self.left().push(Left { number, key, has_turn });
        self.has_left.store(true, Ordering::Relaxed);
    }

    /// Whether statements are under way whose callers have left.
    pub(crate) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    /// The statements before that one whose callers left: they have been answered too, and the
    /// time that was taken for it is theirs. Also how many turns among those that may wait for a
    /// lock they had.
    pub(crate) fn take_left(&self, number: u64) -> (Vec<Option<Key>>, usize) {
        let mut left = self.left();
        let mut turns = 0;
        let passed = left.extract_if(.., |left| left.number < number);
        let passed = passed.inspect(|left| turns += usize::from(left.has_turn));
        let passed = passed.map(|left| left.key).collect();
        self.has_left.store(!left.is_empty(), Ordering::Relaxed);
        (passed, turns)
    }

    /// How long Postgres has been working at this statement, if that is the first in line.
    pub(crate) fn working_at(&self, number: u64, now: Moment) -> Option<Duration> {
        let is_first = self.answered.load(Ordering::Relaxed) + 1 == number;
        is_first.then(|| now.since(self.since()))
    }

    /// How long nothing has been heard from Postgres, if it has something to answer.
    pub(crate) fn silent_for(&self, now: Moment) -> Option<Duration> {
        let waits = self.sent() > self.answered.load(Ordering::Relaxed);
        waits.then(|| now.since(self.since()))
    }

    /// The number of the statement that was sent last.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// When the last answer came to its end, or what is first in line was sent after it.
    pub(crate) fn since(&self) -> Moment {
        Moment::from_nanos(self.since.load(Ordering::Relaxed))
    }

    fn left(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::Text(text.into(), [].into())
    }

    const MILLI: Duration = Duration::from_millis(1);

    async fn pass(millis: u32) -> Moment {
        tokio::time::advance(MILLI * millis).await;
        Moment::now()
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_line_is_not_a_statements_own() {
        let line = Line::default();
        let (slow, quick) = (line.send(), line.send());
        assert_eq!(line.answered(slow, pass(500).await), MILLI * 500);
        assert_eq!(line.answered(quick, pass(1).await), MILLI);
        // Nothing was under way: the time in between is nobody's.
        pass(1_000).await;
        let later = line.send();
        assert_eq!(line.answered(later, pass(2).await), MILLI * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_in_line_is_worked_at() {
        let line = Line::default();
        let (first, second) = (line.send(), line.send());
        let now = pass(10).await;
        assert_eq!(line.working_at(first, now), Some(MILLI * 10));
        assert_eq!(line.working_at(second, now), None);
        line.answered(first, now);
        assert_eq!(line.working_at(second, pass(3).await), Some(MILLI * 3));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_left_are_found_when_one_behind_them_is_answered() {
        let line = Line::default();
        let (a, b, c) = (line.send(), line.send(), line.send());
        line.leave(a, Some(key("a")), true);
        line.leave(c, None, false);
        assert!(line.has_left());
        line.answered(b, pass(7).await);
        assert_eq!(line.take_left(b), (vec![Some(key("a"))], 1));
        assert!(line.has_left(), "c is behind it");
        assert_eq!(line.take_left(line.sent() + 1), (vec![None], 0));
        assert!(!line.has_left());
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_only_where_an_answer_is_waited_for() {
        let line = Line::default();
        assert_eq!(line.silent_for(pass(9).await), None);
        let (a, b) = (line.send(), line.send());
        assert_eq!(line.silent_for(pass(9).await), Some(MILLI * 9));
        line.answered(a, Moment::now());
        assert_eq!(line.silent_for(pass(4).await), Some(MILLI * 4));
        line.answered(b, Moment::now());
        assert_eq!(line.silent_for(pass(9).await), None);
    }
}
