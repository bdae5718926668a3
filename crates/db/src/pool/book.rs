//! What the pool knows of its connections: which are idle, who has the others, who waits for one
//! that is being made, and whether Postgres is there at all.
//!
//! Decides from values and a time, and does nothing itself: what is to be done comes out as
//! [`Step`]s, which whoever holds the lock takes out and does without it.

mod oldest;

use std::collections::{BTreeMap, VecDeque};
use std::thread::ThreadId;
use std::time::Duration;

use tenfold_context::Moment;
use tokio::sync::oneshot;

use super::holder::{Holder, Holding};
use crate::error::Cause;

/// Connections that may be made at once. Each is a process that Postgres has to start, and after
/// a restart all of its clients want theirs at the same moment.
const OPENING_MAX: usize = 4;

/// The least time between two words about the same holder.
const BLAME_PAUSE: Duration = Duration::from_secs(1);

/// How many connections there may be, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) connections_min: usize,
    pub(super) connections_max: usize,
    /// The longest life of a connection; each has up to a quarter less.
    pub(super) lifetime: Duration,
    /// How long one above the minimum may be idle.
    pub(super) idle_max: Duration,
    /// How long somebody may have one without being named.
    pub(super) hold_max: Duration,
    /// How long an idle one is believed to be well.
    pub(super) health_interval: Duration,
}

/// What has to be known of a connection. A clone is the same one.
pub(super) trait Link: Clone {
    fn is_closed(&self) -> bool;

    /// Whether Postgres is at work on a statement.
    fn is_running(&self) -> bool;
}

/// A connection of the pool.
#[derive(Debug)]
pub(super) struct Member<C> {
    pub(super) connection: C,
    /// The thread that drives its socket: another one can use it, a little slower.
    pub(super) home: ThreadId,
    /// When its life is over.
    ends: Moment,
    /// When it was idle at first since it was last used.
    idle_since: Moment,
    /// When Postgres was last heard on it.
    well_at: Moment,
}

/// A connection that is out of the pool, and the number under which it is known there.
#[derive(Debug)]
pub(super) struct Lent<C> {
    ticket: u64,
    pub(super) member: Member<C>,
}

/// What somebody hears who has waited for a connection.
pub(super) type Answer<C> = Result<Lent<C>, Cause>;

/// What somebody gets who wants a connection.
#[derive(Debug)]
pub(super) enum Want<C> {
    /// This one. `open` says that another one is to be made, where it is wanted: this one's
    /// socket is driven elsewhere.
    Ready { lent: Lent<C>, open: bool },
    /// The next one that comes back or has been made.
    Wait(oneshot::Receiver<Answer<C>>),
    /// None: Postgres is not there, and somebody is trying already.
    Unreachable(Cause),
    /// None any more.
    Closed,
}

/// Something that has become possible, or necessary.
#[derive(Debug)]
pub(super) enum Step<C> {
    /// Tell a waiter.
    Answer(oneshot::Sender<Answer<C>>, Answer<C>),
    /// Let go of one that has left.
    Forget(oneshot::Sender<Answer<C>>),
    /// Make a connection. It is counted already.
    Open,
}

#[derive(Debug)]
struct Waiter<C> {
    holding: Holding,
    answer: oneshot::Sender<Answer<C>>,
}

#[derive(Debug)]
struct Out<C> {
    connection: C,
    since: Moment,
    /// None while the pool itself has it, to see whether it is well.
    holding: Option<Holding>,
    /// Whether it has been named for being held too long.
    named: bool,
    /// Those who were refused because of it since it was last said whose fault that is.
    refused: u64,
    /// When that was last said.
    blamed: Option<Moment>,
}

/// Whose fault it is that somebody is refused.
#[derive(Debug)]
pub(super) struct Blame {
    pub(super) holder: Holder,
    /// How many were refused because of it, if that is to be said now: they come in floods, and
    /// one line for each would be another flood.
    pub(super) refused: Option<u64>,
}

