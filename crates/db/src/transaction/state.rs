//! What is known of an open transaction while it is: whose turn it is, what has failed, and how
//! long Postgres had something to do. Decides, and sends nothing.

use std::time::Duration;

use tenfold_context::Moment;

use crate::error::{Error, PostgresError};

/// Which part of a transaction: the whole, or a nested one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartId(u32);

impl PartId {
    pub(super) const WHOLE: PartId = PartId(0);

    /// Its name as a savepoint.
    pub(super) fn savepoint(self) -> String {
        format!("tenfold_{}", self.0)
    }
}

/// Why a statement may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// Its part has ended.
    Over,
    /// Another part has its turn.
    OtherPart,
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// Whether the work has returned.
    over: bool,
    /// Statements of the work that are under way.
    running: usize,
    /// Since when some are.
    busy_since: Moment,
    /// How long some were.
    busy: Duration,
    /// Nested parts that are open, the innermost last.
    parts: Vec<Part>,
    parts_begun: u32,
    /// The first error of a statement. After one Postgres refuses everything until the rollback,
    /// and takes a COMMIT for one without saying so.
    failed: Option<Error>,
    /// A conflict in a nested part that was undone, until a later statement shows that the work
    /// went on without it.
    undone: Option<PostgresError>,
}

#[derive(Debug)]
struct Part {
    id: PartId,
    /// Whether its work was dropped before it returned.
    dropped: bool,
}

impl State {
    /// A statement of `part` is about to be sent.
    pub(super) fn start(&mut self, part: PartId, now: Moment) -> Result<(), Denied> {
        if self.over {
            return Err(Denied::Over);
        }
        let is_open =
            part == PartId::WHOLE || self.parts.iter().any(|open| open.id == part && !open.dropped);
        if !is_open {
            return Err(Denied::Over);
        }
        if part != self.turn() {
            return Err(Denied::OtherPart);
        }
        self.enter(now);
        Ok(())
    }

    /// A statement is about to be sent, whoever's.
    pub(super) fn enter(&mut self, now: Moment) {
        if self.running == 0 {
            self.busy_since = now;
        }
        self.running += 1;
    }

    /// A statement has been answered, or its caller has left.
    pub(super) fn end(&mut self, now: Moment) {
        self.running -= 1;
        if self.running == 0 {
            self.busy += now.since(self.busy_since);
        }
    }

    pub(super) fn heard<T>(&mut self, answer: &Result<T, Error>) {
        match answer {
            Ok(_) => self.undone = None,
            Err(error) => {
                self.failed.get_or_insert_with(|| error.clone());
            }
        }
    }

    /// A nested part begins. None while a statement is under way: it would belong to neither.
    pub(super) fn begin_part(&mut self) -> PartId {
        self.parts_begun += 1;
        let id = PartId(self.parts_begun);
        self.parts.push(Part { id, dropped: false });
        id
    }

    /// The part, and those in it, will not return. Nothing has been undone yet.
    pub(super) fn drop_part(&mut self, part: PartId) {
        for open in self.parts.iter_mut().skip_while(|open| open.id != part) {
            open.dropped = true;
        }
    }

    /// The part, and those in it, are kept.
    pub(super) fn keep_part(&mut self, part: PartId) {
        self.forget_part(part);
    }

    /// Postgres has undone the part, and those in it, and with them what failed.
    pub(super) fn undo_part(&mut self, part: PartId) {
        self.forget_part(part);
        if let Some(failed) = self.failed.take() {
            self.undone = conflict_of(&failed);
        }
    }

    /// The outermost part that was dropped and has to be undone.
    pub(super) fn dropped(&self) -> Option<PartId> {
        self.parts.iter().find(|part| part.dropped).map(|part| part.id)
    }

    /// Whether a nested part is open whose work was not dropped.
    pub(super) fn is_nested(&self) -> bool {
        self.turn() != PartId::WHOLE
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running > 0
    }

    pub(super) fn failed(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// What was lost against another transaction, if work that now returns an error returns it
    /// because of that.
    pub(super) fn lost(&self) -> Option<PostgresError> {
        self.failed.as_ref().and_then(conflict_of).or_else(|| self.undone.clone())
    }

    pub(super) fn close(&mut self) {
        self.over = true;
    }

    /// How long Postgres had something to do.
    pub(super) fn busy(&self, now: Moment) -> Duration {
        let under_way = if self.is_busy() { now.since(self.busy_since) } else { Duration::ZERO };
        self.busy + under_way
    }

    /// The part whose statements may be sent.
    fn turn(&self) -> PartId {
        let open = self.parts.iter().rev().find(|part| !part.dropped);
        open.map_or(PartId::WHOLE, |part| part.id)
    }

    fn forget_part(&mut self, part: PartId) {
        if let Some(position) = self.parts.iter().position(|open| open.id == part) {
            self.parts.truncate(position);
        }
    }
}

fn conflict_of(error: &Error) -> Option<PostgresError> {
    error.postgres().filter(|said| said.conflict().is_some()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::ZERO;

    #[test]
    fn parts_take_turns() {
        let mut state = State::default();
        assert_eq!(state.start(PartId::WHOLE, NOW), Ok(()));
        state.end(NOW);
        let outer = state.begin_part();
        let inner = state.begin_part();
        assert_eq!(state.start(PartId::WHOLE, NOW), Err(Denied::OtherPart));
        assert_eq!(state.start(outer, NOW), Err(Denied::OtherPart));
        assert_eq!(state.start(inner, NOW), Ok(()));
        state.end(NOW);
        state.keep_part(inner);
        assert_eq!(state.start(inner, NOW), Err(Denied::Over));
        assert_eq!(state.start(outer, NOW), Ok(()));
        state.end(NOW);
        state.close();
        assert_eq!(state.start(outer, NOW), Err(Denied::Over));
    }

    #[test]
    fn a_dropped_part_takes_those_in_it_along() {
        let mut state = State::default();
        let outer = state.begin_part();
        let inner = state.begin_part();
        state.heard::<()>(&Err(Error::NotFound));
        state.drop_part(outer);
        assert_eq!(state.dropped(), Some(outer));
        assert_eq!(state.start(inner, NOW), Err(Denied::Over));
        assert!(!state.is_nested());
        state.undo_part(outer);
        assert_eq!(state.dropped(), None);
        assert!(state.failed().is_none(), "it was undone too");
    }

    #[test]
    fn statements_at_once_are_counted_once() {
        let mut state = State::default();
        let at = |millis| NOW + Duration::from_millis(millis);
        assert!(state.start(PartId::WHOLE, at(0)).is_ok());
        assert!(state.start(PartId::WHOLE, at(10)).is_ok());
        state.end(at(20));
        assert_eq!(state.busy(at(30)), Duration::from_millis(30), "one is under way still");
        state.end(at(40));
        assert_eq!(state.busy(at(99)), Duration::from_millis(40));
    }
}
