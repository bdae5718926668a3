//! Layers and services of others around and inside a router: static files, CORS, compression,
//! tracing, WebSockets, streams of events.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get as on_get;
use futures_util::stream;
use tenfold_testkit::{Client, request};
use tower_http::compression::CompressionLayer;
use tower_http::cors::{Any, CorsLayer};
use tower_http::services::ServeDir;
use tower_http::trace::TraceLayer;

use crate::support::start;

fn static_files() -> (tempfile::TempDir, Router) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("digits.txt"), "0123456789").unwrap();
    let router = Router::new().nest_service("/files", ServeDir::new(folder.path()));
    (folder, router)
}

#[tokio::test]
async fn parts_of_a_file_are_given_out() {
    let (_folder, router) = static_files();
    let server = start(router);
    let part = |range: &'static str| async move {
        let headers = [("range", range)];
        let answer =
            request(server.address, "GET", "/files/digits.txt", &headers, b"").await.unwrap();
        let range = answer.header("content-range").unwrap_or_default().to_owned();
        (answer.status, range, answer.text())
    };
    let expected = |status, range: &str, text: &str| (status, range.to_owned(), text.to_owned());
    assert_eq!(part("bytes=2-4").await, expected(206, "bytes 2-4/10", "234"));
    assert_eq!(part("bytes=7-").await, expected(206, "bytes 7-9/10", "789"));
    assert_eq!(part("bytes=-2").await, expected(206, "bytes 8-9/10", "89"));
    let (status, range, text) = part("bytes=20-").await;
    assert_eq!((status, range.as_str()), (416, "bytes */10"));
    assert!(text.contains("/problems/range_not_satisfiable"), "{text}");
    // RFC 9110 §14.2: what cannot be understood, or asks for too much, is ignored or refused.
    assert!(matches!(part("lines=1-2").await.0, 200 | 416));
    let many = format!("bytes={}0-1", "0-1,".repeat(1_000));
    let answer = request(server.address, "GET", "/files/digits.txt", &[("range", &many)], b"")
        .await
        .unwrap();
    assert!(matches!(answer.status, 200 | 416), "{}", answer.status);
    assert!(answer.body.len() < 1_000);
}

#[tokio::test]
async fn a_file_that_has_not_changed_is_not_sent_again() {
    let (_folder, router) = static_files();
    let server = start(router);
    let get = |headers: Vec<(&'static str, String)>| async move {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request(server.address, "GET", "/files/digits.txt", &headers, b"").await.unwrap()
    };
    let first = get(vec![]).await;
    let modified = first.header("last-modified").unwrap().to_owned();
    let again = get(vec![("if-modified-since", modified.clone())]).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let old = "Thu, 01 Jan 1970 00:00:01 GMT".to_owned();
    assert_eq!(get(vec![("if-modified-since", old.clone())]).await.status, 200);
    assert_eq!(get(vec![("if-unmodified-since", old)]).await.status, 412);
    assert_eq!(get(vec![("if-unmodified-since", modified)]).await.status, 200);
}

#[tokio::test]
async fn files_that_are_not_there_are_problems_and_none_outside_is_there() {
    let (_folder, router) = static_files();
    let server = start(router);
    for path in ["/files/nothing", "/files/../../etc/passwd", "/files/%2e%2e/%2e%2e/etc/passwd"] {
        let answer = tenfold_testkit::get(server.address, path).await.unwrap();
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
    let head = request(server.address, "HEAD", "/files/digits.txt", &[], b"").await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, Some("10")));
    let post = request(server.address, "POST", "/files/digits.txt", &[], b"").await.unwrap();
    assert_eq!((post.status, post.header("allow")), (405, Some("GET,HEAD")));
}

