//! The body of a request on its way to its handler: no larger than its route allows, no slower
//! than the settings ask for, and within the bytes that the process has for all of them.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tenfold_context::Moment;
use tenfold_overload::{Entrance, Permit, Refusal};
use tokio::time::Sleep;

use crate::activity::{Activity, AnswerPlace};
use crate::bytes_in_flight::{BytesInFlight, Charge};
use crate::respond::Failure;

/// What a client may do with the body of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyLimits {
    /// Bytes, where the route says nothing else.
    pub(crate) bytes_max: u64,
    /// Time that it may make us wait, whatever it has sent.
    pub(crate) grace: Duration,
    /// What it has to send on average in the time that we wait beyond the grace.
    pub(crate) bytes_per_second_min: u64,
}

impl BodyLimits {
    /// How long the client may have made us wait once it has sent so much.
    fn wait_max(self, received: u64) -> Duration {
        let earned_ms = received.saturating_mul(1_000) / self.bytes_per_second_min.max(1);
        self.grace.saturating_add(Duration::from_millis(earned_ms))
    }
}

/// Why a body came to no good end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u64 },
    #[error("the body did not come in time")]
    TooSlow,
    #[error("too many bytes are in flight")]
    NoRoom,
    #[error("the place behind the door was given to others meanwhile, and there is none: {0}")]
    Refused(Refusal),
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
}

impl Failure {
    /// Why an extractor of axum's got no body: it knows only that there was an error.
    pub(crate) fn unread(error: impl std::error::Error + Send + Sync + 'static) -> Failure {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            match error.downcast_ref::<BodyError>() {
                Some(BodyError::TooLarge { bytes_max }) => {
                    return Failure::BodyTooLarge { bytes_max: *bytes_max };
                }
                Some(BodyError::TooSlow) => return Failure::BodyTooSlow,
                Some(BodyError::NoRoom) => return Failure::NoRoom,
                Some(BodyError::Refused(refusal)) => return Failure::Refused(*refusal),
                Some(BodyError::Broken(_)) | None => cause = error.source(),
            }
        }
        Failure::BodyBroken(error.into())
    }
}

/// What the body, its route and the pipeline know of each other.
#[derive(Debug)]
pub(crate) struct BodyState {
    bytes_max: AtomicU64,
    progress: AtomicU8,
    refusal: OnceLock<Refusal>,
}

/// The place behind the door of the request that a body belongs to. It counts what is worked on,
/// and is given back while its client makes it wait.
pub(crate) struct Seat {
    pub(crate) activity: Arc<Activity>,
    pub(crate) place: AnswerPlace,
    pub(crate) door: Entrance,
    pub(crate) context: tenfold_context::Context,
}

/// How long a client may make a request wait that has a place behind the door. Clients whose
/// bodies come in several packets are not sent away for that, and as many as the door has places
/// for would have to come anew in this time to hold it shut.
const SEAT_KEPT: Duration = Duration::from_millis(100);

/// Where a request is, of which a part has been awaited.
enum Whereabouts {
    Inside,
    /// It has given its place back.
    Outside,
    /// It stands at the door again, and has this to go on with once it is inside.
    Returning(Returning, Next),
}

/// What hyper had next; nothing at the end.
type Next = Option<Result<Frame<Bytes>, hyper::Error>>;

type Returning = Pin<Box<dyn Future<Output = Result<Permit, Refusal>> + Send>>;

impl Seat {
    fn take_again(&self) -> Returning {
        let (door, context) = (self.door.clone(), self.context.clone());
        Box::pin(async move { door.enter(&context).await })
    }
}

/// How far the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Progress {
    /// It is our turn, or the body has ended.
    Ours,
    /// More of it has been asked for and has not come.
    Clients,
    TooLarge,
    TooSlow,
    NoRoom,
    Refused,
    Broken,
}

impl BodyState {
    /// How many bytes it may have.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// The route's word on how many bytes it may have.
    pub(crate) fn set_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    pub(crate) fn progress(&self) -> Progress {
        let all = [
            Progress::Ours,
            Progress::Clients,
            Progress::TooLarge,
            Progress::TooSlow,
            Progress::NoRoom,
            Progress::Refused,
            Progress::Broken,
        ];
        all[usize::from(self.progress.load(Ordering::Relaxed))]
    }

    /// Why it did not get its place behind the door again.
    pub(crate) fn refusal(&self) -> Refusal {
        self.refusal.get().copied().unwrap_or(Refusal::Closed)
    }

    fn set(&self, progress: Progress) {
        self.progress.store(progress as u8, Ordering::Relaxed);
    }
}

/// A body that keeps within its limits, or fails.
pub(crate) struct RequestBody {
    body: Incoming,
    state: Arc<BodyState>,
    limits: BodyLimits,
    received: u64,
    /// How long the client has made us wait for more.
    waited: Duration,
    waits_since: Option<Moment>,
    /// Rings when it has for too long. There is none until it has to be waited for.
    alarm: Option<Pin<Box<Sleep>>>,
    charge: Charge,
    seat: Seat,
    whereabouts: Whereabouts,
}

