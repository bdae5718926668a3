//! The bodies of requests and of answers: how large, how slow, and how many at once.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get as on_get, post};
use futures_util::stream;
use tenfold_config::ByteSize;
use tenfold_server::BodyMax;
use tenfold_testkit::{Client, End, Response, request};
use tokio::io::AsyncWriteExt;

use crate::support::{limited, start_with};

const SHORT: Duration = Duration::from_millis(100);

fn routes() -> Router {
    let upload = || post(|body: Bytes| async move { body.len().to_string() });
    let hangs = || async {
        let first = stream::iter([Ok::<_, std::io::Error>("first")]);
        Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()))
    };
    Router::new()
        .route("/upload", upload())
        .route("/pictures", upload().layer(BodyMax(ByteSize::kib(64))))
        .route("/notes", upload().layer(BodyMax(ByteSize::bytes(10))))
        .route("/hangs", on_get(hangs))
}

fn problem(answer: &Response) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    (answer.status, answer.json()["type"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_body_that_stops_is_408() {
    let server = start_with(routes(), |settings| settings.body_timeout = SHORT);
    let mut client = Client::connect(server.address).await.unwrap();
    client.send("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhel").await.unwrap();
    let answer = client.read_response().await.unwrap();
    assert_eq!(problem(&answer), (408, "/problems/body_too_slow".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
    client.read_until_closed().await.unwrap();
    server.until(&limited("body_timeout"), 1.0).await;
}

#[tokio::test]
async fn a_body_that_trickles_is_408_and_one_that_is_slow_enough_is_not() {
    let server = start_with(routes(), |settings| {
        settings.body_timeout = SHORT;
        settings.body_rate_min = ByteSize::bytes(1_000);
    });
    let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n";
    let mut trickles = Client::connect(server.address).await.unwrap();
    trickles.send(head).await.unwrap();
    let sent = trickles.send_slowly(&[b'x'; 100], 1, Duration::from_millis(20));
    // It is refused in the middle.
    let _ = sent.await;
    assert_eq!(trickles.read_response().await.unwrap().status, 408);

    let mut slow = Client::connect(server.address).await.unwrap();
    slow.send(head).await.unwrap();
    // Each pause is earned by what came before it.
    slow.send_slowly(&[b'x'; 100], 50, Duration::from_millis(50)).await.unwrap();
    assert_eq!(slow.read_response().await.unwrap().text(), "100");
}

#[tokio::test]
async fn a_request_whose_body_is_not_there_at_its_deadline_is_408_and_not_504() {
    let server = start_with(routes(), |settings| settings.request_timeout = SHORT);
    let mut client = Client::connect(server.address).await.unwrap();
    client.send("POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhel").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status, 408);
}

#[tokio::test]
async fn a_route_has_a_limit_of_its_own() {
    let server = start_with(routes(), |settings| settings.body_max = ByteSize::kib(1));
    let post = |path: &'static str, bytes: usize| async move {
        request(server.address, "POST", path, &[], &vec![b'x'; bytes]).await.unwrap()
    };
    assert_eq!(post("/upload", 1_024).await.status, 200);
    assert_eq!(post("/upload", 1_025).await.status, 413);
    assert_eq!(post("/pictures", 64 << 10).await.text(), "65536");
    assert_eq!(post("/notes", 10).await.status, 200);
    let refused = post("/notes", 11).await;
    assert_eq!(problem(&refused), (413, "/problems/body_too_large".to_owned()));
    assert_eq!(refused.json()["detail"], "the body may have 10 bytes");
}

#[tokio::test]
async fn bodies_together_are_bounded() {
    let server = start_with(routes(), |settings| {
        settings.body_max = ByteSize::mib(1);
        settings.bytes_in_flight_max = ByteSize::kib(64);
    });
    let refused =
        request(server.address, "POST", "/upload", &[], &vec![b'x'; 100 << 10]).await.unwrap();
    assert_eq!(problem(&refused), (503, "/problems/overloaded".to_owned()));
    assert!(refused.header("retry-after").is_some());
    server.until(&limited("bytes_in_flight_max"), 1.0).await;
    server.until("tenfold_http_bytes_in_flight", 0.0).await;
    let taken =
        request(server.address, "POST", "/upload", &[], &vec![b'x'; 60 << 10]).await.unwrap();
    assert_eq!(taken.status, 200);
}

#[tokio::test]
async fn an_answer_whose_source_hangs_is_broken_off() {
    let server = start_with(routes(), |settings| settings.source_stall_timeout = SHORT);
    let answer = tenfold_testkit::get(server.address, "/hangs").await.unwrap();
    assert_eq!((answer.status, answer.text(), answer.end), (200, "first".to_owned(), End::Early));
    server.until(&limited("source_stall_timeout"), 1.0).await;
    server.until("tenfold_http_bodies_failed_total{route=\"/hangs\"}", 1.0).await;
    server.until("tenfold_http_in_flight", 0.0).await;
    server.until("tenfold_http_bytes_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_body_without_an_end_is_refused_and_the_connection_ended() {
    let server = start_with(routes(), |settings| settings.body_max = ByteSize::kib(64));
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (read, mut write) = stream.into_split();
    let endless = tokio::spawn(async move {
        let head = "POST /upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        write.write_all(head.as_bytes()).await?;
        let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
        loop {
            write.write_all(chunk.as_bytes()).await?;
        }
    });
    let mut client = Client::over(tokio::io::join(read, tokio::io::sink()));
    let answer = client.read_response().await.unwrap();
    assert_eq!(problem(&answer), (413, "/problems/body_too_large".to_owned()));
    // Somebody who goes on all the same is not listened to for ever.
    let stopped: std::io::Result<()> =
        tokio::time::timeout(crate::support::PATIENCE, endless).await.unwrap().unwrap();
    assert!(stopped.is_err());
    server.until("tenfold_http_connections", 0.0).await;
    server.until("tenfold_http_bytes_in_flight", 0.0).await;
}
