//! Decides what is sent when, on which connection, and remembers how it ended. It knows nothing
//! of protocols: the tasks that do take requests from their seats and bring back endings.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

use tenfold_context::Moment;

use crate::connection::NoConnection;
use crate::ending::NotOffered;
use crate::live::Progress;
use crate::plan::{SharedPlan, nanos, seed_of};
use crate::record::Record;
use crate::scenario::{Protocol, Values};

mod captured;
mod demand;
mod end;
mod seats;

pub(crate) use captured::Captured;
pub(crate) use demand::Demand;
pub(crate) use end::End;
pub(crate) use seats::{Cut, Seat};

use demand::{Later, Wish};
use seats::Seats;

/// How often deadlines are looked at: a client leaves that much late at most.
const SWEEP_NS: u64 = 5_000_000;

/// How many requests are sent before answers are looked at again. A generator that is behind
/// would otherwise only send, and take the time of answers that have long been there.
const BATCH: usize = 64;

/// What one turn reads from a connection at most.
pub(crate) const SCRATCH_BYTES: usize = 64 * 1024;

/// A request on its way. Moments are nanoseconds since the start of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Job {
    /// Which of the scenario's requests.
    pub(crate) request: usize,
    pub(crate) class: usize,
    pub(crate) phase: usize,
    /// The arrival that it is, or retries.
    pub(crate) index: u64,
    /// 0 at first, then the number of the retry.
    pub(crate) attempt: u32,
    pub(crate) user: Option<usize>,
    pub(crate) client: u32,
    /// What its values are drawn from.
    pub(crate) seed: u64,
    pub(crate) intended: u64,
    /// Since when it waits for a connection; none if it found one.
    pub(crate) waits_since: Option<u64>,
    /// When it left the line of those for whom no connection was free; none if it never stood
    /// there.
    pub(crate) left_line: Option<u64>,
    /// When its first byte was written.
    pub(crate) sent: Option<u64>,
    pub(crate) leaves: bool,
    pub(crate) reads_slowly: bool,
    /// Whether it has already met a connection that was closed in the moment of its use.
    pub(crate) resent: bool,
}

/// Everything of one thread, shared by its tasks.
pub(crate) struct Shared {
    pub(crate) plan: SharedPlan,
    pub(crate) started: Moment,
    pub(crate) engine: RefCell<Engine>,
    pub(crate) captured: RefCell<Captured>,
    /// What all connections read into, one after the other; what must stay is copied out.
    pub(crate) scratch: RefCell<Vec<u8>>,
}

/// The state of one thread.
pub(crate) struct Engine {
    plan: SharedPlan,
    demand: Demand,
    seats: Seats,
    connections: usize,
    /// The share that this thread has of what the run may open.
    connections_max: usize,
    backlog: VecDeque<Job>,
    later: BinaryHeap<Reverse<Later>>,
    next_sweep: u64,
    /// The seat whose task is running and will look for a new request by itself.
    awake: Option<Seat>,
    /// Wakes who waits for the next moment, when an earlier one comes up.
    pacer: Option<std::task::Waker>,
    armed: u64,
    pub(crate) record: Record,
    pub(crate) progress: Progress,
}

impl Shared {
    pub(crate) fn new(
        plan: SharedPlan,
        demand: Demand,
        connections_max: usize,
        started: Moment,
        phases: usize,
    ) -> Rc<Shared> {
        let captured = RefCell::new(Captured::new(plan.captured));
        let engine = Engine {
            record: Record::new(phases, plan.classes),
            progress: Progress::default(),
            plan: plan.clone(),
            demand,
            seats: Seats::default(),
            connections: 0,
            connections_max,
            backlog: VecDeque::new(),
            later: BinaryHeap::new(),
            next_sweep: 0,
            awake: None,
            pacer: None,
            armed: 0,
        };
        let scratch = RefCell::new(vec![0; SCRATCH_BYTES]);
        Rc::new(Shared { plan, started, engine: RefCell::new(engine), captured, scratch })
    }

