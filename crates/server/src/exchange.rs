//! One request from its head to the last byte of its answer: holds what it occupies, and says
//! at its end, whichever end that is, what became of it.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf, Bytes};
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body::{Body as _, Frame, SizeHint};
use tenfold_context::{Context, Moment};
use tenfold_overload::{Entrance, Permit};
use tokio::time::Sleep;

use crate::access_log::AccessLog;
use crate::activity::{Activity, AnswerPlace};
use crate::bytes_in_flight::{BytesInFlight, Charge};
use crate::metrics::{Ending, ShardMetrics};
use crate::piece::{Departure, Piece};
use crate::request_body::Seat;
use crate::respond;

/// The status that is counted for a client that left before its answer began; nginx's number.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// What a request that matched no route is counted under, so that callers cannot invent labels.
const UNMATCHED: &str = "unmatched";

/// A request in progress. Its end is its drop, so none goes uncounted: an answer that was sent,
/// a handler that was dropped because its client left, a body that nobody read to its end.
pub(crate) struct Exchange {
    context: Context,
    method: Method,
    uri: Uri,
    /// Nobody has seen any other until the answer begins.
    status: StatusCode,
    ending: Ending,
    turn: Turn,
    /// What its buffers occupy, if it is sent in parts.
    charge: Option<Charge>,
    activity: Arc<Activity>,
    place: AnswerPlace,
    metrics: Arc<ShardMetrics>,
    access_log: AccessLog,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Ours,
    Readers,
}

impl Exchange {
    pub(crate) fn begin<B>(
        context: Context,
        request: &http::Request<B>,
        activity: &Arc<Activity>,
        metrics: Arc<ShardMetrics>,
        access_log: AccessLog,
    ) -> Exchange {
        let place = activity.request_begins(request.version());
        metrics.in_flight.increment();
        Exchange {
            context,
            method: request.method().clone(),
            uri: request.uri().clone(),
            status: StatusCode::from_u16(CLIENT_CLOSED_REQUEST).expect("three digits"),
            ending: Ending::Abandoned,
            turn: Turn::Ours,
            charge: None,
            activity: activity.clone(),
            place,
            metrics,
            access_log,
        }
    }

    /// Keeps the place behind the door until the end.
    pub(crate) fn hold(&self, permit: Permit) {
        self.activity.hold(self.place, permit);
    }

    /// The place behind the door, for a body that may have to give it back for a while.
    pub(crate) fn seat(&self, door: &Entrance) -> Seat {
        Seat {
            activity: self.activity.clone(),
            place: self.place,
            door: door.clone(),
            context: self.context.clone(),
        }
    }

    /// Its place among the answers of its connection.
    pub(crate) fn place(&self) -> AnswerPlace {
        self.place
    }

    /// What the router or a handler left without a form gets one.
    pub(crate) fn complete(&self, response: Response) -> Response {
        respond::complete(response, &self.method, &self.uri)
    }

    /// The answer begins: from here on the exchange lives in its body.
    pub(crate) fn answer(
        mut self,
        mut response: Response,
        limits: &AnswerLimits,
    ) -> http::Response<AnswerBody> {
        // An answer that changes the protocol has said already what becomes of the connection.
        let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS
            || self.method == Method::CONNECT && response.status().is_success();
        if upgrades {
            self.activity.upgrade(Moment::now());
        } else if self.activity.answers_for_the_last_time() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        self.status = response.status();
        let bodiless = self.method == Method::HEAD
            || self.status == StatusCode::NO_CONTENT
            || self.status == StatusCode::NOT_MODIFIED
            || self.status.is_informational();
        if bodiless || response.body().is_end_stream() {
            self.ending = Ending::Complete;
        }
        self.reader_turn();
        response.map(|body| AnswerBody {
            body,
            rest: Bytes::new(),
            departure: Departure::default(),
            lingers: false,
            source: Source { timeout: limits.source_stall_timeout, waits_since: None, alarm: None },
            bytes: limits.bytes.clone(),
            exchange: self,
        })
    }

    fn reader_turn(&mut self) {
        self.turn = Turn::Readers;
        self.activity.reader_turn(self.place, Moment::now());
    }

