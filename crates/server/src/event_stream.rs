//! Answers that may have no end (`text/event-stream`) come to one in the drain, before it has to
//! cut them off: their clients come back by themselves, to whoever serves then.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

use crate::drain::{self, Phase};
use crate::settings::ServerSettings;

/// What a content type begins with that says so; parameters may follow.
const EVENTS: &[u8] = b"text/event-stream";

/// Word of the drain, for a handler that goes on for longer than an answer, such as that of a
/// WebSocket: nobody but it can end its conversation in an orderly way.
#[derive(Clone, Debug)]
pub struct Draining {
    phase: watch::Receiver<Phase>,
    /// How long streams of events may go on.
    events_timeout: Duration,
}

impl Draining {
    pub(crate) fn new(phase: watch::Receiver<Phase>, settings: &ServerSettings) -> Draining {
        // The rest is for sending what has been made.
        let at_most = settings.drain_timeout * 4 / 5;
        Draining { phase, events_timeout: settings.drain_events_timeout.min(at_most) }
    }

    /// Waits until the drain begins; what goes on then has `server.drain_timeout` to end.
    pub async fn begins(&mut self) {
        drain::begun(self.phase.clone()).await;
    }
}

/// The response as it is, except that one without an end gets one.
pub(crate) fn ends_with_drain(response: Response, draining: &Draining) -> Response {
    let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let start = content_type.and_then(|content_type| content_type.get(..EVENTS.len()));
    if !start.is_some_and(|start| start.eq_ignore_ascii_case(EVENTS)) {
        return response;
    }
    let mut draining = draining.clone();
    let drained = Box::pin(async move {
        draining.begins().await;
        tokio::time::sleep(draining.events_timeout).await;
    });
    response.map(|body| Body::new(EventStream { body, drained }))
}

struct EventStream {
    body: Body,
    drained: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl http_body::Body for EventStream {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Between two frames, and before the next: a source that always has one must end too.
        if self.drained.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // One that has an exact length would be cut short by its end.
        SizeHint::default()
    }
}
