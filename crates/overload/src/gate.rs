//! The decision itself: a number of places, a bounded line in front of them, the most
//! important first.
//!
//! The line keeps its order by class and then by arrival. A full line takes in somebody who
//! matters more by turning out the newest of the least important, so a flood of background
//! work never keeps a critical request out. Those whose deadline has passed are passed over:
//! serving them would be work for nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use tenfold_context::{Deadline, Moment, Priority};

use crate::Refusal;

/// How much a gate lets through and how many may wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many may be inside at once.
    pub places: usize,
    /// How many may wait; the next is refused, or displaces one of lower class.
    pub waiting_max: usize,
}

/// What the gate needs to know of somebody who arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Its class.
    pub priority: Priority,
    /// Until when it is worth letting in.
    pub deadline: Deadline,
}

/// What the gate says to an arrival.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision<W> {
    /// Come in. Whoever is inside calls [`Gate::leave`] at the end.
    Enter,
    /// Wait; the gate keeps the waiter and gives it back when its turn comes.
    Wait {
        /// The place in the line, for [`Gate::abandon`].
        ticket: Ticket,
        /// Who lost its place in the line for this one, and how long it had waited.
        displaced: Option<(W, Duration)>,
    },
    /// Not now.
    Refuse(Refusal),
}

/// A place in the line. Sorts by class, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    priority: Priority,
    number: u64,
}

/// Somebody whose turn has come, or never will.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn<W> {
    /// It may come in now.
    Enter(W),
    /// Its deadline came first, after so long a wait.
    Late(W, Duration),
}

/// How full a gate is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// How many are inside.
    pub inside: usize,
    /// How many wait.
    pub waiting: usize,
}

#[derive(Debug)]
struct Waiting<W> {
    waiter: W,
    since: Moment,
    deadline: Deadline,
}

/// A gate in front of something scarce. `W` is whatever the caller needs to find a waiter again.
#[derive(Debug)]
pub struct Gate<W> {
    limits: Limits,
    inside: usize,
    line: BTreeMap<Ticket, Waiting<W>>,
    ticket_next: u64,
    closed: bool,
}

impl<W> Gate<W> {
    /// An open gate with nobody inside.
    pub fn new(limits: Limits) -> Gate<W> {
        Gate { limits, inside: 0, line: BTreeMap::new(), ticket_next: 0, closed: false }
    }

    /// Decides about an arrival at `now`. `waiter` is called only if it has to wait.
    pub fn arrive(
        &mut self,
        now: Moment,
        arrival: Arrival,
        waiter: impl FnOnce() -> W,
    ) -> Decision<W> {
        if self.closed {
            return Decision::Refuse(Refusal::Closed);
        }
        if arrival.deadline.is_past(now) {
            return Decision::Refuse(Refusal::Late { waited: Duration::ZERO });
        }
        // Nobody overtakes: a free place belongs to the line first.
        if self.inside < self.limits.places && self.line.is_empty() {
            self.inside += 1;
            return Decision::Enter;
        }
        let displaced = if self.line.len() < self.limits.waiting_max {
            None
        } else {
            match self.displace(now, arrival.priority) {
                Some(displaced) => Some(displaced),
                None => {
                    return Decision::Refuse(Refusal::Full {
                        waiting: self.line.len(),
                        waiting_max: self.limits.waiting_max,
                    });
                }
            }
        };
        let ticket = Ticket { priority: arrival.priority, number: self.ticket_next };
        self.ticket_next += 1;
        let waiting = Waiting { waiter: waiter(), since: now, deadline: arrival.deadline };
        self.line.insert(ticket, waiting);
        Decision::Wait { ticket, displaced }
    }

    /// Whether somebody of this class would be let in or could wait now, if he came.
    ///
    /// # Errors
    /// What he would be told.
    pub fn room_for(&self, priority: Priority) -> Result<(), Refusal> {
        let Limits { places, waiting_max } = self.limits;
        let waiting = self.line.len();
        let gives_way =
            || self.line.last_key_value().is_some_and(|(ticket, _)| ticket.priority > priority);
        if self.closed {
            Err(Refusal::Closed)
        } else if waiting < waiting_max || (self.inside < places && waiting == 0) || gives_way() {
            Ok(())
        } else {
            Err(Refusal::Full { waiting, waiting_max })
        }
    }

    /// Takes note that somebody inside has left.
    pub fn leave(&mut self) {
        debug_assert!(self.inside > 0, "somebody left who never came in");
        self.inside = self.inside.saturating_sub(1);
    }

    /// Takes the next one out of the line whose turn it is at `now`; call until it says `None`.
    pub fn next(&mut self, now: Moment) -> Option<Turn<W>> {
        if self.inside >= self.limits.places {
            return None;
        }
        let (_, next) = self.line.pop_first()?;
        if next.deadline.is_past(now) {
            return Some(Turn::Late(next.waiter, now.since(next.since)));
        }
        self.inside += 1;
        Some(Turn::Enter(next.waiter))
    }

    /// Takes somebody out of the line who gave up; `None` if its turn had come already.
    pub fn abandon(&mut self, ticket: Ticket) -> Option<W> {
        self.line.remove(&ticket).map(|waiting| waiting.waiter)
    }

    /// Changes the number of places. With fewer than are inside, nobody enters until enough have left.
    pub fn set_places(&mut self, places: usize) {
        self.limits.places = places;
    }

    /// Refuses everybody from now on, and gives back those who waited.
    pub fn close(&mut self) -> Vec<W> {
        self.closed = true;
        std::mem::take(&mut self.line).into_values().map(|waiting| waiting.waiter).collect()
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// How full it is.
    pub fn occupancy(&self) -> Occupancy {
        Occupancy { inside: self.inside, waiting: self.line.len() }
    }

    /// Its limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Takes the newest of the least important out of the line, if it matters less than `priority`.
    fn displace(&mut self, now: Moment, priority: Priority) -> Option<(W, Duration)> {
        let last = self.line.last_entry()?;
        if last.key().priority <= priority {
            return None;
        }
        let displaced = last.remove();
        Some((displaced.waiter, now.since(displaced.since)))
    }
}

#[cfg(test)]
mod tests;
