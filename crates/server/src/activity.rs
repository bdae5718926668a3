//! Whether a connection is still worth its place: decided from what its requests did and when,
//! as a value, so that every rule is tested without a socket.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::Version;
use tenfold_context::Moment;
use tenfold_overload::Permit;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::drain::{self, Phase};
use crate::metrics::Cut;
use crate::upgraded::Upgraded;
use crate::wire::{with_part, with_request};

/// What has happened on one connection. Its requests write it, its watcher reads it; both run
/// on the same shard, hence relaxed.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Moment,
    lifetime: Lifetime,
    /// Requests whose head has come, ever.
    requests: AtomicU32,
    /// Requests whose answer has not ended.
    answers: Mutex<Answers>,
    /// How many answers are their readers' turn.
    readers: AtomicU32,
    /// When anything happened last, in nanoseconds of [`Moment`].
    last: AtomicU64,
    /// Since when a part of a head has lain there, in nanoseconds of [`Moment`]; 0 if none does.
    head_since: AtomicU64,
    /// Whether it speaks HTTP/2, which can be told to end between two requests.
    http2: AtomicBool,
    /// Whether the next answer is to be the last.
    last_answer: AtomicBool,
    /// What the socket is to make of the bytes that come.
    bytes: AtomicU8,
    /// What it is once it has become something else than HTTP/1.1.
    upgraded: OnceLock<Box<Upgraded>>,
    /// Control frames of HTTP/2 that go with work of which the socket does not know yet.
    with_work: AtomicU64,
}

/// How much one connection may be used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub(crate) age_max: Duration,
    pub(crate) requests_max: u32,
}

impl Lifetime {
    /// The same for one connection, with an age of a tenth more or less: those that came
    /// together must not leave together.
    pub(crate) fn by_chance(self) -> Lifetime {
        Lifetime { age_max: self.age_max.mul_f64(0.9 + 0.2 * fastrand::f64()), ..self }
    }
}

/// What the socket is to make of the bytes that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Incoming {
    /// They are HTTP.
    Http,
    /// They are another protocol's, by an upgrade.
    Upgraded,
    /// A head that has taken too long: it is to be refused.
    TooLate,
    /// Nothing is read of them any more: too many frames went with no work.
    Flood,
}

/// The answers that have not ended; at most one on HTTP/1.1, and as many as
/// `server.http2_streams_max` allows on HTTP/2.
#[derive(Debug, Default)]
struct Answers(Vec<Answer>);

#[derive(Debug, Default)]
struct Answer {
    /// Which request of the connection it is to.
    number: u32,
    turn: Turn,
    /// Its place behind the door. It goes back with the exchange, not with the handler: an
    /// answer that is still being written occupies memory, and often a connection to Postgres.
    permit: Option<Permit>,
    /// Ends it alone; only on HTTP/2.
    end: Option<AbortHandle>,
}

/// Who has to do something for an answer to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    /// There is no answer at this place.
    #[default]
    Nobody,
    /// Its handler, or its body's source.
    Ours,
    /// Its reader, who has not taken what has been ready since then.
    Readers(Moment),
    /// It has been ended, and will be gone in a moment.
    Ended,
}

/// The place of one answer among those of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerPlace {
    index: usize,
    /// That of its request: the place is taken again when the answer has ended.
    number: u32,
}

impl Answers {
    fn in_flight(&self) -> bool {
        self.0.iter().any(|answer| answer.turn != Turn::Nobody)
    }

    /// Whether any has a place behind the door that it could give to others.
    fn may_rest(&self) -> bool {
        self.0.iter().any(|answer| answer.permit.is_some() && answer.stalled_since().is_some())
    }

    /// Since when the reader has taken nothing of the answer that has waited for it longest.
    fn stalled_since(&self) -> Option<Moment> {
        self.0.iter().filter_map(Answer::stalled_since).min()
    }
}

impl Answer {
    fn stalled_since(&self) -> Option<Moment> {
        match self.turn {
            Turn::Readers(since) => Some(since),
            Turn::Nobody | Turn::Ours | Turn::Ended => None,
        }
    }
}

