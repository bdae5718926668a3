//! What the router, or a handler, answers with a status and nothing else is given its form, and
//! so is what axum's extractors say in plain text.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body::Body as _;
use tenfold_context::Context;

use super::rejection::without_plain_rejection;
use super::{Error, Failure, again_after_seconds, problem};

/// Gives the errors of the router and of handlers that have no body, and those of axum's
/// extractors, the body of a problem, and answers `OPTIONS` where no route does.
pub(crate) fn complete(response: Response, method: &Method, uri: &Uri) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    // An answer to HEAD has the type of what GET would have got. One to GET that has a type and
    // nothing of it, such as a 416 of static files, says nothing.
    let bare = response.body().size_hint().exact() == Some(0)
        && (*method != Method::HEAD || !response.headers().contains_key(CONTENT_TYPE));
    if !bare {
        return without_plain_rejection(response);
    }
    let failure: Error = match status {
        // RFC 9110 §9.3.7: the server as a whole, and what a path takes.
        StatusCode::NOT_FOUND if *method == Method::OPTIONS && uri.path() == "*" => {
            return no_content(HeaderMap::new());
        }
        StatusCode::METHOD_NOT_ALLOWED if *method == Method::OPTIONS => {
            return no_content(response.into_parts().0.headers);
        }
        StatusCode::NOT_FOUND => Failure::NothingHere.into(),
        StatusCode::MISDIRECTED_REQUEST => Failure::Misdirected.into(),
        StatusCode::METHOD_NOT_ALLOWED if !is_known(method) => Failure::MethodUnknown.into(),
        StatusCode::METHOD_NOT_ALLOWED => Failure::MethodNotAllowed.into(),
        other => {
            let (code, detail) = of_status(other);
            problem(other, code, detail)
        }
    };
    formed(&failure, response.into_parts().0.headers)
}

/// The answer to a failure, with whatever else stands in the headers already.
pub(super) fn formed(failure: &Error, mut headers: HeaderMap) -> Response {
    failure.log();
    let (status, json) = failure.to_wire(Context::current().as_ref());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    // A handler's answer to HEAD has the length of what GET would have had.
    headers.remove(CONTENT_LENGTH);
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        let seconds = again_after_seconds(Duration::from_secs(1));
        headers.entry(RETRY_AFTER).or_insert_with(|| seconds.into());
    }
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn no_content(mut headers: HeaderMap) -> Response {
    headers.remove(CONTENT_LENGTH);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = headers;
    response
}

/// Whether any route could take the method. Others are 501 and not 405 (RFC 9110 §9.1).
fn is_known(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
            | Method::CONNECT
            | Method::TRACE
    )
}

