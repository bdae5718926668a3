//! How a request ends, what is remembered of it, and whether its client asks again.

use std::time::Duration;

use super::demand::{Later, Wish};
use super::{Cut, Engine, Job, Seat};
use crate::ending::{Ending, Failure, NotOffered, is_refusal};
use crate::plan::{nanos, seed_of};
use crate::record::Finished;

/// How the attempt to get an answer ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// An answer came. Whether in time is decided here.
    Answer {
        status: u16,
        body_is_right: bool,
        retry_after: Option<Duration>,
    },
    Failed(Failure),
    /// It could not be sent.
    Unsent(NotOffered),
    Cut(Cut),
}

impl Engine {
    pub(super) fn skip(&mut self, job: &Job, reason: NotOffered, now: u64) {
        self.record.skip((job.phase, job.class, job.attempt > 0), job.intended, reason);
        self.progress.not_offered += 1;
        // Whose request finds no place and who thinks of nothing would come back at once, for ever.
        self.release_user(job, now + 1_000_000);
    }

    pub(super) fn end(&mut self, seat: Seat, end: End, now: u64) {
        let Some(job) = self.seats.vacate(seat) else { return };
        let waited = job.left_line.map_or(0, |left| left.saturating_sub(job.intended));
        let cut_short = |patience_ns: u64| waited > patience_ns / 2;
        if matches!(end, End::Cut(Cut::TimedOut))
            && job.sent.is_none()
            && cut_short(self.plan.timeout_ns)
        {
            // A connection was being made when its patience was at its end already.
            return self.skip(&job, NotOffered::Expired, now);
        }
        let good = &self.plan.requests[job.request];
        let latency = now.saturating_sub(job.intended);
        let (ending, retry_after, again) = match end {
            End::Answer { status, body_is_right, retry_after } => {
                let right = good.request.good.takes(status);
                let refused = is_refusal(status);
                let ending = match (right, refused) {
                    (true, _) if !body_is_right => Ending::Wrong,
                    (true, _) if latency > good.latency_max_ns => Ending::Slow,
                    (true, _) => Ending::Good,
                    (false, true) => Ending::Refused,
                    (false, false) => Ending::Wrong,
                };
                match ending {
                    Ending::Wrong if right => self.record.wrong_bodies += 1,
                    Ending::Wrong | Ending::Refused => self.record.note_status(status),
                    _ => {}
                }
                (ending, retry_after, !right && (refused || status >= 500))
            }
            End::Failed(failure) => {
                self.record.fail(failure);
                (Ending::Failed, None, true)
            }
            End::Unsent(reason) => return self.skip(&job, reason, now),
            End::Cut(Cut::Left) => (Ending::LeftEarly, None, false),
            End::Cut(Cut::TimedOut) => (Ending::TimedOut, None, true),
            End::Cut(Cut::Gone) => {
                self.record.fail(Failure::Reset);
                (Ending::Failed, None, true)
            }
        };
        let retry = job.attempt > 0;
        let Job { phase, class, intended, sent, .. } = job;
        let spoilt = match ending {
            Ending::TimedOut => cut_short(self.plan.timeout_ns),
            // Slow for having waited, or so late that it had little time left.
            Ending::Slow => {
                let alone = latency.saturating_sub(waited);
                cut_short(good.latency_max_ns) || alone <= good.latency_max_ns
            }
            Ending::LeftEarly => cut_short(nanos(self.plan.behaviour.leave_early.what)),
            _ => false,
        };
        let finished = Finished { phase, class, retry, intended, sent, ended: now, ending };
        self.record.finish(&finished);
        if spoilt {
            self.record.spoil((phase, class, retry));
        }
        self.progress.end(ending, latency / 1000);
        if !(again && self.retry(&job, retry_after, now)) {
            self.release_user(&job, now);
        }
    }

    /// Whether the client asks again later.
    fn retry(&mut self, job: &Job, retry_after: Option<Duration>, now: u64) -> bool {
        let retries = &self.plan.behaviour.retries;
        let attempt = job.attempt + 1;
        if attempt > retries.max {
            return false;
        }
        let mut random = fastrand::Rng::with_seed(seed_of(job.seed, u64::from(attempt)));
        let wait = retries.wait(attempt, retry_after, &mut random);
        let job = Job { attempt, intended: now.saturating_add(nanos(wait)), ..*job };
        if job.intended >= self.demand.ends() {
            return false;
        }
        // A user who waits to ask again does nothing else, so that users are their own bound.
        let is_bounded = job.user.is_some();
        if !is_bounded && self.later.len() >= self.plan.behaviour.backlog_max.max(1) {
            let phase = self.plan.phase(job.intended);
            self.record.intend(phase, job.class, true, job.intended);
            self.progress.intended += 1;
            self.progress.not_offered += 1;
            let kind = (phase, job.class, true);
            self.record.skip(kind, job.intended, NotOffered::RetriesFull);
            return false;
        }
        self.schedule(Later { due: job.intended, wish: Wish::Retry(job) });
        true
    }

    /// A user of a closed loop thinks, and comes back.
    fn release_user(&mut self, job: &Job, now: u64) {
        if let Some(later) = self.demand.comes_back(job, now) {
            self.schedule(later);
        }
    }
}