/// Whether new connections can be made, as far as the last attempt says.
#[derive(Debug)]
enum Reach {
    Up,
    Down { since: Moment, cause: Cause },
}

#[derive(Debug)]
pub(super) struct Book<C> {
    bounds: Bounds,
    /// The most recently used last.
    idle: Vec<Member<C>>,
    /// Those in use, in the order in which they were taken.
    out: BTreeMap<u64, Out<C>>,
    ticket_next: u64,
    /// Never more than there are places in the pool, but for those that have left.
    wanting: VecDeque<Waiter<C>>,
    /// Connections that are being made, one that waits before it tries again among them.
    opening: usize,
    reach: Reach,
    closed: bool,
}

impl<C: Link> Book<C> {
    pub(super) fn new(bounds: Bounds) -> Book<C> {
        Book {
            bounds,
            idle: Vec::new(),
            out: BTreeMap::new(),
            ticket_next: 0,
            wanting: VecDeque::new(),
            opening: 0,
            reach: Reach::Up,
            closed: false,
        }
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// Changes how many connections there may be; says how many it was before.
    pub(super) fn resize(&mut self, connections_max: usize) -> usize {
        let before = std::mem::replace(&mut self.bounds.connections_max, connections_max);
        self.bounds.connections_min = self.bounds.connections_min.min(connections_max);
        before
    }

    /// Somebody on this thread wants a connection. The caller has a place in the pool.
    pub(super) fn want(&mut self, now: Moment, here: ThreadId, holding: Holding) -> Want<C> {
        if self.closed {
            return Want::Closed;
        }
        self.idle.retain(|idle| !idle.connection.is_closed());
        let of_here = self.idle.iter().rposition(|idle| idle.home == here);
        if let Some(position) = of_here.or_else(|| self.idle.len().checked_sub(1)) {
            let member = self.idle.remove(position);
            let lent = self.lend(now, member, Some(holding));
            let open = of_here.is_none() && self.opening == 0 && self.may_open();
            self.opening += usize::from(open);
            return Want::Ready { lent, open };
        }
        // As long as others have connections, theirs will do when they come back.
        if let Some(cause) = self.unreachable()
            && self.out.is_empty()
        {
            return Want::Unreachable(cause);
        }
        let (answer, receiver) = oneshot::channel();
        self.wanting.push_back(Waiter { holding, answer });
        Want::Wait(receiver)
    }

    /// What is to be done now, one thing at a time; call until it says `None`.
    pub(super) fn step(&mut self, now: Moment) -> Option<Step<C>> {
        if let Some(left) = self.wanting.iter().position(|waiter| waiter.answer.is_closed()) {
            return self.wanting.remove(left).map(|waiter| Step::Forget(waiter.answer));
        }
        if !self.wanting.is_empty() {
            if self.closed {
                return self.wanting.pop_front().map(|waiter| Step::Forget(waiter.answer));
            }
            if let Some(member) = self.idle.pop() {
                let waiter = self.wanting.pop_front()?;
                let lent = self.lend(now, member, Some(waiter.holding));
                return Some(Step::Answer(waiter.answer, Ok(lent)));
            }
            if let Some(cause) = self.unreachable()
                && self.out.is_empty()
            {
                let waiter = self.wanting.pop_front()?;
                return Some(Step::Answer(waiter.answer, Err(cause)));
            }
        }
        let wanted =
            self.wanting.len() > self.opening || self.count() < self.bounds.connections_min;
        if wanted && self.may_open() {
            self.opening += 1;
            return Some(Step::Open);
        }
        None
    }

    /// Takes a connection back; gives it out again if it is to be closed.
    pub(super) fn put(&mut self, now: Moment, lent: Lent<C>) -> Option<Member<C>> {
        let Lent { ticket, mut member } = lent;
        self.out.remove(&ticket);
        let is_too_many = self.idle.len() + self.out.len() >= self.bounds.connections_max;
        if self.closed || is_too_many || member.connection.is_closed() || self.is_over(&member, now)
        {
            return Some(member);
        }
        member.idle_since = now;
        member.well_at = now;
        self.idle.push(member);
        None
    }

    /// Gives up on a connection that is out.
    pub(super) fn lose(&mut self, lent: Lent<C>) -> Member<C> {
        self.out.remove(&lent.ticket);
        lent.member
    }

    /// A connection has been made. Says for how long none could be, and gives the connection out
    /// again if it is not wanted any more.
    pub(super) fn opened(
        &mut self,
        now: Moment,
        connection: C,
        home: ThreadId,
    ) -> (Option<Duration>, Option<Member<C>>) {
        self.opening -= 1;
        let was_down = match std::mem::replace(&mut self.reach, Reach::Up) {
            Reach::Up => None,
            Reach::Down { since, .. } => Some(now.since(since)),
        };
        // Those that were made together must not end together.
        let lifetime = self.bounds.lifetime.mul_f64(1.0 - fastrand::f64() / 4.0);
        let member =
            Member { connection, home, ends: now + lifetime, idle_since: now, well_at: now };
        if self.closed {
            return (was_down, Some(member));
        }
        self.idle.push(member);
        (was_down, None)
    }

    /// An attempt to connect has failed. Says whether that is news, and whether whoever made it
    /// shall go on, after a pause: one at a time does, for all who want a connection.
    pub(super) fn failed(&mut self, now: Moment, cause: Cause) -> (bool, bool) {
        let (since, is_news) = match &self.reach {
            Reach::Up => (now, true),
            Reach::Down { since, .. } => (*since, false),
        };
        self.reach = Reach::Down { since, cause };
        let goes_on = self.opening == 1 && !self.closed;
        if !goes_on {
            self.opening -= 1;
        }
        (is_news, goes_on)
    }

    /// Whether it makes sense to try again, after the pause.
    pub(super) fn tries_again(&mut self) -> bool {
        let tries_again = !self.closed && matches!(self.reach, Reach::Down { .. });
        if !tries_again {
            self.opening -= 1;
        }
        tries_again
    }

    /// Whoever made a connection is gone without a word: the event loop that it ran on has ended.
    pub(super) fn maker_gone(&mut self) {
        self.opening -= 1;
    }

    /// Takes out what is closed, has lived or idled for too long.
    pub(super) fn sweep(&mut self, now: Moment) -> Vec<Member<C>> {
        let mut spare =
            (self.idle.len() + self.out.len()).saturating_sub(self.bounds.connections_min);
        let (mut kept, mut swept) = (Vec::with_capacity(self.idle.len()), Vec::new());
        for idle in std::mem::take(&mut self.idle) {
            let is_unused = now.since(idle.idle_since) >= self.bounds.idle_max && spare > 0;
            if idle.connection.is_closed() || self.is_over(&idle, now) || is_unused {
                spare = spare.saturating_sub(1);
                swept.push(idle);
            } else {
                kept.push(idle);
            }
        }
        self.idle = kept;
        swept
    }

    /// Takes out idle connections of which nothing has been heard for long, to see whether they
    /// are well; never more than a quarter at once, since meanwhile nobody can have them.
    pub(super) fn doubtful(&mut self, now: Moment) -> Vec<Lent<C>> {
        let mut room = self.idle.len().div_ceil(4);
        let mut doubtful = Vec::new();
        let mut position = 0;
        while room > 0 && position < self.idle.len() {
            if now.since(self.idle[position].well_at) < self.bounds.health_interval {
                position += 1;
                continue;
            }
            let member = self.idle.remove(position);
            doubtful.push(self.lend(now, member, None));
            room -= 1;
        }
        doubtful
    }

    /// Takes a connection back that is well and was not used meanwhile.
    pub(super) fn put_unused(&mut self, now: Moment, lent: Lent<C>) -> Option<Member<C>> {
        let idle_since = lent.member.idle_since;
        let closing = self.put(now, lent);
        if closing.is_none() {
            // It goes to where the longest unused are.
            if let Some(mut member) = self.idle.pop() {
                member.idle_since = idle_since;
                self.idle.insert(0, member);
            }
        }
        closing
    }

    /// Those who have had a connection for too long and have not been named yet.
    pub(super) fn overdue(&mut self, now: Moment) -> Vec<Holder> {
        let hold_max = self.bounds.hold_max;
        let held_too_long = |out: &&mut Out<C>| now.since(out.since) >= hold_max;
        let mut overdue = Vec::new();
        for out in self.out.values_mut().take_while(held_too_long).filter(|out| !out.named) {
            out.named = true;
            if let Some(holding) = &out.holding {
                overdue.push(holding.holder(out.since, now, out.connection.is_running()));
            }
        }
        overdue
    }

    /// Whoever has had a connection for longest, if at least a quarter of all connections are
    /// held for too long: with fewer, those who wait would wait anyway.
    pub(super) fn culprit(&mut self, now: Moment) -> Option<Blame> {
        let (hold_max, connections_max) = (self.bounds.hold_max, self.bounds.connections_max);
        let held_too_long = |out: &&mut Out<C>| now.since(out.since) >= hold_max;
        let mut culprits = self.out.values_mut().take_while(held_too_long);
        let longest = culprits.find(|out| out.holding.is_some())?;
        let held = 1 + culprits.filter(|out| out.holding.is_some()).count();
        if held * 4 < connections_max {
            return None;
        }
        let holder = longest.holding.as_ref()?;
        let holder = holder.holder(longest.since, now, longest.connection.is_running());
        longest.refused += 1;
        let is_to_be_said = longest.blamed.is_none_or(|at| now.since(at) >= BLAME_PAUSE);
        let refused = is_to_be_said.then(|| std::mem::take(&mut longest.refused));
        if is_to_be_said {
            longest.blamed = Some(now);
        }
        Some(Blame { holder, refused })
    }

    /// Why no connection can be made, if none can.
    pub(super) fn unreachable(&self) -> Option<Cause> {
        match &self.reach {
            Reach::Up => None,
            Reach::Down { cause, .. } => Some(cause.clone()),
        }
    }

    /// Gives nothing out any more; what is idle is to be closed.
    pub(super) fn close(&mut self) -> Vec<Member<C>> {
        self.closed = true;
        std::mem::take(&mut self.idle)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn used_count(&self) -> usize {
        self.out.len()
    }

    pub(super) fn idle_count(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn opening_count(&self) -> usize {
        self.opening
    }

    fn lend(&mut self, now: Moment, member: Member<C>, holding: Option<Holding>) -> Lent<C> {
        let ticket = self.ticket_next;
        self.ticket_next += 1;
        let connection = member.connection.clone();
        let out = Out { connection, since: now, holding, named: false, refused: 0, blamed: None };
        self.out.insert(ticket, out);
        Lent { ticket, member }
    }

    /// Whether its life is over. While no other can be had it goes on.
    fn is_over(&self, member: &Member<C>, now: Moment) -> bool {
        member.ends <= now && matches!(self.reach, Reach::Up)
    }

    /// Connections that there are or will be.
    fn count(&self) -> usize {
        self.idle.len() + self.out.len() + self.opening
    }

    fn may_open(&self) -> bool {
        // While Postgres is not there, only one tries. If its event loop has ended, there is none.
        let opening_max = match self.reach {
            Reach::Up => OPENING_MAX,
            Reach::Down { .. } => 1,
        };
        !self.closed && self.opening < opening_max && self.count() < self.bounds.connections_max
    }
}

#[cfg(test)]
mod tests;
