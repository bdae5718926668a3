//! Who wants to send something when: a schedule that does not care how the service does, or
//! users who wait for their answers.

use std::cmp::Ordering;

use super::Job;
use crate::arrival::Arrivals;
use crate::plan::seed_of;

/// Where requests come from.
pub(crate) enum Demand {
    /// Arrivals by the clock; of these every thread takes its turn.
    Open(Open),
    /// Users who ask, wait, think, and ask again.
    Closed(Closed),
}

pub(crate) struct Open {
    arrivals: Arrivals,
    /// The next arrival's number and moment.
    next: Option<(u64, u64)>,
    threads: usize,
    ends: u64,
}

pub(crate) struct Closed {
    /// Users who have not come yet.
    newcomers: std::ops::Range<usize>,
    /// How many users there are in all threads.
    users: usize,
    /// How often each user of this thread has come, by its place in the thread.
    visits: Vec<u64>,
    first: usize,
    threads: usize,
    think_ns: u64,
    seed: u64,
    ends: u64,
}

/// A request that is due.
pub(super) enum Wish {
    Arrival { index: u64, intended: u64, user: Option<usize> },
    Retry(Job),
}

/// A request that is due at a moment that is known only since the run began.
pub(super) struct Later {
    pub(super) due: u64,
    pub(super) wish: Wish,
}

impl Demand {
    pub(crate) fn open(arrivals: Arrivals, thread: usize, threads: usize, ends: u64) -> Demand {
        let mut open = Open { arrivals, next: None, threads, ends };
        open.next = open.arrivals.nth(thread).map(|moment| (thread as u64, moment));
        Demand::Open(open)
    }

    /// `thread` serves the users whose number leaves that remainder.
    pub(crate) fn closed(
        users: usize,
        think_ns: u64,
        (thread, threads): (usize, usize),
        seed: u64,
        ends: u64,
    ) -> Demand {
        let here = (users + threads - 1 - thread) / threads;
        Demand::Closed(Closed {
            newcomers: 0..here,
            users,
            visits: vec![0; here],
            first: thread,
            threads,
            think_ns,
            seed,
            ends,
        })
    }

    /// The moment of the next request that is known beforehand.
    pub(super) fn next(&self) -> Option<u64> {
        match self {
            Demand::Open(open) => open.next.map(|(_, moment)| moment),
            Demand::Closed(closed) => {
                // Users come spread over one time of thinking, not in step.
                let user = closed.newcomers.clone().next()? * closed.threads + closed.first;
                let share = user as f64 / closed.users as f64;
                let moment = (closed.think_ns as f64 * share) as u64;
                (moment < closed.ends).then_some(moment)
            }
        }
    }

    pub(super) fn take(&mut self) -> Option<Wish> {
        let intended = self.next()?;
        match self {
            Demand::Open(open) => {
                let (index, _) = open.next?;
                let step = open.threads;
                open.next = open.arrivals.nth(step - 1).map(|moment| (index + step as u64, moment));
                Some(Wish::Arrival { index, intended, user: None })
            }
            Demand::Closed(closed) => {
                let user = closed.newcomers.next()?;
                Some(closed.visit(user, intended))
            }
        }
    }

    /// When the last request can be intended.
    pub(super) fn ends(&self) -> u64 {
        match self {
            Demand::Open(open) => open.ends,
            Demand::Closed(closed) => closed.ends,
        }
    }

    /// Whether no more requests come. A generator that is late still has some when its time is up.
    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.ends() && self.next().is_none()
    }

    /// Nothing comes any more, because a run is stopped early.
    pub(super) fn end(&mut self) {
        match self {
            Demand::Open(open) => (open.next, open.ends) = (None, 0),
            Demand::Closed(closed) => (closed.newcomers, closed.ends) = (0..0, 0),
        }
    }

    /// The next visit of the user whose request has ended, if it was a user's.
    pub(super) fn comes_back(&mut self, job: &Job, now: u64) -> Option<Later> {
        let Demand::Closed(closed) = self else { return None };
        let user = job.user?;
        let here = user / closed.threads;
        let mut random = fastrand::Rng::with_seed(seed_of(closed.seed ^ 1, job.index));
        // Half as long to one and a half times as long: people are no metronomes.
        let think_ns = (closed.think_ns as f64 * (0.5 + random.f64())) as u64;
        let due = now.saturating_add(think_ns);
        (due < closed.ends).then(|| Later { due, wish: closed.visit(here, due) })
    }
}

impl Closed {
    fn visit(&mut self, here: usize, intended: u64) -> Wish {
        let user = here * self.threads + self.first;
        let index = self.visits[here] * self.users as u64 + user as u64;
        self.visits[here] += 1;
        Wish::Arrival { index, intended, user: Some(user) }
    }
}

impl Ord for Later {
    fn cmp(&self, other: &Later) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Later) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Later {
    fn eq(&self, other: &Later) -> bool {
        self.due == other.due
    }
}

impl Eq for Later {}