impl RequestBody {
    /// `held_max` is what may lie in memory before anybody reads it.
    ///
    /// Nothing if there is no room for it among the bytes in flight.
    pub(crate) fn new(
        body: Incoming,
        limits: BodyLimits,
        held_max: u64,
        bytes: &BytesInFlight,
        seat: Seat,
    ) -> Option<RequestBody> {
        let expected = body.size_hint().upper().unwrap_or(held_max);
        let charge = bytes.charge(expected.min(held_max))?;
        let state = BodyState {
            bytes_max: AtomicU64::new(limits.bytes_max),
            progress: AtomicU8::new(Progress::Ours as u8),
            refusal: OnceLock::new(),
        };
        Some(RequestBody {
            body,
            state: Arc::new(state),
            limits,
            received: 0,
            waited: Duration::ZERO,
            waits_since: None,
            alarm: None,
            charge,
            seat,
            whereabouts: Whereabouts::Inside,
        })
    }

    fn fail<T>(&self, progress: Progress, error: BodyError) -> Poll<Option<Result<T, BodyError>>> {
        self.state.set(progress);
        Poll::Ready(Some(Err(error)))
    }

    /// The client makes us wait: ready when it has for too long.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waits_since.get_or_insert_with(Moment::now);
        self.state.set(Progress::Clients);
        let left = self.limits.wait_max(self.received).saturating_sub(self.waited);
        if matches!(self.whereabouts, Whereabouts::Inside) && left > SEAT_KEPT {
            ready!(self.poll_alarm(since + SEAT_KEPT, cx));
            self.whereabouts = Whereabouts::Outside;
            self.seat.activity.give_back(self.seat.place);
        }
        self.poll_alarm(since + left, cx)
    }

    fn poll_alarm(&mut self, ends: Moment, cx: &mut Context<'_>) -> Poll<()> {
        let ends = ends.instant();
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
        if alarm.deadline() != ends {
            alarm.as_mut().reset(ends);
        }
        alarm.as_mut().poll(cx)
    }

    /// What comes next, once there is a place behind the door for it.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, BodyError>> {
        if !matches!(self.whereabouts, Whereabouts::Returning(..)) {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                ready!(self.poll_too_slow(cx));
                return Poll::Ready(Err(BodyError::TooSlow));
            };
            if let Some(since) = self.waits_since.take() {
                self.waited += Moment::now().since(since);
                self.state.set(Progress::Ours);
            }
            if matches!(self.whereabouts, Whereabouts::Inside) {
                return Poll::Ready(Ok(frame));
            }
            self.whereabouts = Whereabouts::Returning(self.seat.take_again(), frame);
        }
        let Whereabouts::Returning(returning, frame) = &mut self.whereabouts else {
            return Poll::Pending;
        };
        let permit = ready!(returning.as_mut().poll(cx));
        let frame = frame.take();
        self.whereabouts = match permit {
            Ok(permit) => {
                self.seat.activity.hold(self.seat.place, permit);
                Whereabouts::Inside
            }
            Err(refusal) => {
                self.whereabouts = Whereabouts::Outside;
                return Poll::Ready(Err(BodyError::Refused(refusal)));
            }
        };
        Poll::Ready(Ok(frame))
    }

    pub(crate) fn state(&self) -> Arc<BodyState> {
        self.state.clone()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let bytes_max = self.state.bytes_max();
        let too_large = BodyError::TooLarge { bytes_max };
        // Refused unread if it says itself that it is too large. This comes before the body is
        // asked for, so that a client that waits for "100 Continue" never sends it.
        if self.received.saturating_add(self.body.size_hint().lower()) > bytes_max {
            return self.fail(Progress::TooLarge, too_large);
        }
        let frame = match ready!(self.poll_next(cx)) {
            Ok(frame) => frame,
            Err(BodyError::Refused(refusal)) => {
                let _first = self.state.refusal.set(refusal);
                return self.fail(Progress::Refused, BodyError::Refused(refusal));
            }
            Err(error) => return self.fail(Progress::TooSlow, error),
        };
        match frame {
            Some(Ok(frame)) => {
                self.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if self.received > bytes_max {
                    return self.fail(Progress::TooLarge, too_large);
                }
                // A handler may keep all of it, up to what any of them may have; one that takes
                // more passes it on.
                let kept = self.received.min(self.limits.bytes_max);
                if !self.charge.reaches(kept) {
                    return self.fail(Progress::NoRoom, BodyError::NoRoom);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => self.fail(Progress::Broken, BodyError::Broken(error)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_earns_time() {
        let limits = BodyLimits {
            bytes_max: 1 << 20,
            grace: Duration::from_secs(5),
            bytes_per_second_min: 1_000,
        };
        assert_eq!(limits.wait_max(0), Duration::from_secs(5));
        assert_eq!(limits.wait_max(10_000), Duration::from_secs(15));
        assert!(limits.wait_max(u64::MAX) > Duration::from_secs(1_000_000));
        let none = BodyLimits { bytes_per_second_min: 0, ..limits };
        assert_eq!(none.wait_max(1), Duration::from_secs(6), "no division by zero");
    }
}