    fn our_turn(&mut self) {
        if self.turn == Turn::Readers {
            self.turn = Turn::Ours;
            self.activity.our_turn(self.place);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = Moment::now();
        self.activity.request_ends(self.place, now);
        self.metrics.in_flight.decrement();
        let took = now.since(self.context.arrived());
        let route = self.context.route().unwrap_or(UNMATCHED);
        self.metrics.exchanged(route, &self.method, self.status, self.ending, took);
        if self.access_log.wants(self.status, self.ending, took) {
            within(&self.context, || {
                self.access_log.write(&self.method, &self.uri, self.status, self.ending, took);
            });
        }
    }
}

/// The body of an answer, and the exchange that lives as long as it does.
pub(crate) struct AnswerBody {
    body: Body,
    /// What is left of a frame that is given out in pieces.
    rest: Bytes,
    /// Where the last piece of it is.
    departure: Departure,
    /// Whether all of it has been given out, and may not have been sent.
    lingers: bool,
    source: Source,
    bytes: BytesInFlight,
    exchange: Exchange,
}

/// What all answers are held to.
pub(crate) struct AnswerLimits {
    /// How long what an answer is made of may not come.
    pub(crate) source_stall_timeout: Duration,
    pub(crate) bytes: BytesInFlight,
}

/// Where the parts of an answer come from, and since when none has.
struct Source {
    timeout: Duration,
    waits_since: Option<Moment>,
    /// There is none until something has to be waited for, and then it is left as it is: nearly
    /// always the next part comes before it rings.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The source of an answer gave nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("what the answer is made of did not come within {} ms", after.as_millis())]
struct SourceStalled {
    after: Duration,
}

impl Source {
    /// It has nothing now: fails if that has lasted too long.
    fn poll_stalled(&mut self, cx: &mut task::Context<'_>) -> Poll<SourceStalled> {
        let since = *self.waits_since.get_or_insert_with(Moment::now);
        let ends = (since + self.timeout).instant();
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
        ready!(alarm.as_mut().poll(cx));
        if alarm.deadline() < ends {
            alarm.as_mut().reset(ends);
            ready!(alarm.as_mut().poll(cx));
        }
        Poll::Ready(SourceStalled { after: self.timeout })
    }
}

/// hyper takes a frame whole, however large, and lets go of the body after the last one. A large
/// answer in one frame is therefore given out in pieces, and stays when the last one has been: so
/// its exchange lives until its reader has nearly all of it, and a reader that stops is noticed.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// What an answer that is sent in parts occupies at most: the piece that hyper has, because it is
/// given the next one when that is gone. Of rows it is a chunk of 32 KiB, and one that is
/// being filled.
const STREAM_BYTES: u64 = PIECE_BYTES_MAX as u64;

/// A last piece of no more bytes is forgotten when it is given out: it is no larger than what h2
/// itself has of a stream. After a larger one HTTP/2 has an empty frame more, with which the
/// exchange ends when it has been sent and not before; on HTTP/1.1 it ends when no more of it is
/// left than `server.header_max` and 8 KiB.
const LAST_PIECE_BYTES_MAX: usize = 1024;

impl AnswerBody {
    fn poll_whole_frame(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let AnswerBody { body, exchange, source, .. } = self;
        // What a body does, such as reading rows, belongs to the request as much as what its
        // handler did.
        within(&exchange.context, || {
            let frame = match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => {
                    source.waits_since = None;
                    frame
                }
                Poll::Pending => {
                    let stalled = ready!(source.poll_stalled(cx));
                    exchange.metrics.limited("source_stall_timeout");
                    Some(Err(axum::Error::new(stalled)))
                }
            };
            if let Some(Err(error)) = &frame {
                exchange.ending = Ending::Failed;
                tracing::error!(error = error as &dyn Error, "answer broke off");
            }
            Poll::Ready(frame)
        })
    }

    fn piece(&mut self) -> Frame<Piece> {
        let length = self.rest.len().min(PIECE_BYTES_MAX);
        let bytes = self.rest.split_to(length);
        if length <= LAST_PIECE_BYTES_MAX {
            return Frame::data(Piece::unwatched(bytes));
        }
        self.lingers = self.is_given_out();
        // h2 takes a piece when one byte of it may go, and asks for the next one at once.
        Frame::data(if self.exchange.activity.is_http2() {
            self.departure.watch(bytes)
        } else {
            Piece::unwatched(bytes)
        })
    }

    fn is_given_out(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }
}

impl http_body::Body for AnswerBody {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        ready!(self.departure.poll_gone(cx));
        self.exchange.our_turn();
        let frame = if self.lingers {
            None
        } else if self.rest.is_empty() {
            match ready!(self.poll_whole_frame(cx)) {
                Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                    Ok(data) => {
                        self.rest = data;
                        self.piece()
                    }
                    Err(trailers) => trailers.map_data(Piece::unwatched),
                })),
                Some(Err(error)) => Some(Err(error)),
                None => None,
            }
        } else {
            Some(Ok(self.piece()))
        };
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Buf::remaining);
            self.exchange.activity.part_is_ready(bytes);
        }
        // hyper does not ask again when it knows that the body is at its end; on HTTP/1.1 it
        // knows from the length.
        let asks_again = self.lingers && self.exchange.activity.is_http2();
        let is_last = matches!(frame, Some(Ok(_))) && self.is_given_out() && !asks_again;
        if frame.is_none() || is_last {
            self.exchange.ending = Ending::Complete;
        }
        if frame.is_some() && !self.is_end_stream() && self.exchange.charge.is_none() {
            self.exchange.charge = Some(self.bytes.charge_always(STREAM_BYTES));
        }
        self.exchange.reader_turn();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_given_out() && !self.lingers
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, hint) = (self.rest.len() as u64, self.body.size_hint());
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

/// Runs something short as a part of the request, so that its log lines have its name.
fn within<T>(context: &Context, short: impl FnOnce() -> T) -> T {
    let ready = context.clone().scope(async move { short() });
    ready.now_or_never().expect("it waits for nothing")
}
