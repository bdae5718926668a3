//! Rows become the body of an answer at the pace of its reader, in memory that does not grow
//! with their number.
//!
//! The next row is asked for only when the reader has taken what is there, so a slow reader
//! slows its query down and nobody else's. The first rows are waited for before the answer
//! begins, so that what fails at once is an answer of its own. A row that fails later ends the
//! body without its proper end: on HTTP/1.1 the last chunk is missing, on HTTP/2 the stream is
//! reset. So half an export never looks like a whole one.

mod coding;
mod compressed;
mod format;

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::BoxError;
use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http_body::Frame;
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use serde::Serialize;

use coding::{Coding, Encoder};
use compressed::Compressed;
use format::{Csv, Format, JsonArray, Ndjson, Raw};

use crate::respond::{Error, Failure};

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
    respond(rows, JsonArray::new(), "application/json")
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
    respond(rows, Csv::new(), "text/csv; charset=utf-8")
}

/// Rows that have their form already, such as those of `Db::copy_out`.
pub fn raw<S, E>(rows: S, content_type: &'static str) -> Response
where
    S: Stream<Item = Result<Bytes, E>> + Send + 'static,
    E: Into<BoxError>,
{
    respond(rows, Raw, content_type)
}

/// Says that the body of an answer is rows.
#[derive(Clone, Copy, Debug)]
struct Rows;

fn respond<S, F, T, E>(rows: S, format: F, content_type: &'static str) -> Response
where
    S: Stream<Item = Result<T, E>> + Send + 'static,
    F: Format<T> + Send + 'static,
    E: Into<BoxError>,
{
    let state = State::Begin;
    let mut response =
        Response::new(Body::new(RowBody { rows, format, state, chunk: BytesMut::new() }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.extensions_mut().insert(Rows);
    response
}

/// Whether an answer is made of rows.
pub(crate) fn is_rows(response: &Response) -> bool {
    response.extensions().get::<Rows>().is_some()
}

/// Makes an answer of rows ready to be sent: the first of them are there, and they are in the
/// coding that the client likes best, by its `accept-encoding`.
pub(crate) async fn begin(
    response: Response,
    accepted: Option<HeaderValue>,
) -> Result<Response, Error> {
    let (mut head, mut body) = response.into_parts();
    let first = match body.frame().await {
        Some(Err(error)) => return Err(failed(error)),
        Some(Ok(first)) => first.into_data().ok(),
        None => None,
    };
    let mut body = Body::new(Begun { first, body });
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    let coding = accepted.as_ref().and_then(Coding::accepted);
    if let Some(coding) = coding.filter(|_| !head.headers.contains_key(CONTENT_ENCODING)) {
        let encoder = Encoder::new(coding).map_err(Error::internal)?;
        body = Body::new(Compressed::new(body, encoder));
        head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    }
    Ok(Response::from_parts(head, body))
}

/// Nothing has been sent yet, so the client can be told what went wrong.
fn failed(error: axum::Error) -> Error {
    let error = match error.into_inner().downcast::<tenfold_db::Error>() {
        Ok(error) => return Failure::Database(*error).into(),
        Err(error) => error,
    };
    match error.downcast::<Error>() {
        Ok(error) => *error,
        Err(error) => Error::internal(error),
    }
}

pin_project! {
    /// A body of which the first part has been waited for.
    struct Begun {
        first: Option<Bytes>,
        #[pin]
        body: Body,
    }
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.project();
        match this.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => this.body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
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
    F: Format<T>,
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