    /// Nanoseconds since the start of the run.
    pub(crate) fn now(&self) -> u64 {
        Moment::now().as_nanos().saturating_sub(self.started.as_nanos())
    }

    /// Sends what is due, and tells when to ask again: now, if there is more than a batch.
    pub(crate) fn dispatch(self: &Rc<Shared>, now: u64) -> u64 {
        self.engine.borrow_mut().dispatch(self, now)
    }

    /// Ends the request of a seat, whose connection can take another. Returns the moment, so that
    /// who goes on at once need not ask the clock again.
    pub(crate) fn finish(self: &Rc<Shared>, seat: Seat, end: End) -> u64 {
        let now = self.now();
        let mut engine = self.engine.borrow_mut();
        engine.end(seat, end, now);
        engine.reseat(seat, now);
        engine.awake = Some(seat);
        engine.dispatch(self, now);
        engine.awake = None;
        now
    }

    /// Ends the request of a seat, if there is one, and the connection with it.
    pub(crate) fn close(self: &Rc<Shared>, seat: Seat, end: End) {
        let now = self.now();
        let mut engine = self.engine.borrow_mut();
        engine.end(seat, end, now);
        engine.seats.close(seat);
        engine.lose_connection(self, now);
    }

    /// Ends the request of a seat for which no connection could be had.
    pub(crate) fn close_unconnected(self: &Rc<Shared>, seat: Seat, why: NoConnection) {
        let end = match why {
            NoConnection::Failed { failure, cause } => {
                self.engine.borrow_mut().record.causes.note(failure, &cause);
                End::Failed(failure)
            }
            NoConnection::Exhausted(reason) => End::Unsent(reason),
        };
        self.close(seat, end);
    }

    /// Ends the request of a seat that takes no further one, on a connection that has others.
    pub(crate) fn finish_last(self: &Rc<Shared>, seat: Seat, end: End) {
        let now = self.now();
        let mut engine = self.engine.borrow_mut();
        engine.end(seat, end, now);
        engine.seats.close(seat);
        engine.dispatch(self, now);
    }

    /// Closes a seat in which no request sits, on a connection that has others.
    pub(crate) fn close_idle(&self, seat: Seat) {
        self.engine.borrow_mut().seats.close(seat);
    }

    /// Ends a connection whose seats are closed, or will close themselves.
    pub(crate) fn close_connection(self: &Rc<Shared>) {
        let now = self.now();
        self.engine.borrow_mut().lose_connection(self, now);
    }

    /// Sends the request of a seat again on a new connection, because the old one was closed in
    /// the moment of its use.
    pub(crate) fn resend(self: &Rc<Shared>, seat: Seat) {
        let now = self.now();
        let mut engine = self.engine.borrow_mut();
        let job = engine.seats.vacate(seat);
        engine.seats.close(seat);
        engine.connections -= 1;
        engine.record.resent += 1;
        if let Some(job) = job {
            let job = Job { resent: true, sent: None, waits_since: Some(now), ..job };
            engine.open(self, job);
        }
    }

    /// Closes a seat whose connection is gone, and finds another for the request that has not
    /// been sent from it yet.
    pub(crate) fn move_on(self: &Rc<Shared>, seat: Seat) {
        let now = self.now();
        let mut engine = self.engine.borrow_mut();
        let job = engine.seats.vacate(seat);
        engine.seats.close(seat);
        // Nothing of it went out, so that it is not sent again but for the first time.
        if let Some(job) = job {
            engine.place(self, job, now);
        }
    }

    /// Further seats on a connection of HTTP/2, with what waits for one.
    pub(crate) fn add_seat(&self) -> Seat {
        let now = self.now();
        let mut engine = self.engine.borrow_mut();
        let seat = engine.seats.open();
        engine.reseat(seat, now);
        seat
    }

