//! Places for requests in flight: with HTTP/1.1 a connection has one, with HTTP/2 many.

use std::task::Waker;

use super::Job;

/// No request waits for anything.
const NEVER: u64 = u64::MAX;

/// Which seat; given again to another once it is closed.
pub(crate) type Seat = usize;

/// Why a request in flight ends before its answer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The client's patience is at its end.
    TimedOut,
    /// The client leaves, as the scenario says.
    Left,
    /// The connection that the seat belongs to is gone.
    Gone,
}

#[derive(Default)]
struct State {
    /// The request that sits here.
    job: Option<Job>,
    /// Whether the task of the seat has not looked at it yet.
    unread: bool,
    cut: Option<Cut>,
    waker: Option<Waker>,
    /// Its place among the idle ones.
    idle: Option<usize>,
}

/// All seats of one thread. Deadlines lie beside each other, because they are looked through
/// some hundred times per second.
#[derive(Default)]
pub(crate) struct Seats {
    states: Vec<State>,
    deadlines: Vec<u64>,
    idle: Vec<Seat>,
    free: Vec<Seat>,
    taken: usize,
}

impl Seats {
    /// How many requests sit.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// A new seat, neither idle nor taken.
    pub(crate) fn open(&mut self) -> Seat {
        self.free.pop().unwrap_or_else(|| {
            self.states.push(State::default());
            self.deadlines.push(NEVER);
            self.states.len() - 1
        })
    }

    /// Gives a seat back for good; it must be empty.
    pub(crate) fn close(&mut self, seat: Seat) {
        debug_assert!(self.states[seat].job.is_none(), "a request would be lost");
        self.leave_idle(seat);
        self.states[seat] = State::default();
        self.deadlines[seat] = NEVER;
        self.free.push(seat);
    }

    /// The seat that was last in use: few connections are kept busy rather than many idle.
    pub(crate) fn take_idle(&mut self) -> Option<Seat> {
        let seat = *self.idle.last()?;
        self.leave_idle(seat);
        Some(seat)
    }

    pub(crate) fn make_idle(&mut self, seat: Seat) {
        debug_assert!(self.states[seat].idle.is_none() && self.states[seat].job.is_none());
        self.states[seat].idle = Some(self.idle.len());
        self.idle.push(seat);
    }

    fn leave_idle(&mut self, seat: Seat) {
        if let Some(place) = self.states[seat].idle.take() {
            self.idle.swap_remove(place);
            if let Some(moved) = self.idle.get(place) {
                self.states[*moved].idle = Some(place);
            }
        }
    }

    /// Seats a request; its task finds it with [`Seats::read`].
    pub(crate) fn assign(&mut self, seat: Seat, job: Job, deadline: u64) {
        self.taken += 1;
        self.deadlines[seat] = deadline;
        let state = &mut self.states[seat];
        state.job = Some(job);
        state.unread = true;
    }

    pub(crate) fn wake(&self, seat: Seat) {
        if let Some(waker) = &self.states[seat].waker {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn listen(&mut self, seat: Seat, waker: &Waker) {
        let known = &mut self.states[seat].waker;
        match known {
            Some(known) if known.will_wake(waker) => {}
            _ => *known = Some(waker.clone()),
        }
    }

    /// The request that has newly been seated, once.
    pub(crate) fn read(&mut self, seat: Seat) -> Option<Job> {
        let state = &mut self.states[seat];
        if !std::mem::take(&mut state.unread) {
            return None;
        }
        state.job
    }

    /// Notes when the first byte of the request that sits here is written.
    pub(crate) fn mark_sent(&mut self, seat: Seat, now: u64) {
        if let Some(job) = &mut self.states[seat].job {
            job.sent = Some(now);
        }
    }

    pub(crate) fn cut(&self, seat: Seat) -> Option<Cut> {
        self.states[seat].cut
    }

    pub(crate) fn set_cut(&mut self, seat: Seat, cut: Cut) {
        self.states[seat].cut = Some(cut);
        self.wake(seat);
    }

    /// The request that sits here, of which no more will be heard.
    pub(crate) fn vacate(&mut self, seat: Seat) -> Option<Job> {
        let job = self.states[seat].job.take()?;
        self.taken -= 1;
        self.deadlines[seat] = NEVER;
        let state = &mut self.states[seat];
        state.unread = false;
        // The end of a connection outlasts the request; the end of patience does not.
        state.cut = state.cut.filter(|cut| *cut == Cut::Gone);
        Some(job)
    }

    /// Tells every seat whose deadline has passed.
    pub(crate) fn sweep(&mut self, now: u64) {
        for seat in 0..self.deadlines.len() {
            if self.deadlines[seat] > now {
                continue;
            }
            self.deadlines[seat] = NEVER;
            let leaves = self.states[seat].job.is_some_and(|job| job.leaves);
            self.set_cut(seat, if leaves { Cut::Left } else { Cut::TimedOut });
        }
    }

    /// Whatever sits anywhere, when a run ends early.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.states.iter().filter_map(|state| state.job.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_used_is_taken_first_whoever_left_between() {
        let mut seats = Seats::default();
        let [a, b, c] = [seats.open(), seats.open(), seats.open()];
        for seat in [a, b, c] {
            seats.make_idle(seat);
        }
        seats.close(a);
        assert_eq!(seats.take_idle(), Some(b), "c has moved into the place of a");
        assert_eq!(seats.take_idle(), Some(c));
        assert_eq!(seats.take_idle(), None);
        assert_eq!(seats.open(), a, "a closed seat is given again");
    }

    #[test]
    fn a_deadline_is_told_once_and_forgotten_with_its_request() {
        let mut seats = Seats::default();
        let seat = seats.open();
        seats.assign(seat, Job::default(), 50);
        assert!(seats.read(seat).is_some());
        assert!(seats.read(seat).is_none(), "read once");
        seats.sweep(49);
        assert_eq!(seats.cut(seat), None);
        seats.sweep(50);
        assert_eq!(seats.cut(seat), Some(Cut::TimedOut));
        assert!(seats.vacate(seat).is_some());
        assert_eq!((seats.cut(seat), seats.taken()), (None, 0));
        assert!(seats.vacate(seat).is_none());
        seats.set_cut(seat, Cut::Gone);
        seats.assign(seat, Job { leaves: true, ..Job::default() }, 60);
        seats.vacate(seat);
        assert_eq!(seats.cut(seat), Some(Cut::Gone), "a lost connection stays lost");
    }
}
