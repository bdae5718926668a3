//! Answers that have no end (`text/event-stream`) end when the drain begins: their clients come
//! back by themselves, to whoever serves then.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http::header::CONTENT_TYPE;
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

use crate::drain::Phase;

/// Word of the drain, for a handler that goes on for longer than an answer, such as that of a
/// WebSocket: nobody but it can end its conversation in an orderly way.
#[derive(Clone, Debug)]
pub struct Draining(pub(crate) watch::Receiver<Phase>);

impl Draining {
    /// Waits until the drain begins; what goes on then has `server.drain_timeout` to end.
    pub async fn begins(&mut self) {
        // An error says that the server is gone, which is later still.
        let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
    }
}

/// The response as it is, except that one without an end gets one.
pub(crate) fn ends_with_drain(response: Response, draining: &Draining) -> Response {
    let is_events = response.headers().get(CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream")
    });
    if !is_events {
        return response;
    }
    let mut draining = draining.clone();
    let drained = Box::pin(async move { draining.begins().await });
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