    /// Where the values of a request come from.
    pub(crate) fn with_values<T>(
        &self,
        job: &Job,
        use_values: impl FnOnce(&mut Values<'_>) -> T,
    ) -> T {
        let captured = self.captured.borrow();
        use_values(&mut Values {
            random: fastrand::Rng::with_seed(job.seed),
            index: job.index,
            client: job.client,
            captured: captured.values(),
        })
    }
}

impl Engine {
    pub(crate) fn seats(&mut self) -> &mut Seats {
        &mut self.seats
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_finished(&self, now: u64) -> bool {
        self.demand.is_over(now)
            && self.later.is_empty()
            && self.seats.taken() == 0
            && self.backlog.is_empty()
    }

    /// Whether requests wait for a connection.
    pub(crate) fn is_crowded(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.seats.taken()
    }

    /// Nothing new begins, and nobody waits any longer for what is on its way.
    pub(crate) fn stop(&mut self) {
        for job in self.seats.jobs().chain(&self.backlog) {
            self.record.leave_unfinished((job.phase, job.class, job.attempt > 0));
        }
        self.demand.end();
        self.later.clear();
        self.backlog.clear();
    }

    /// Sets who is woken when something comes up before that moment.
    pub(crate) fn arm(&mut self, waker: &std::task::Waker, until: u64) {
        self.armed = until;
        match &self.pacer {
            Some(pacer) if pacer.will_wake(waker) => {}
            _ => self.pacer = Some(waker.clone()),
        }
    }

    fn dispatch(&mut self, shared: &Rc<Shared>, now: u64) -> u64 {
        self.sweep(now);
        for _ in 0..BATCH {
            let Some(wish) = self.due(now) else { return self.next_moment(now) };
            let job = self.job(&wish);
            self.record.intend(job.phase, job.class, job.attempt > 0, job.intended);
            self.progress.intended += 1;
            self.place(shared, job, now);
        }
        now
    }

    /// The next request whose moment has come, the earliest first.
    fn due(&mut self, now: u64) -> Option<Wish> {
        let later = self.later.peek().map(|Reverse(later)| later.due);
        match (self.demand.next(), later) {
            (Some(arrival), later) if arrival <= now && later.is_none_or(|due| arrival <= due) => {
                self.demand.take()
            }
            (_, Some(due)) if due <= now => self.later.pop().map(|Reverse(later)| later.wish),
            _ => None,
        }
    }

    fn next_moment(&self, now: u64) -> u64 {
        let arrival = self.demand.next().unwrap_or(u64::MAX);
        let later = self.later.peek().map_or(u64::MAX, |Reverse(later)| later.due);
        let waits = self.seats.taken() > 0 || !self.backlog.is_empty();
        let sweep = if waits { self.next_sweep } else { u64::MAX };
        let end = if now < self.demand.ends() { self.demand.ends() } else { u64::MAX };
        arrival.min(later).min(sweep).min(end)
    }

    fn sweep(&mut self, now: u64) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP_NS;
        self.seats.sweep(now);
        while let Some(job) = self.backlog.front() {
            if job.intended + self.plan.timeout_ns > now {
                break;
            }
            let job = self.backlog.pop_front().expect("it has just been looked at");
            self.skip(&job, NotOffered::Expired, now);
        }
    }

    /// Everything about a request that chance decides, from the seed of its arrival alone.
    fn job(&self, wish: &Wish) -> Job {
        match wish {
            Wish::Retry(job) => Job {
                phase: self.plan.phase(job.intended),
                waits_since: None,
                left_line: None,
                sent: None,
                resent: false,
                ..*job
            },
            Wish::Arrival { index, intended, user } => {
                let behaviour = &self.plan.behaviour;
                let mut random = fastrand::Rng::with_seed(seed_of(self.plan.seed, *index));
                let request = self.plan.choose(&mut random);
                let mut happens = |share: f64| share > 0.0 && random.f64() < share;
                let leaves = happens(behaviour.leave_early.share);
                let reads_slowly = happens(behaviour.slow_readers.share);
                let flood = happens(behaviour.flood_share);
                let client = match (user, behaviour.clients) {
                    (_, 1) => 0,
                    _ if flood => 0,
                    (Some(user), clients) => (*user % clients as usize) as u32,
                    (None, clients) => random.u32(..clients),
                };
                Job {
                    request,
                    class: self.plan.requests[request].request.class,
                    phase: self.plan.phase(*intended),
                    index: *index,
                    user: *user,
                    client,
                    seed: random.u64(..),
                    intended: *intended,
                    leaves,
                    reads_slowly,
                    ..Job::default()
                }
            }
        }
    }

