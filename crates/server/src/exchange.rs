//! One request from its head to the last byte of its answer: holds what it occupies, and says
//! at its end, whichever end that is, what became of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, StatusCode, Uri};
use http_body::{Body as _, Frame, SizeHint};
use tenfold_context::{Context, Moment};
use tenfold_overload::Permit;

use crate::access_log::AccessLog;
use crate::activity::Activity;
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
        activity.request_begins();
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
            metrics,
            access_log,
        }
    }

    /// Keeps the place behind the door until the end.
    pub(crate) fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// The answer begins: from here on the exchange lives in its body.
    pub(crate) fn answer(mut self, response: Response) -> http::Response<AnswerBody> {
        self.status = response.status();
        let bodiless = self.method == Method::HEAD
            || self.status == StatusCode::NO_CONTENT
            || self.status == StatusCode::NOT_MODIFIED
            || self.status.is_informational();
        if bodiless || response.body().is_end_stream() {
            self.ending = Ending::Complete;
        }
        self.reader_turn();
        response.map(|body| AnswerBody { body, exchange: self })
    }

    fn reader_turn(&mut self) {
        self.turn = Turn::Readers;
        self.activity.reader_turn(Moment::now());
    }

    fn our_turn(&mut self) {
        if self.turn == Turn::Readers {
            self.turn = Turn::Ours;
            self.activity.our_turn();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let now = Moment::now();
        if self.turn == Turn::Ours {
            self.activity.reader_turn(now);
        }
        self.activity.request_ends(now);
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
    exchange: Exchange,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let AnswerBody { body, exchange } = &mut *self;
        exchange.our_turn();
        // What a body does, such as reading rows, belongs to the request as much as what its
        // handler did.
        let poll = within(&exchange.context, || Pin::new(&mut *body).poll_frame(cx));
        let frame = ready!(poll);
        match &frame {
            // hyper does not ask again when it knows that the body is at its end.
            Some(Ok(_)) if body.is_end_stream() => exchange.ending = Ending::Complete,
            Some(Ok(_)) => {}
            None => exchange.ending = Ending::Complete,
            Some(Err(error)) => {
                exchange.ending = Ending::Failed;
                let error = error as &(dyn std::error::Error + 'static);
                within(&exchange.context, || tracing::error!(error, "answer broke off"));
            }
        }
        exchange.reader_turn();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Runs something short as a part of the request, so that its log lines have its name.
fn within<T>(context: &Context, short: impl FnOnce() -> T) -> T {
    let ready = context.clone().scope(async move { short() });
    ready.now_or_never().expect("it waits for nothing")
}