/// The problem of a status of which nothing else is known: its code, and what it says.
pub(super) fn of_status(status: StatusCode) -> (&'static str, &'static str) {
    use StatusCode as Status;
    match status {
        Status::BAD_REQUEST => ("bad_request", "the request is not as it should be"),
        Status::UNAUTHORIZED => ("unauthorized", "this needs a login"),
        Status::FORBIDDEN => ("forbidden", "this is not permitted"),
        Status::NOT_ACCEPTABLE => {
            ("not_acceptable", "there is no form of it that the accept fields allow")
        }
        Status::CONFLICT => ("conflict", "it does not go together with the state of things"),
        Status::GONE => ("gone", "it was here once"),
        Status::LENGTH_REQUIRED => ("length_required", "the body needs a content-length"),
        Status::PRECONDITION_FAILED => ("precondition_failed", "it has changed since"),
        Status::PAYLOAD_TOO_LARGE => ("body_too_large", "the body is too large"),
        Status::URI_TOO_LONG => ("uri_too_long", "the target is too long"),
        Status::UNSUPPORTED_MEDIA_TYPE => {
            ("unsupported_media_type", "the body has a form that is not taken here")
        }
        Status::RANGE_NOT_SATISFIABLE => ("range_not_satisfiable", "there is no such part of it"),
        Status::UNPROCESSABLE_ENTITY => ("invalid", "the input is not valid"),
        Status::UPGRADE_REQUIRED => ("upgrade_required", "this needs another protocol"),
        Status::PRECONDITION_REQUIRED => ("precondition_required", "this needs a condition"),
        Status::TOO_MANY_REQUESTS => ("too_many_requests", "you have asked too often"),
        Status::NOT_IMPLEMENTED => ("not_implemented", "this is not known here"),
        Status::BAD_GATEWAY => ("bad_gateway", "another service answered wrongly"),
        Status::SERVICE_UNAVAILABLE => ("unavailable", "this is not to be had now"),
        Status::GATEWAY_TIMEOUT => ("deadline_passed", "another service did not answer in time"),
        status if status.is_client_error() => ("refused", "the request was refused"),
        _ => ("internal", "it failed by our own fault; the request id finds it in the log"),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use futures_util::FutureExt;
    use http::header::ALLOW;
    use http_body_util::BodyExt;

    use super::*;

    fn json(response: Response) -> serde_json::Value {
        let body = response.into_body().collect().now_or_never().unwrap().unwrap();
        serde_json::from_slice(&body.to_bytes()).unwrap()
    }

    #[test]
    fn only_bare_answers_are_completed() {
        let bare = |status| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = status;
            response
        };
        let of = |method: Method, uri: &str, response| {
            complete(response, &method, &uri.parse().unwrap())
        };
        let get = |response| of(Method::GET, "/", response);
        assert_eq!(json(get(bare(StatusCode::NOT_FOUND)))["status"], 404);

        let not_allowed = || {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
            response
        };
        let completed = of(Method::PUT, "/", not_allowed());
        assert_eq!(completed.headers()[ALLOW], "GET,HEAD");
        assert_eq!(json(completed)["type"], "/problems/method_not_allowed");
        let invented = of(Method::from_bytes(b"BREW").unwrap(), "/", not_allowed());
        assert_eq!(
            (invented.status(), &invented.headers()[ALLOW]),
            (StatusCode::NOT_IMPLEMENTED, &HeaderValue::from_static("GET,HEAD"))
        );
        let options = of(Method::OPTIONS, "/", not_allowed());
        assert_eq!(
            (options.status(), &options.headers()[ALLOW]),
            (StatusCode::NO_CONTENT, &HeaderValue::from_static("GET,HEAD"))
        );
        let whole = of(Method::OPTIONS, "*", bare(StatusCode::NOT_FOUND));
        assert_eq!(whole.status(), StatusCode::NO_CONTENT);

        let of_the_handler = (StatusCode::NOT_FOUND, "no such product").into_response();
        assert_eq!(get(of_the_handler).headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        let fine = get(bare(StatusCode::CREATED));
        assert!(!fine.headers().contains_key(CONTENT_TYPE));
    }

    #[test]
    fn a_status_of_a_handler_becomes_a_problem() {
        let said = |status: u16| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            let completed = complete(response, &Method::GET, &Uri::from_static("/"));
            let again = if completed.headers().contains_key(RETRY_AFTER) { ", again" } else { "" };
            let json = json(completed);
            assert_eq!(json["status"], status);
            format!("{}{again}", json["type"].as_str().unwrap())
        };
        let cases = [
            (400, "/problems/bad_request"),
            (406, "/problems/not_acceptable"),
            (411, "/problems/length_required"),
            (416, "/problems/range_not_satisfiable"),
            (418, "/problems/refused"),
            (421, "/problems/misdirected"),
            (426, "/problems/upgrade_required"),
            (429, "/problems/too_many_requests, again"),
            (500, "/problems/internal"),
            (501, "/problems/not_implemented"),
            (503, "/problems/unavailable, again"),
            (599, "/problems/internal"),
        ];
        for (status, expected) in cases {
            assert_eq!(said(status), expected);
        }
    }
}
