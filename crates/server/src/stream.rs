//! Rows become the body of an answer at the pace of its reader, in memory that does not grow
//! with their number.
//!
//! The next row is asked for only when the reader has taken what is there, so a slow reader
//! slows its query down and nobody else's. A row that fails ends the body without its proper
//! end: on HTTP/1.1 the last chunk is missing, on HTTP/2 the stream is reset. So half an export
//! never looks like a whole one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body;
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http_body::Frame;
use pin_project_lite::pin_project;
use serde::Serialize;

/// Rows are collected up to this size before they go out: large enough that the cost per chunk
/// does not matter, small enough that many readers at once are no danger.
const CHUNK_BYTES: usize = 32 * 1024;

/// Rows as one JSON array, `[]` if there is none.
pub fn json_array<S, T, E>(rows: S) -> Response
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: Into<BoxError>,
{
    respond(rows, JsonArray { first: true }, "application/json")
}

/// Rows as one JSON text per line.
pub fn ndjson<S, T, E>(rows: S) -> Response
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: Into<BoxError>,
{
    respond(rows, Ndjson, "application/x-ndjson")
}

/// Rows as CSV (RFC 4180) under a line with the names of their fields; empty if there is no row.
pub fn csv<S, T, E>(rows: S) -> Response
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    T: Serialize,
    E: Into<BoxError>,
{
    respond(rows, Csv { header: true }, "text/csv; charset=utf-8")
}

fn respond<S, F, T, E>(rows: S, format: F, content_type: &'static str) -> Response
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    F: Format + Send + 'static,
    T: Serialize,
    E: Into<BoxError>,
{
    let state = State::Begin;
    let mut response =
        Response::new(Body::new(RowBody { rows, format, state, chunk: BytesMut::new() }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// How rows are written.
trait Format {
    /// What stands before the first row.
    fn begin(&mut self, _chunk: &mut BytesMut) {}
    /// One row, with what stands between it and the one before.
    fn row<T: Serialize>(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError>;
    /// What stands after the last row.
    fn end(&mut self, _chunk: &mut BytesMut) {}
}

struct JsonArray {
    first: bool,
}

impl Format for JsonArray {
    fn begin(&mut self, chunk: &mut BytesMut) {
        chunk.put_u8(b'[');
    }

    fn row<T: Serialize>(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError> {
        if !std::mem::take(&mut self.first) {
            chunk.put_slice(b",\n");
        }
        Ok(serde_json::to_writer(chunk.writer(), row)?)
    }

    fn end(&mut self, chunk: &mut BytesMut) {
        chunk.put_u8(b']');
    }
}

struct Ndjson;

impl Format for Ndjson {
    fn row<T: Serialize>(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError> {
        serde_json::to_writer((&mut *chunk).writer(), row)?;
        chunk.put_u8(b'\n');
        Ok(())
    }
}

struct Csv {
    header: bool,
}

impl Format for Csv {
    fn row<T: Serialize>(&mut self, chunk: &mut BytesMut, row: &T) -> Result<(), BoxError> {
        // A writer per row: one that lives longer would own the buffer that is sent away.
        let mut writer = csv::WriterBuilder::new()
            .has_headers(std::mem::take(&mut self.header))
            .buffer_capacity(256)
            .from_writer(chunk.writer());
        writer.serialize(row)?;
        Ok(writer.flush()?)
    }
}

enum State {
    Begin,
    Rows,
    Done,
}

pin_project! {
    /// The body that encodes rows as they come.
    struct RowBody<S, F> {
        #[pin]
        rows: S,
        format: F,
        state: State,
        chunk: BytesMut,
    }
}

impl<S, F, T, E> http_body::Body for RowBody<S, F>
where
    S: Stream<Item = Result<T, E>>,
    F: Format,
    T: Serialize,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        match this.state {
            State::Done => return Poll::Ready(None),
            State::Begin => {
                this.format.begin(this.chunk);
                *this.state = State::Rows;
            }
            State::Rows => {}
        }
        while this.chunk.len() < CHUNK_BYTES {
            let row = match this.rows.as_mut().poll_next(cx) {
                // A reader that waits is given what there is, once it is more than a bracket.
                Poll::Pending if this.chunk.len() > 1 => break,
                poll => ready!(poll),
            };
            let written = match row {
                Some(Ok(row)) => this.format.row(this.chunk, &row),
                Some(Err(error)) => Err(error.into()),
                None => {
                    this.format.end(this.chunk);
                    *this.state = State::Done;
                    break;
                }
            };
            if let Err(error) = written {
                // The pipeline logs it, under the request's name.
                *this.state = State::Done;
                this.chunk.clear();
                return Poll::Ready(Some(Err(error)));
            }
        }
        if this.chunk.is_empty() {
            return Poll::Ready(None);
        }
        let chunk = this.chunk.split().freeze();
        if matches!(this.state, State::Rows) {
            // The same memory again if the chunk before has been sent by now.
            this.chunk.reserve(CHUNK_BYTES);
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done) && self.chunk.is_empty()
    }
}

#[cfg(test)]
mod tests;
