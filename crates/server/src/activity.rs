//! Whether a connection is still worth its place: decided from what its requests did and when,
//! as a value, so that every rule is tested without a socket.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use tenfold_context::Moment;

use crate::metrics::Cut;

/// What has happened on one connection. Its requests write it, its watcher reads it; both run
/// on the same shard, hence relaxed.
#[derive(Debug)]
pub(crate) struct Activity {
    opened: Moment,
    /// Requests whose head has come, ever.
    requests: AtomicU32,
    /// Requests whose answer has not ended.
    answers: Mutex<Answers>,
    /// When anything happened last, in nanoseconds of [`Moment`].
    last: AtomicU64,
    /// Whether it speaks HTTP/2, which can be told to end between two requests.
    http2: AtomicBool,
    /// Whether the drain has begun.
    draining: AtomicBool,
}

/// The answers that have not ended; at most one on HTTP/1.1, and as many as
/// `server.http2_streams_max` allows on HTTP/2.
#[derive(Debug, Default)]
struct Answers(Vec<Turn>);

/// Who has to do something for an answer to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There is no answer at this place.
    Nobody,
    /// Its handler, or its body's source.
    Ours,
    /// Its reader, who has not taken what has been ready since then.
    Readers(Moment),
}

/// The place of one answer among those of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnswerPlace(usize);

impl Answers {
    fn in_flight(&self) -> bool {
        self.0.iter().any(|turn| *turn != Turn::Nobody)
    }

    fn working(&self) -> bool {
        self.0.contains(&Turn::Ours)
    }

    /// Since when the reader has taken nothing of the answer that has waited for it longest.
    fn stalled_since(&self) -> Option<Moment> {
        let since = |turn: &Turn| match turn {
            Turn::Readers(since) => Some(*since),
            Turn::Nobody | Turn::Ours => None,
        };
        self.0.iter().filter_map(since).min()
    }
}

/// How long a connection may do nothing of use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until its first request is whole.
    pub(crate) first_request: Duration,
    /// Without a request.
    pub(crate) idle: Duration,
    /// Without taking anything of an answer that is ready. A connection of which other answers
    /// go on is asked to end then, and cut after twice that.
    pub(crate) stall: Duration,
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
}

/// A client that connected just before the drain, or had its last answer just before, has this
/// long for another request: to end the connection in its face would lose one that is on its
/// way. On HTTP/1.1 each answer says from then on that it is the last.
const LAST_REQUEST: Duration = Duration::from_millis(500);

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
    /// Ask it to end after what is in flight.
    End,
    /// End it now.
    Cut(Cut),
}

