//! axum's own extractors say in plain text what they cannot take, and some of it is for nobody
//! outside. Here it gets the form that all failures have.
//!
//! A rejection cannot be told from a handler's own words but by how it begins: axum makes a text
//! of it before anybody sees it. A test makes each of them anew, so a release of axum that says it
//! in other words is noticed.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::BodyExt;

use super::complete::{formed, of_status};
use super::{Error, Failure, clipped, problem};
use crate::extract::field;

/// The content type of a `&str` or `String`.
const TEXT: &[u8] = b"text/plain; charset=utf-8";

/// How a rejection begins, and what it is.
const REJECTIONS: &[(&str, Kind)] = &[
    ("Failed to deserialize the JSON body into the target type: ", Kind::Field),
    ("Failed to deserialize form body: ", Kind::Field),
    ("Failed to deserialize form: ", Kind::Field),
    ("Failed to deserialize query string: ", Kind::Field),
    ("Invalid URL: Cannot parse ", Kind::PathPart),
    ("Invalid URL: ", Kind::Words),
    ("Invalid UTF-8 in `", Kind::Words),
    ("Failed to parse the request body as JSON: ", Kind::Words),
    ("Expected request with `Content-Type: application/json`", Kind::Words),
    ("Form requests must have `Content-Type: ", Kind::Words),
    ("Failed to buffer the request body: ", Kind::Words),
    ("Request body didn't contain valid UTF-8: ", Kind::Words),
    ("Invalid `boundary` for `multipart/form-data` request", Kind::Words),
    ("Error parsing `multipart/form-data` request", Kind::Words),
    ("Request method must be `", Kind::Words),
    ("Connection header did not include 'upgrade'", Kind::Words),
    ("`Upgrade` header did not include 'websocket'", Kind::Words),
    ("`Sec-WebSocket-Version` header did not include '13'", Kind::Words),
    ("`Sec-WebSocket-Key` header missing", Kind::Words),
    ("WebSocket request couldn't be upgraded since no upgrade state was present", Kind::Words),
    ("Missing request extension: ", Kind::Mistake),
    ("No paths parameters found for matched route", Kind::Mistake),
    ("Wrong number of path arguments for `Path`", Kind::Mistake),
    ("Unsupported type `", Kind::Mistake),
    ("No matched path found", Kind::Mistake),
    ("The matched route is not nested", Kind::Mistake),
];

/// What a rejection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A field of the input does not fit, and is named first.
    Field,
    /// A part of the path does not fit.
    PathPart,
    /// Something else that the client can put right.
    Words,
    /// The service is put together wrongly. What it says is for the log.
    Mistake,
}

/// The answer as it is, unless it is a rejection in plain text, which becomes a problem.
pub(super) fn without_plain_rejection(response: Response) -> Response {
    let status = response.status();
    let headers = response.headers();
    let is_text = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes() == TEXT);
    if !is_text || headers.contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (head, mut body) = response.into_parts();
    let Some(text) = begin(&mut body) else {
        return Response::from_parts(head, body);
    };
    // A rejection has all its text in one piece.
    let whole = body.is_end_stream();
    let failure = std::str::from_utf8(&text).ok().filter(|_| whole);
    if let Some(failure) = failure.and_then(|text| failure_of(status, text)) {
        return formed(&failure, head.headers);
    }
    let body = if whole {
        Body::from(text)
    } else {
        Body::from_stream(stream::iter([Ok(text)]).chain(body.into_data_stream()))
    };
    Response::from_parts(head, body)
}

/// What there is of a body without waiting.
fn begin(body: &mut Body) -> Option<Bytes> {
    body.frame().now_or_never()??.ok()?.into_data().ok()
}

fn failure_of(status: StatusCode, text: &str) -> Option<Error> {
    let (kind, rest) = REJECTIONS
        .iter()
        .find_map(|(begin, kind)| text.strip_prefix(begin).map(|rest| (*kind, rest)))?;
    Some(match kind {
        Kind::Field => {
            let (path, why) = path_and_reason(rest);
            Failure::Invalid { field: field(path, why), why: why.to_owned() }.into()
        }
        Kind::PathPart => {
            // `name` with value `x` to a `i64`
            let name = rest.strip_prefix('`').and_then(|rest| rest.split_once("` with value `"));
            let field = name.map_or("path", |(name, _)| name).to_owned();
            Failure::Invalid { field, why: text.to_owned() }.into()
        }
        Kind::Words if status == StatusCode::BAD_REQUEST => {
            Failure::Malformed(text.to_owned()).into()
        }
        Kind::Words => problem(status, of_status(status).0, clipped(text.to_owned())),
        Kind::Mistake => Error::internal(clipped(text.to_owned())),
    })
}

/// Takes apart what `serde_path_to_error` has put together: a path, if there is one, and what is
/// wrong there; without where in the text that was, which the path says.
fn path_and_reason(text: &str) -> (&str, &str) {
    let text = text.rsplit_once(" at line ").map_or(text, |(text, _line_and_column)| text);
    match text.split_once(": ") {
        Some((path, why)) if !path.contains([' ', '`']) => (path, why),
        // The whole of it does not fit.
        _ => (".", text),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::HeaderValue;

    use super::*;

    fn text(status: StatusCode, text: &'static str) -> Response {
        (status, text).into_response()
    }

    fn left_alone(response: Response) -> Response {
        let response = without_plain_rejection(response);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        response
    }

    #[test]
    fn a_path_is_told_from_a_reason() {
        for (said, path, why) in [
            (
                "lines[0].quantity: missing field `a` at line 1 column 5",
                "lines[0].quantity",
                "missing field `a`",
            ),
            (
                "invalid type: string \"a\", expected i64 at line 1 column 3",
                ".",
                "invalid type: string \"a\", expected i64",
            ),
            ("missing field `a`", ".", "missing field `a`"),
            ("limit: invalid digit found in string", "limit", "invalid digit found in string"),
        ] {
            assert_eq!(path_and_reason(said), (path, why));
        }
    }

    #[test]
    fn a_handlers_own_words_are_left_alone() {
        let own = text(StatusCode::NOT_FOUND, "Failed to find it: there is none");
        let own = left_alone(own);
        let body = own.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!(body, "Failed to find it: there is none");

        // One that begins like a rejection, and does not come in one piece.
        let begin = "Invalid URL: ";
        let parts = stream::iter([Ok::<_, std::io::Error>(begin), Ok("no"), Ok("ne")]);
        let mut pieces = Response::new(Body::from_stream(parts));
        pieces.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_bytes(TEXT).unwrap());
        let body = left_alone(pieces).into_body();
        let body = body.collect().now_or_never().unwrap().unwrap().to_bytes();
        assert_eq!(body, "Invalid URL: none");

        let mut encoded = text(StatusCode::BAD_REQUEST, begin);
        encoded.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        left_alone(encoded);
    }

    #[test]
    fn a_body_that_has_nothing_yet_is_not_waited_for() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let mut response = Response::new(never);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_bytes(TEXT).unwrap());
        left_alone(response);
    }
}
