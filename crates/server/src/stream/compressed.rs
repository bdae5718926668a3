//! A body of rows on its way through an encoder, at the pace of its reader still.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::BoxError;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::coding::Encoder;

/// Chunks that are encoded in one turn at the most: a tenth of a megabyte is about a millisecond
/// in which the event loop does nothing else.
const CHUNKS_MAX: usize = 4;

/// A body, encoded.
pub(super) struct Compressed {
    body: Body,
    /// `None` at the end.
    encoder: Option<Encoder>,
    /// Whether something was written that may not have come out yet.
    unflushed: bool,
}

impl Compressed {
    pub(super) fn new(body: Body, encoder: Encoder) -> Compressed {
        Compressed { body, encoder: Some(encoder), unflushed: false }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        for _ in 0..CHUNKS_MAX {
            let Some(encoder) = &mut self.encoder else { return Poll::Ready(Ok(None)) };
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(frame)) => {
                    // There are no trailers behind rows.
                    let Ok(data) = frame?.into_data() else { continue };
                    encoder.write(&data)?;
                    self.unflushed = true;
                    let ready = encoder.take();
                    if !ready.is_empty() {
                        return Poll::Ready(Ok(Some(ready)));
                    }
                }
                Poll::Ready(None) => {
                    let rest = self.encoder.take().map(Encoder::finish).transpose()?;
                    return Poll::Ready(Ok(rest.filter(|rest| !rest.is_empty())));
                }
                // Whoever waits for more is given what there is.
                Poll::Pending if self.unflushed => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(Ok(None)) };
        encoder.flush()?;
        self.unflushed = false;
        let ready = encoder.take();
        if ready.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(Some(ready)))
    }
}

impl http_body::Body for Compressed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_chunk(cx).map(|chunk| match chunk {
            Ok(chunk) => chunk.map(|chunk| Ok(Frame::data(chunk))),
            Err(error) => {
                // No end: it must not look like a whole one.
                self.encoder = None;
                Some(Err(error))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.encoder.is_none()
    }
}