/// How long a connection may do nothing of use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until its first request is whole.
    pub(crate) first_request: Duration,
    /// Until a head is whole of which a part has come.
    pub(crate) header: Duration,
    /// Without a request.
    pub(crate) idle: Duration,
    /// Without taking anything of an answer that is ready.
    pub(crate) stall: Duration,
    /// The same until the answer gives its place behind the door to others: a reader that is so
    /// slow occupies memory and no core.
    pub(crate) rest: Duration,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It serves requests.
    Serving,
    /// The drain has begun; a request that is on its way may still come.
    LastRequest {
        /// For so long.
        until: Moment,
    },
    /// It was asked to end after what is in flight: `connection: close`, or GOAWAY.
    Ending {
        /// When it was asked.
        since: Moment,
    },
    /// What came was refused, and the connection ends with that answer.
    Refused {
        /// When it was.
        since: Moment,
    },
}

/// A client that connected just before the drain, or had its last answer just before, has this
/// long for another request: to end the connection in its face would lose one that is on its
/// way. On HTTP/1.1 each answer says from then on that it is the last.
const LAST_REQUEST: Duration = Duration::from_millis(500);

/// Waits until a client of whom nothing has come needs to be waited for no more.
pub(crate) async fn last_request_is_over(phase: watch::Receiver<Phase>) {
    drain::begun(phase).await;
    tokio::time::sleep(LAST_REQUEST).await;
}

/// How often a connection in the drain is looked at for its last request.
const LAST_REQUEST_LOOK: Duration = Duration::from_millis(20);

/// Time that a connection without requests has to end by itself once it was asked to.
const RETIREMENT: Duration = Duration::from_secs(5);

impl Stage {
    /// The stage when the drain begins.
    pub(crate) fn drain(self, now: Moment) -> Stage {
        match self {
            Stage::Serving => Stage::LastRequest { until: now + LAST_REQUEST },
            later => later,
        }
    }
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Leave it alone, and look again at that moment.
    Keep(Moment),
    /// Ask it to end after what is in flight: it is drained, or for a reason of its own.
    End(Option<Cut>),
    /// Say with its next answer that it is the last: HTTP/1.1 has no other way to tell a client
    /// that its next request has to go elsewhere.
    LastAnswer(Cut),
    /// Refuse the head that does not come to its end.
    Refuse,
    /// End it now.
    Cut(Cut),
}

impl Activity {
    pub(crate) fn opened(now: Moment, lifetime: Lifetime) -> Activity {
        Activity {
            opened: now,
            lifetime,
            requests: AtomicU32::new(0),
            answers: Mutex::default(),
            readers: AtomicU32::new(0),
            last: AtomicU64::new(now.as_nanos()),
            head_since: AtomicU64::new(0),
            http2: AtomicBool::new(false),
            last_answer: AtomicBool::new(false),
            bytes: AtomicU8::new(Incoming::Http as u8),
            upgraded: OnceLock::new(),
            with_work: AtomicU64::new(0),
        }
    }

