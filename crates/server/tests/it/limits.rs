//! What a connection may not do.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tenfold_testkit::{Client, ReadError, get};

use crate::support::{http2, limited, start_with};

fn routes() -> Router {
    Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/large", on_get(|| async { Body::from(vec![b'x'; 32 << 20]) }))
}

const SHORT: Duration = Duration::from_millis(60);

#[tokio::test]
async fn a_client_that_says_nothing_is_cut() {
    let server = start_with(routes(), |settings| settings.first_request_timeout = SHORT);
    let mut silent = Client::connect(server.address).await.unwrap();
    assert!(silent.read_until_closed().await.unwrap().0.is_empty());
    server.until(&limited("silent"), 1.0).await;
}

#[tokio::test]
async fn a_head_that_trickles_is_cut() {
    let server = start_with(routes(), |settings| settings.first_request_timeout = SHORT);
    let mut slow = Client::connect(server.address).await.unwrap();
    slow.send("GET / HTTP/1.1\r\nhost: a\r\nx-a: ").await.unwrap();
    let answer = slow.read_response().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    assert_eq!(answer.json()["type"], "/problems/head_too_slow");
    slow.read_until_closed().await.unwrap();
    server.until(&limited("header_timeout"), 1.0).await;
}

#[tokio::test]
async fn a_second_head_that_trickles_is_cut_too() {
    let server = start_with(routes(), |settings| settings.header_timeout = SHORT);
    let mut slow = Client::connect(server.address).await.unwrap();
    slow.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(slow.read_response().await.unwrap().status, 200);
    // The time that it is idle is another one.
    tokio::time::sleep(SHORT * 3).await;
    slow.send("GET / HTTP/1.1\r\nx-a: ").await.unwrap();
    assert_eq!(slow.read_response().await.unwrap().status, 408);
    slow.read_until_closed().await.unwrap();
    server.until("tenfold_http_connections", 0.0).await;
    server.until(&limited("header_timeout"), 1.0).await;
}

#[tokio::test]
async fn half_of_a_preface_is_cut_too() {
    let server = start_with(routes(), |settings| settings.header_timeout = SHORT);
    let mut slow = Client::connect(server.address).await.unwrap();
    slow.send("PRI * HTTP/2").await.unwrap();
    assert_eq!(slow.read_response().await.unwrap().status, 408);
    slow.read_until_closed().await.unwrap();
    server.until(&limited("header_timeout"), 1.0).await;
}

#[tokio::test]
async fn a_connection_that_is_idle_has_its_own_time() {
    let server = start_with(routes(), |settings| settings.idle_timeout = SHORT);
    let mut idle = Client::connect(server.address).await.unwrap();
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(idle.read_response().await.unwrap().status, 200);
    assert!(idle.read_until_closed().await.unwrap().0.is_empty());
    server.until(&limited("idle"), 1.0).await;
}

#[tokio::test]
async fn one_address_has_a_limit_of_its_own() {
    let server = start_with(routes(), |settings| settings.connections_per_address_max = 2);
    let first = Client::connect(server.address).await.unwrap();
    let _second = Client::connect(server.address).await.unwrap();
    server.until("tenfold_http_connections", 2.0).await;
    let mut third = Client::connect(server.address).await.unwrap();
    assert!(third.read_until_closed().await.unwrap().0.is_empty());
    server.until(&limited("connections_per_address_max"), 1.0).await;
    first.leave();
    server.until("tenfold_http_connections", 1.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_has_so_many_requests() {
    let server = start_with(routes(), |settings| settings.connection_requests_max = 2);
    let mut client = Client::connect(server.address).await.unwrap();
    for says in [None, Some("close")] {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = client.read_response().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, says));
    }
    client.read_until_closed().await.unwrap();
    server.until(&limited("connection_requests_max"), 1.0).await;

    let mut client = http2(server.address).await;
    for _ in 0..2 {
        assert_eq!(client.send_request(crate::support::get("/")).await.unwrap().status(), 200);
    }
    assert!(client.send_request(crate::support::get("/")).await.is_err());
    server.until(&limited("connection_requests_max"), 2.0).await;
    server.until("tenfold_http_connections", 0.0).await;
}

