//! One request from its head to the last byte of its answer: holds what it occupies, and says
//! at its end, whichever end that is, what became of it.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::CONNECTION;
use http::{HeaderValue, Method, StatusCode, Uri};
use http_body::{Body as _, Frame, SizeHint};
use tenfold_context::{Context, Moment};
use tenfold_overload::Permit;

use crate::access_log::AccessLog;
use crate::activity::{Activity, AnswerPlace};
use crate::metrics::{Ending, ShardMetrics};

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
    /// The place behind the door. It goes back with the exchange, not with the handler: an
    /// answer that is still being written occupies memory, and often a connection to Postgres.
    permit: Option<Permit>,
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
        activity: Arc<Activity>,
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
            permit: None,
            activity,
            place,
            metrics,
            access_log,
        }
    }

    /// Keeps the place behind the door until the end.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// The answer begins: from here on the exchange lives in its body.
    pub(crate) fn answer(mut self, mut response: Response) -> http::Response<AnswerBody> {
        // An answer that changes the protocol has said already what becomes of the connection.
        let upgrades = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !upgrades && self.activity.answers_for_the_last_time() {
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
        response.map(|body| AnswerBody { body, rest: Bytes::new(), exchange: self })
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
    exchange: Exchange,
}

/// hyper takes a frame whole, however large, and lets go of the body after the last one. A large
/// answer in one frame is therefore given out in pieces: so its exchange lives until its reader
/// has all but the last piece, and a reader that stops is noticed.
const PIECE_BYTES_MAX: usize = 64 * 1024;

impl AnswerBody {
    fn poll_whole_frame(
        &mut self,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let AnswerBody { body, exchange, .. } = self;
        // What a body does, such as reading rows, belongs to the request as much as what its
        // handler did.
        within(&exchange.context, || match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Err(error)) => {
                exchange.ending = Ending::Failed;
                tracing::error!(error = &error as &dyn Error, "answer broke off");
                Poll::Ready(Some(Err(error)))
            }
            frame => Poll::Ready(frame),
        })
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE_BYTES_MAX);
        Frame::data(self.rest.split_to(length))
    }
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.exchange.our_turn();
        let frame = if self.rest.is_empty() {
            match ready!(self.poll_whole_frame(cx)) {
                Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                    Ok(data) => {
                        self.rest = data;
                        self.piece()
                    }
                    Err(trailers) => trailers,
                })),
                other => other,
            }
        } else {
            Some(Ok(self.piece()))
        };
        // hyper does not ask again when it knows that the body is at its end.
        if frame.is_none() || (matches!(frame, Some(Ok(_))) && self.is_end_stream()) {
            self.exchange.ending = Ending::Complete;
        }
        self.exchange.reader_turn();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
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