    /// A request has come, and its handler begins.
    pub(crate) fn request_begins(&self, version: Version) -> AnswerPlace {
        let http2 = version == Version::HTTP_2;
        if http2 {
            self.http2.store(true, Ordering::Relaxed);
            self.work(with_request());
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if number >= self.lifetime.requests_max {
            self.next_answer_is_the_last();
        }
        let Answers(answers) = &mut *self.answers();
        let begun = Answer { number, turn: Turn::Ours, permit: None, end: None };
        let free = answers.iter().position(|answer| answer.turn == Turn::Nobody);
        let index = free.unwrap_or(answers.len());
        match free {
            Some(index) => answers[index] = begun,
            None => answers.push(begun),
        }
        AnswerPlace { index, number }
    }

    /// The request has its place behind the door. A body may ask for it whose answer has ended.
    pub(crate) fn hold(&self, place: AnswerPlace, permit: Permit) {
        let answer = &mut self.answers().0[place.index];
        if answer.number == place.number && answer.turn != Turn::Nobody {
            answer.permit = Some(permit);
        }
    }

    /// The request gives its place behind the door to others.
    pub(crate) fn give_back(&self, place: AnswerPlace) {
        let answer = &mut self.answers().0[place.index];
        let permit = (answer.number == place.number).then(|| answer.permit.take());
        drop(permit);
    }

    /// The answer can be ended alone.
    pub(crate) fn can_be_ended_by(&self, place: AnswerPlace, end: AbortHandle) {
        self.answers().0[place.index].end = Some(end);
    }

    /// A part of an answer has so many bytes.
    pub(crate) fn part_is_ready(&self, bytes: usize) {
        if self.is_http2() {
            self.work(with_part(bytes));
        }
    }

    fn work(&self, frames: u64) {
        self.with_work.fetch_add(frames, Ordering::Relaxed);
    }

    /// How many control frames go with the work since this was asked last.
    pub(crate) fn take_frames_with_work(&self) -> u64 {
        self.with_work.swap(0, Ordering::Relaxed)
    }

    /// A part of an answer is ready; it is the reader's turn.
    pub(crate) fn reader_turn(&self, place: AnswerPlace, now: Moment) {
        self.last.store(now.as_nanos(), Ordering::Relaxed);
        self.turn(place, Turn::Readers(now));
    }

    /// The reader has taken what was ready; it is our turn.
    pub(crate) fn our_turn(&self, place: AnswerPlace) {
        self.turn(place, Turn::Ours);
    }

    fn turn(&self, place: AnswerPlace, turn: Turn) {
        let answer = &mut self.answers().0[place.index];
        self.count_readers(answer.turn, turn);
        answer.turn = turn;
    }

    /// Under the lock, so a load and a store will do.
    fn count_readers(&self, before: Turn, after: Turn) {
        let is_readers = |turn| u32::from(matches!(turn, Turn::Readers(_)));
        let readers = self.readers.load(Ordering::Relaxed);
        self.readers.store(readers + is_readers(after) - is_readers(before), Ordering::Relaxed);
    }

    /// Whether any answer waits for its reader.
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    /// An answer has ended.
    pub(crate) fn request_ends(&self, place: AnswerPlace, now: Moment) {
        self.last.store(now.as_nanos(), Ordering::Relaxed);
        let mut answers = self.answers();
        let answer = &mut answers.0[place.index];
        self.count_readers(answer.turn, Turn::Nobody);
        let ended = std::mem::take(answer);
        drop(answers);
        // Out of the lock: the next one at the door may be on this connection.
        drop(ended);
    }

    /// A part of a head has come and not the whole.
    pub(crate) fn head_begins(&self, now: Moment) {
        self.head_since.store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// The head of which a part had come is whole.
    pub(crate) fn head_ends(&self) {
        self.head_since.store(0, Ordering::Relaxed);
    }

    /// What the bytes are that come from now on.
    pub(crate) fn expect(&self, incoming: Incoming) {
        self.bytes.store(incoming as u8, Ordering::Relaxed);
    }

    /// The connection becomes something else than HTTP; on HTTP/2 one stream of it does.
    pub(crate) fn upgrade(&self, now: Moment) {
        self.expect(Incoming::Upgraded);
        if !self.is_http2() {
            self.upgraded.get_or_init(|| Box::new(Upgraded::new(now)));
        }
    }

    /// What the connection is, if it is something else than HTTP.
    pub(crate) fn upgraded(&self) -> Option<&Upgraded> {
        self.upgraded.get().map(|upgraded| &**upgraded)
    }

    /// What the bytes are that come.
    pub(crate) fn incoming(&self) -> Incoming {
        let all = [Incoming::Http, Incoming::Upgraded, Incoming::TooLate, Incoming::Flood];
        all[usize::from(self.bytes.load(Ordering::Relaxed))]
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // Nothing under the lock can panic half-way, so a poisoned one is sound still.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on an answer says on HTTP/1.1 that it is the last.
    pub(crate) fn next_answer_is_the_last(&self) {
        self.last_answer.store(true, Ordering::Relaxed);
    }

    /// Whether an answer that begins now is the last one and must say so.
    pub(crate) fn answers_for_the_last_time(&self) -> bool {
        self.last_answer.load(Ordering::Relaxed) && !self.is_http2()
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.http2.load(Ordering::Relaxed)
    }

    /// Whether it has had as many requests as one connection may have.
    pub(crate) fn is_used_up(&self) -> bool {
        self.requests() >= self.lifetime.requests_max
    }

    /// How many requests have come.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Whether any request has come yet.
    fn has_begun(&self) -> bool {
        self.requests() > 0
    }

    /// Ends the answers on HTTP/2 whose readers have stopped, and says how many. The others on
    /// the same connection go on.
    pub(crate) fn end_stalled(&self, now: Moment, patience: Patience) -> usize {
        if !self.is_http2() {
            return 0;
        }
        let mut ended = 0;
        for answer in &mut self.answers().0 {
            let stalled = answer.stalled_since().is_some_and(|since| now >= since + patience.stall);
            if stalled && let Some(end) = answer.end.take() {
                end.abort();
                self.count_readers(answer.turn, Turn::Ended);
                answer.turn = Turn::Ended;
                ended += 1;
            }
        }
        ended
    }

    /// Lets the answers give their places behind the door to others whose readers make them wait.
    pub(crate) fn rest(&self, now: Moment, patience: Patience) {
        let resting = |answer: &mut Answer| {
            let since = answer.stalled_since()?;
            if now >= since + patience.rest { answer.permit.take() } else { None }
        };
        let given_back: Vec<_> = self.answers().0.iter_mut().filter_map(resting).collect();
        drop(given_back);
    }

    pub(crate) fn verdict(&self, now: Moment, stage: Stage, patience: Patience) -> Verdict {
        // Whatever the client does next, it does after now, so none of its times is over before.
        let answers = self.answers();
        let rest = if answers.may_rest() { patience.rest } else { patience.idle };
        let soon = now + patience.stall.min(patience.idle).min(patience.header).min(rest);
        let keep_until = |until: Moment, otherwise| {
            if now < until { Verdict::Keep(until.min(soon)) } else { otherwise }
        };
        match stage {
            Stage::LastRequest { until } => {
                // HTTP/2 says which requests it has taken, so none can be lost between two
                // answers.
                let still_comes = !(self.has_begun() && self.is_http2()) && now < until;
                let look = Verdict::Keep(now + LAST_REQUEST_LOOK);
                return if still_comes { look } else { Verdict::End(None) };
            }
            Stage::Refused { since } => {
                return keep_until(since + RETIREMENT, Verdict::Cut(Cut::Stalled));
            }
            Stage::Serving | Stage::Ending { .. } => {}
        }
        let last = Moment::from_nanos(self.last.load(Ordering::Relaxed));
        // The deadline of a request bounds our own work, and its reader's patience the rest.
        // What comes after a request on HTTP/1.1 hyper does not read before it is answered.
        if answers.in_flight() {
            let stalled = answers.stalled_since().map(|since| since + patience.stall);
            return match stalled {
                Some(until) if now >= until => Verdict::Cut(Cut::Stalled),
                stalled => self
                    .grown_old(now, stage)
                    .unwrap_or_else(|| Verdict::Keep(stalled.unwrap_or(soon).min(soon))),
            };
        }
        let first_request = self.opened + patience.first_request;
        let head_since = self.head_since.load(Ordering::Relaxed);
        if head_since > 0 {
            let whole = Moment::from_nanos(head_since).max(last) + patience.header;
            let whole = if self.has_begun() { whole } else { whole.min(first_request) };
            return keep_until(whole, Verdict::Refuse);
        }
        if !self.has_begun() {
            return keep_until(first_request, Verdict::Cut(Cut::Silent));
        }
        match stage {
            Stage::Ending { since } => {
                keep_until(since.max(last) + RETIREMENT, Verdict::Cut(Cut::Idle))
            }
            _ => self
                .grown_old(now, stage)
                .unwrap_or_else(|| keep_until(last + patience.idle, Verdict::End(Some(Cut::Idle)))),
        }
    }

    /// What to do with it because of its age. It is looked at often enough to notice in time:
    /// nobody counts on the minute.
    fn grown_old(&self, now: Moment, stage: Stage) -> Option<Verdict> {
        if stage != Stage::Serving || now < self.opened + self.lifetime.age_max {
            return None;
        }
        if self.is_http2() {
            return Some(Verdict::End(Some(Cut::Age)));
        }
        let said = self.last_answer.load(Ordering::Relaxed);
        (!said).then_some(Verdict::LastAnswer(Cut::Age))
    }
}

#[cfg(test)]
mod tests;
