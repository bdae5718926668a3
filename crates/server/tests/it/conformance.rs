//! HTTP/1.1 as it comes over the wire, against a table of requests and expected answers.
//!
//! `tests/conformance/http1.txt` is data: what is sent, what comes back, and which section of an
//! RFC says so. What does not come back as expected is printed as the table would have it.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get as on_get, post};
use tenfold_config::ByteSize;
use tenfold_server::Json;
use tenfold_testkit::{Client, End};

use crate::support::{Running, start_with};

const TABLE: &str = include_str!("../conformance/http1.txt");

/// A request whose answer proves that the server has understood where the ones before it end.
const PROBE: &str = "GET /probe HTTP/1.1\r\nhost: a\r\n\r\n";

struct Case<'a> {
    why: &'a str,
    sent: &'a str,
    expected: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let lines: Vec<_> =
        TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let case = |lines: &[&'static str]| {
        let [why, sent, expected] = lines else { panic!("a case has three lines: {lines:?}") };
        let sent = sent.strip_prefix("> ").unwrap_or_else(|| panic!("no request: {sent}"));
        let expected = expected.strip_prefix("< ").unwrap_or_else(|| panic!("{expected}"));
        assert!(why.starts_with("RFC "), "which section says so? {why}");
        Case { why, sent, expected }
    };
    lines.chunks(3).map(case).collect()
}

/// `\r`, `\n`, `\t`, `\0`, `\xFF`, and `{x*9000}` for nine thousand of them.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((repeated, after)) = rest.strip_prefix('{').and_then(|r| r.split_once('}')) {
            let (what, times) = repeated.rsplit_once('*').unwrap();
            bytes.extend(self::bytes(what).repeat(times.parse().unwrap()));
            rest = after;
            continue;
        }
        let escaped = match rest.get(..2) {
            Some("\\r") => Some(b'\r'),
            Some("\\n") => Some(b'\n'),
            Some("\\t") => Some(b'\t'),
            Some("\\0") => Some(0),
            _ => None,
        };
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &rest[2..];
        } else if let Some(hexadecimal) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hexadecimal[..2], 16).unwrap());
            rest = &hexadecimal[2..];
        } else {
            bytes.extend_from_slice(first.to_string().as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

fn server() -> Running {
    let router = Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/probe", on_get(|| async { "probe" }))
        .route("/echo", any(|body: axum::body::Bytes| async move { body }))
        .route("/json", post(|Json(value): Json<u32>| async move { Json(value) }))
        .route("/made", post(|| async { http::StatusCode::CREATED }))
        .route("/nothing", on_get(|| async { http::StatusCode::NO_CONTENT }));
    start_with(router, |settings| {
        settings.header_timeout = Duration::from_millis(150);
        settings.body_timeout = Duration::from_millis(150);
        settings.uri_max = ByteSize::bytes(200);
        settings.header_max = ByteSize::kib(8);
        settings.header_count_max = 20;
        settings.body_max = ByteSize::bytes(100);
    })
}

/// The statuses that come back, then whether the connection is still of use.
async fn answer(server: &Running, case: &Case<'_>) -> String {
    // A request that ends in `…` is not all: nothing follows.
    let (sent, follows) = match case.sent.strip_suffix('…') {
        Some(part) => (part, ""),
        None => (case.sent, PROBE),
    };
    let sent = [&bytes(sent), follows.as_bytes()].concat();
    let mut client = Client::connect(server.address).await.unwrap();
    // It may have been refused, and closed, before it was all sent.
    let _ = client.send(&sent).await;
    let mut said = String::new();
    let mut head_only = case.sent.starts_with("HEAD ");
    loop {
        let Ok(head) = client.read_head().await else {
            said.push_str("close");
            return said;
        };
        let body = if std::mem::take(&mut head_only) {
            Vec::new()
        } else {
            let Ok((body, End::Complete)) = client.read_body(&head).await else {
                return said + "broken";
            };
            body
        };
        if body == b"probe" {
            said.push_str("open");
            return said;
        }
        let _ = write!(said, "{} ", head.status);
        let problem = head.header("content-type") == Some("application/problem+json");
        if head.status >= 400 && !problem {
            said.push_str("(no problem) ");
        }
        if head.status == 405 && head.header("allow").is_none() {
            said.push_str("(no allow) ");
        }
        if head.status >= 200 && head.header("date").is_none() {
            said.push_str("(no date) ");
        }
    }
}

#[tokio::test]
async fn requests_are_answered_as_the_table_says() {
    let server = server();
    let cases = cases();
    assert!(cases.len() >= 100, "{}", cases.len());
    let mut unexpected = String::new();
    for case in &cases {
        let answer = answer(&server, case).await;
        if answer != case.expected {
            let Case { why, sent, expected } = case;
            let _ = write!(unexpected, "\n{why}\n> {sent}\n< {answer}\nexpected: {expected}\n");
        }
    }
    assert!(unexpected.is_empty(), "{unexpected}");
}