    fn place(&mut self, shared: &Rc<Shared>, job: Job, now: u64) {
        if job.intended + self.plan.timeout_ns <= now {
            // So late that its client is gone: the generator was stuck.
            self.note_lag(&job, now);
            self.skip(&job, NotOffered::Expired, now);
        } else if let Some(seat) = self.seats.take_idle() {
            self.seat(seat, job);
            if self.awake != Some(seat) {
                self.seats.wake(seat);
            }
        } else {
            // Who comes from a connection that is gone has been noted.
            if !job.resent && job.waits_since.is_none() {
                self.note_lag(&job, now);
            }
            let job = Job { waits_since: Some(now), ..job };
            if self.connections < self.connections_max {
                self.open(shared, job);
            } else if self.backlog.len() < self.plan.behaviour.backlog_max {
                self.backlog.push_back(job);
            } else {
                self.skip(&job, NotOffered::BacklogFull, now);
            }
        }
    }

    fn seat(&mut self, seat: Seat, job: Job) {
        let mut patience_ns = self.plan.timeout_ns;
        if job.leaves {
            patience_ns = patience_ns.min(nanos(self.plan.behaviour.leave_early.what));
        }
        self.seats.assign(seat, job, job.intended.saturating_add(patience_ns));
    }

    /// Opens a connection for a request.
    fn open(&mut self, shared: &Rc<Shared>, job: Job) {
        self.connections += 1;
        self.record.connections_opened += 1;
        self.record.connections_peak = self.record.connections_peak.max(self.connections as u64);
        let seat = self.seats.open();
        self.seat(seat, job);
        match self.plan.behaviour.protocol {
            Protocol::Http1 => {
                tokio::task::spawn_local(crate::http1::serve(shared.clone(), seat));
            }
            Protocol::Http2 => {
                tokio::task::spawn_local(crate::http2::serve(shared.clone(), seat));
            }
        }
    }

    /// Gives a seat to whoever has waited longest, or makes it idle.
    fn reseat(&mut self, seat: Seat, now: u64) {
        match self.next_in_line(now) {
            Some(job) => self.seat(seat, job),
            None => self.seats.make_idle(seat),
        }
    }

    /// Whoever has waited longest for a connection.
    fn next_in_line(&mut self, now: u64) -> Option<Job> {
        let job = self.backlog.pop_front()?;
        let since = job.waits_since.unwrap_or(job.intended);
        self.record.note_line(job.phase, now.saturating_sub(since) / 1000);
        Some(Job { left_line: Some(now), ..job })
    }

    fn lose_connection(&mut self, shared: &Rc<Shared>, now: u64) {
        self.connections -= 1;
        if let Some(job) = self.next_in_line(now) {
            self.open(shared, job);
        }
    }

    /// Notes that the first byte of a seat's request goes out.
    pub(crate) fn note_sent(&mut self, job: &Job, now: u64) {
        match job.waits_since {
            _ if job.resent => {}
            None => self.note_lag(job, now),
            Some(since) => {
                self.record.note_connection_wait(job.phase, now.saturating_sub(since) / 1000);
            }
        }
    }

    fn note_lag(&mut self, job: &Job, now: u64) {
        self.record.note_lag(job.phase, now.saturating_sub(job.intended) / 1000);
    }

    fn schedule(&mut self, later: Later) {
        if later.due < self.armed
            && let Some(pacer) = &self.pacer
        {
            pacer.wake_by_ref();
        }
        self.later.push(Reverse(later));
    }
}