impl Activity {
    pub(crate) fn opened(now: Moment) -> Activity {
        Activity {
            opened: now,
            requests: AtomicU32::new(0),
            answers: Mutex::default(),
            last: AtomicU64::new(now.as_nanos()),
            http2: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// A request has come, and its handler begins.
    pub(crate) fn request_begins(&self, version: Version) -> AnswerPlace {
        if version == Version::HTTP_2 {
            self.http2.store(true, Ordering::Relaxed);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let Answers(turns) = &mut *self.answers();
        let free = turns.iter().position(|turn| *turn == Turn::Nobody);
        let place = free.unwrap_or(turns.len());
        if free.is_none() {
            turns.push(Turn::Nobody);
        }
        turns[place] = Turn::Ours;
        AnswerPlace(place)
    }

    /// A part of an answer is ready; it is the reader's turn.
    pub(crate) fn reader_turn(&self, AnswerPlace(place): AnswerPlace, now: Moment) {
        self.last.store(now.as_nanos(), Ordering::Relaxed);
        self.answers().0[place] = Turn::Readers(now);
    }

    /// The reader has taken what was ready; it is our turn.
    pub(crate) fn our_turn(&self, AnswerPlace(place): AnswerPlace) {
        self.answers().0[place] = Turn::Ours;
    }

    /// An answer has ended.
    pub(crate) fn request_ends(&self, AnswerPlace(place): AnswerPlace, now: Moment) {
        self.last.store(now.as_nanos(), Ordering::Relaxed);
        self.answers().0[place] = Turn::Nobody;
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        // Nothing under the lock can panic half-way, so a poisoned one is sound still.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The drain has begun.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether an answer that begins now is the last one and must say so: HTTP/1.1 has no other
    /// way to tell a client that its next request has to go elsewhere.
    pub(crate) fn answers_for_the_last_time(&self) -> bool {
        self.draining.load(Ordering::Relaxed) && !self.http2.load(Ordering::Relaxed)
    }

    /// Whether any request has come yet.
    fn has_begun(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn verdict(&self, now: Moment, stage: Stage, patience: Patience) -> Verdict {
        let last = Moment::from_nanos(self.last.load(Ordering::Relaxed));
        let keep_until = |until: Moment, otherwise| {
            if now < until { Verdict::Keep(until) } else { otherwise }
        };
        if let Stage::LastRequest { until } = stage {
            // HTTP/2 says which requests it has taken, so none can be lost between two answers.
            let may_come = !self.has_begun() || !self.http2.load(Ordering::Relaxed);
            let still_comes = may_come && now < until;
            return if still_comes { Verdict::Keep(now + LAST_REQUEST_LOOK) } else { Verdict::End };
        }
        // Whatever the client does next, it does after now, so none of its times is over before.
        let soon = now + patience.stall.min(patience.idle);
        if !self.has_begun() {
            let until = self.opened + patience.first_request;
            return if now < until {
                Verdict::Keep(until.min(soon))
            } else {
                Verdict::Cut(Cut::Silent)
            };
        }
        let answers = self.answers();
        if !answers.in_flight() {
            return match stage {
                Stage::Ending { since } => {
                    keep_until(since.max(last) + RETIREMENT, Verdict::Cut(Cut::Idle))
                }
                Stage::Serving | Stage::LastRequest { .. } => {
                    keep_until(last + patience.idle, Verdict::End)
                }
            };
        }
        if !answers.working() && now >= last + patience.stall {
            return Verdict::Cut(Cut::Stalled);
        }
        // The deadline of the request bounds our own work.
        let Some(since) = answers.stalled_since() else { return Verdict::Keep(soon) };
        // Whatever else goes on, an answer that nobody takes holds the place of a request: let
        // the others finish, but let no new ones come that would keep it for ever.
        let ends = since + patience.stall;
        let cut = ends + patience.stall;
        match stage {
            _ if now >= cut => Verdict::Cut(Cut::Stalled),
            Stage::Ending { .. } => Verdict::Keep(cut.min(soon)),
            Stage::Serving | Stage::LastRequest { .. } => keep_until(ends.min(soon), Verdict::End),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        first_request: Duration::from_secs(1),
        idle: Duration::from_secs(10),
        stall: Duration::from_secs(5),
    };

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn one_that_asks_nothing_is_cut() {
        let activity = Activity::opened(at(0));
        assert_eq!(activity.verdict(at(0), Stage::Serving, PATIENCE), Verdict::Keep(at(1)));
        assert_eq!(activity.verdict(at(1), Stage::Serving, PATIENCE), Verdict::Cut(Cut::Silent));
    }

    #[test]
    fn one_that_has_nothing_more_to_ask_is_retired() {
        let activity = Activity::opened(at(0));
        let place = activity.request_begins(Version::HTTP_11);
        activity.reader_turn(place, at(2));
        activity.request_ends(place, at(3));
        assert_eq!(activity.verdict(at(4), Stage::Serving, PATIENCE), Verdict::Keep(at(13)));
        assert_eq!(activity.verdict(at(13), Stage::Serving, PATIENCE), Verdict::End);
    }

    #[test]
    fn one_that_takes_nothing_is_cut_and_one_that_waits_for_us_is_not() {
        let activity = Activity::opened(at(0));
        let place = activity.request_begins(Version::HTTP_11);
        assert_eq!(activity.verdict(at(100), Stage::Serving, PATIENCE), Verdict::Keep(at(105)));
        activity.reader_turn(place, at(101));
        assert_eq!(activity.verdict(at(105), Stage::Serving, PATIENCE), Verdict::Keep(at(106)));
        assert_eq!(activity.verdict(at(106), Stage::Serving, PATIENCE), Verdict::Cut(Cut::Stalled));
        activity.our_turn(place);
        assert_eq!(activity.verdict(at(200), Stage::Serving, PATIENCE), Verdict::Keep(at(205)));
    }

    #[test]
    fn a_busy_request_may_finish_beside_a_stalled_one_and_no_new_one_may_come() {
        let activity = Activity::opened(at(0));
        let stalled = activity.request_begins(Version::HTTP_2);
        activity.reader_turn(stalled, at(0));
        let busy = activity.request_begins(Version::HTTP_2);
        assert_eq!(activity.verdict(at(4), Stage::Serving, PATIENCE), Verdict::Keep(at(5)));
        assert_eq!(activity.verdict(at(5), Stage::Serving, PATIENCE), Verdict::End);
        let ending = Stage::Ending { since: at(5) };
        assert_eq!(activity.verdict(at(5), ending, PATIENCE), Verdict::Keep(at(10)));
        activity.reader_turn(busy, at(6));
        activity.request_ends(busy, at(6));
        assert_eq!(activity.verdict(at(9), ending, PATIENCE), Verdict::Keep(at(10)));
        assert_eq!(activity.verdict(at(10), ending, PATIENCE), Verdict::Cut(Cut::Stalled));
    }

    #[test]
    fn a_place_is_taken_again_when_its_answer_has_ended() {
        let activity = Activity::opened(at(0));
        let first = activity.request_begins(Version::HTTP_2);
        let second = activity.request_begins(Version::HTTP_2);
        assert_ne!(first, second);
        activity.request_ends(first, at(0));
        assert_eq!(activity.request_begins(Version::HTTP_2), first);
    }

    #[test]
    fn one_that_was_asked_to_end_has_a_while_to_do_so() {
        let activity = Activity::opened(at(0));
        let ending = Stage::Ending { since: at(20) };
        let place = activity.request_begins(Version::HTTP_11);
        assert_eq!(activity.verdict(at(20), ending, PATIENCE), Verdict::Keep(at(25)));
        activity.reader_turn(place, at(21));
        activity.request_ends(place, at(22));
        assert_eq!(activity.verdict(at(23), ending, PATIENCE), Verdict::Keep(at(27)));
        assert_eq!(activity.verdict(at(27), ending, PATIENCE), Verdict::Cut(Cut::Idle));
    }

    #[test]
    fn a_drain_waits_a_moment_for_a_last_request() {
        let activity = Activity::opened(at(0));
        let drained = Stage::Serving.drain(at(0));
        let look = Moment::ZERO + LAST_REQUEST_LOOK;
        assert_eq!(activity.verdict(at(0), drained, PATIENCE), Verdict::Keep(look));
        let over = Moment::ZERO + LAST_REQUEST;
        assert_eq!(activity.verdict(over, drained, PATIENCE), Verdict::End);
        activity.request_begins(Version::HTTP_11);
        assert_eq!(activity.verdict(at(0), drained, PATIENCE), Verdict::Keep(look));
        assert_eq!(activity.verdict(over, drained, PATIENCE), Verdict::End);
        let ending = Stage::Ending { since: at(0) };
        assert_eq!(ending.drain(at(9)), ending);
    }

    #[test]
    fn a_drain_tells_http2_at_once_and_http1_with_its_answer() {
        let (http1, http2) = (Activity::opened(at(0)), Activity::opened(at(0)));
        http1.request_begins(Version::HTTP_11);
        http2.request_begins(Version::HTTP_2);
        assert!(!http1.answers_for_the_last_time());
        http1.drain();
        http2.drain();
        let drained = Stage::Serving.drain(at(0));
        assert_eq!(http2.verdict(at(0), drained, PATIENCE), Verdict::End);
        assert!(http1.answers_for_the_last_time());
        assert!(!http2.answers_for_the_last_time());
    }
}