#[tokio::test]
async fn a_connection_grows_only_so_old() {
    let server = start_with(routes(), |settings| {
        settings.connection_age_max = SHORT;
        settings.idle_timeout = SHORT * 4;
    });
    let mut http1 = Client::connect(server.address).await.unwrap();
    let mut said = None;
    while said.is_none() {
        http1.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = http1.read_response().await.unwrap();
        assert_eq!(answer.status, 200);
        said = answer.header("connection").map(str::to_owned);
        tokio::time::sleep(SHORT / 10).await;
    }
    assert_eq!(said.as_deref(), Some("close"));
    http1.read_until_closed().await.unwrap();
    server.until(&limited("connection_age_max"), 1.0).await;

    // HTTP/2 is told, and none of its requests fails.
    let mut client = http2(server.address).await;
    while client.ready().await.is_ok() {
        match client.send_request(crate::support::get("/")).await {
            Ok(answer) => assert_eq!(answer.status(), 200),
            Err(error) => assert!(error.is_canceled() || error.is_closed(), "{error}"),
        }
        tokio::time::sleep(SHORT / 10).await;
    }
    server.until(&limited("connection_age_max"), 2.0).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_cut() {
    let signed = tenfold_testkit::SelfSigned::new().unwrap();
    let server = start_with(routes(), |settings| {
        settings.tls_certificate = Some(signed.certificate());
        settings.tls_key = Some(signed.key());
        settings.first_request_timeout = SHORT;
    });
    let mut silent = Client::connect(server.address).await.unwrap();
    silent.read_until_closed().await.unwrap();
    let mut cleartext = Client::connect(server.address).await.unwrap();
    cleartext.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    cleartext.read_until_closed().await.unwrap();
    server.until(&limited("handshake"), 2.0).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = start_with(routes(), |settings| {
        settings.header_max = tenfold_config::ByteSize::kib(8);
    });
    let mut client = Client::connect(server.address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx-a: {}\r\n\r\n", "x".repeat(9000));
    client.send(head).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status, 431);
    client.read_until_closed().await.unwrap();
    server.until(&limited("header_max"), 1.0).await;
}

#[tokio::test]
async fn what_is_no_http_is_refused() {
    let server = start_with(routes(), |_| {});
    let mut client = Client::connect(server.address).await.unwrap();
    client.send("\u{1}\u{2}\u{3} what?\r\n\r\n").await.unwrap();
    let answer = client.read_response().await.unwrap();
    assert_eq!((answer.status, &answer.json()["type"]), (400, &"/problems/malformed".into()));
    assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
    server.until(&limited("malformed"), 1.0).await;
}

#[tokio::test]
async fn above_the_most_connections_the_next_one_waits_and_is_then_served() {
    let server = start_with(routes(), |settings| settings.connections_max = 2);
    let first = Client::connect(server.address).await.unwrap();
    let _second = Client::connect(server.address).await.unwrap();
    server.until("tenfold_http_connections", 2.0).await;

    let mut third =
        Client::connect(server.address).await.unwrap().with_patience(Duration::from_millis(100));
    third.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let waited = third.read_head().await.unwrap_err();
    assert!(matches!(waited, ReadError::TimedOut { .. }), "{waited}");
    server.until("tenfold_http_accept_paused_total{reason=\"connections_max\"}", 1.0).await;

    first.leave();
    let mut third = third.with_patience(crate::support::PATIENCE);
    assert_eq!(third.read_response().await.unwrap().text(), "home");
}

#[tokio::test]
async fn a_reader_that_stops_is_cut() {
    let server = start_with(routes(), |settings| settings.write_stall_timeout = SHORT);
    let mut stalled = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    stalled.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.until(&limited("stalled"), 1.0).await;
    server.until("tenfold_http_in_flight", 0.0).await;
    assert_eq!(server.metric("tenfold_http_abandoned_total{route=\"/large\"}"), 1.0);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_does_not_keep_its_place_because_others_are_taken() {
    let server = start_with(routes(), |settings| settings.write_stall_timeout = SHORT);
    let stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1024)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let stalled = client.send_request(crate::support::get("/large")).await.unwrap();
    let asked_until_it_ends = async {
        while server.metric(&limited("stalled")) == 0.0 {
            assert!(client.send_request(crate::support::get("/")).await.is_ok());
            tokio::time::sleep(SHORT / 10).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, asked_until_it_ends).await.unwrap();
    server.until("tenfold_http_in_flight", 0.0).await;
    // Only that one has lost something.
    assert!(client.send_request(crate::support::get("/")).await.is_ok());
    assert!(stalled.into_body().collect().await.is_err());
}

#[tokio::test]
async fn an_idle_http2_connection_is_retired() {
    let server = start_with(routes(), |settings| settings.idle_timeout = SHORT);
    let mut client = http2(server.address).await;
    let answer = client.send_request(crate::support::get("/")).await.unwrap();
    assert_eq!(answer.status(), 200);
    server.until("tenfold_http_connections", 0.0).await;
    // Another client is served as ever.
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
}