#[tokio::test]
async fn cors_compression_and_trace_work_as_layers() {
    let text = "all work and no play ".repeat(200);
    let length = text.len();
    let cors = CorsLayer::new().allow_origin(Any).allow_methods([http::Method::PUT]);
    let router = Router::new()
        .route("/", on_get(|| async { text }))
        .layer(CompressionLayer::new())
        .layer(cors)
        .layer(TraceLayer::new_for_http());
    let server = start(router);

    let preflight = [("origin", "http://other"), ("access-control-request-method", "PUT")];
    let answer = request(server.address, "OPTIONS", "/", &preflight, b"").await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));

    let headers = [("origin", "http://other"), ("accept-encoding", "gzip")];
    let answer = request(server.address, "GET", "/", &headers, b"").await.unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert!(answer.body.len() < length / 10, "{}", answer.body.len());
    let plain = request(server.address, "GET", "/", &[], b"").await.unwrap();
    assert_eq!(plain.body.len(), length);
    server.until(&crate::answers::requests("/", "GET", 200), 2.0).await;
}

/// A frame of a WebSocket client: final text, masked with zeros (RFC 6455 §5.2).
fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

async fn read_exactly(client: &mut Client, length: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < length {
        let more = client.read_some(length - read.len()).await.unwrap();
        assert!(!more.is_empty(), "the connection ended after {read:?}");
        read.extend(more);
    }
    read
}

#[tokio::test]
async fn a_web_socket_passes_through_and_a_drain_waits_for_it() {
    let echo = |upgrade: WebSocketUpgrade| async move {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        })
    };
    let server = start(Router::new().route("/socket", on_get(echo)));
    let mut client = Client::connect(server.address).await.unwrap();
    let upgrade = "GET /socket HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.send(upgrade).await.unwrap();
    let head = client.read_head().await.unwrap();
    assert_eq!(head.status, 101);
    assert_eq!(head.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // What would be no HTTP is none of our business any more.
    let echoed = b"\x81\x06 \nGET\r";
    client.send(text_frame(" \nGET\r")).await.unwrap();
    assert_eq!(read_exactly(&mut client, echoed.len()).await, echoed);

    let drain = tokio::spawn(server.drain());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!drain.is_finished());
    client.send(text_frame("still")).await.unwrap();
    assert_eq!(read_exactly(&mut client, 7).await, b"\x81\x05still");
    client.leave();
    let report = drain.await.unwrap();
    assert_eq!((report.finished, report.cut), (1, 0));
}

#[tokio::test]
async fn who_does_not_upgrade_is_told_to() {
    let upgrade = |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(|_| async {}) };
    let server = start(Router::new().route("/socket", on_get(upgrade)));
    let answer = tenfold_testkit::get(server.address, "/socket").await.unwrap();
    // axum's own words, of a handler's argument.
    assert!(matches!(answer.status, 400 | 426), "{}", answer.status);
}

#[tokio::test]
async fn a_stream_of_events_passes_through_and_a_drain_waits_for_its_end() {
    let (events, received) = tokio::sync::mpsc::channel::<&'static str>(1);
    let received = std::sync::Arc::new(tokio::sync::Mutex::new(Some(received)));
    let handler = move || {
        let received = received.clone();
        async move {
            let received = received.lock().await.take().unwrap();
            let events = stream::unfold(received, |mut received| async move {
                let event = Event::default().data(received.recv().await?);
                Some((Ok::<_, std::convert::Infallible>(event), received))
            });
            Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_millis(50)))
        }
    };
    // Longer silences than this are cut, and the comments in between are what prevents it.
    let server = crate::support::start_with(Router::new().route("/events", on_get(handler)), |s| {
        s.source_stall_timeout = Duration::from_millis(300);
    });
    let mut client = Client::connect(server.address).await.unwrap();
    client.send("GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let head = client.read_head().await.unwrap();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    events.send("first").await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;

    let drain = tokio::spawn(server.drain());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!drain.is_finished());
    events.send("last").await.unwrap();
    drop(events);
    let (body, end) = client.read_body(&head).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    assert!(body.starts_with("data: first\n\n") && body.contains("data: last\n\n"), "{body}");
    assert_eq!(end, tenfold_testkit::End::Complete);
    let report = drain.await.unwrap();
    assert_eq!((report.finished, report.cut), (1, 0));
}
