//! The end of serving loses no request.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use tenfold_server::{DrainReport, Draining, Readiness};
use tenfold_testkit::{Client, SelfSigned, get};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::support::{self, Running, http2, no_permits, start, start_with, waits};

fn routes(permits: &Arc<Semaphore>) -> Router {
    Router::new().route("/", on_get(|| async { "home" })).route("/wait", waits(permits))
}

#[tokio::test]
async fn what_runs_finishes_and_nobody_new_gets_in() {
    let permits = no_permits();
    let server = start(routes(&permits));
    let address = server.address;
    let mut running = Client::connect(address).await.unwrap();
    running.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut multiplexed = http2(address).await;
    let stream = tokio::spawn(multiplexed.send_request(support::get("/wait")));
    server.until("tenfold_http_in_flight", 2.0).await;
    let mut idle = Client::connect(address).await.unwrap();
    idle.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    idle.read_response().await.unwrap();

    let readiness = Readiness::starting();
    readiness.set_ready();
    let ready = readiness.clone();
    let drain = tokio::spawn(async move {
        let report = server.serving.drain(&ready).await;
        (report, server.shards)
    });
    // The idle connection is ended soon, although it is not asked anything any more.
    assert!(idle.read_until_closed().await.unwrap().0.is_empty());
    assert_eq!(readiness.not_ready_because().as_deref(), Some("the service is draining"));
    assert!(Client::connect(address).await.is_err());
    permits.add_permits(2);
    let answer = running.read_response().await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "done".to_owned()));
    // Whether its shard had heard of the drain in time to say so in the head, or not.
    assert!(running.read_until_closed().await.unwrap().0.is_empty());
    assert_eq!(stream.await.unwrap().unwrap().status(), 200);
    let (report, _shards) = drain.await.unwrap();
    assert_eq!(report.cut, 0);
    assert!(report.finished >= 2, "{report:?}");
}

#[tokio::test]
async fn what_does_not_finish_is_cut_and_counted() {
    let server = start_with(routes(&no_permits()), |settings| {
        settings.drain_timeout = Duration::from_millis(50);
    });
    let mut stuck = Client::connect(server.address).await.unwrap();
    stuck.send("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.until("tenfold_http_in_flight", 1.0).await;
    let registry = server.registry.clone();
    assert_eq!(server.drain().await, DrainReport { finished: 0, cut: 1 });
    assert!(stuck.read_head().await.is_err());
    drop(registry);
}

#[tokio::test]
async fn a_request_that_is_on_its_way_is_served() {
    let server = start(routes(&no_permits()));
    let mut client = Client::connect(server.address).await.unwrap();
    server.until("tenfold_http_connections", 1.0).await;
    let address = server.address;
    let drain =
        tokio::spawn(
            async move { (server.serving.drain(&Readiness::starting()).await, server.shards) },
        );
    while Client::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "home");
    assert_eq!(drain.await.unwrap().0.cut, 0);
}

#[tokio::test]
async fn one_that_asks_again_is_served_and_told_that_it_was_the_last_time() {
    let server = start(routes(&no_permits()));
    let address = server.address;
    let mut client = Client::connect(address).await.unwrap();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let answer = client.read_response().await.unwrap();
    assert_eq!(answer.header("connection"), None);
    let drain =
        tokio::spawn(
            async move { (server.serving.drain(&Readiness::starting()).await, server.shards) },
        );
    while Client::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It cannot know of the drain yet.
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let answer = client.read_response().await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, "home".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(client.read_until_closed().await.unwrap().0.is_empty());
    assert_eq!(drain.await.unwrap().0.cut, 0);
}

/// What a load balancer does that looks whether the port is open, and a browser that opens a
/// connection in advance.
#[tokio::test]
async fn those_who_have_not_begun_a_handshake_do_not_hold_up_the_end() {
    let signed = SelfSigned::new().unwrap();
    let server = start_with(routes(&no_permits()), |settings| {
        settings.tls_certificate = Some(signed.certificate());
        settings.tls_key = Some(signed.key());
        settings.first_request_timeout = support::PATIENCE * 10;
        settings.drain_timeout = support::PATIENCE;
    });
    let _silent = Client::connect(server.address).await.unwrap();
    server.until("tenfold_http_connections", 1.0).await;
    assert_eq!(server.drain().await, DrainReport { finished: 1, cut: 0 });
}

#[tokio::test]
async fn a_handshake_that_is_not_done_when_the_drain_is_over_is_counted() {
    let signed = SelfSigned::new().unwrap();
    let server = start_with(routes(&no_permits()), |settings| {
        settings.tls_certificate = Some(signed.certificate());
        settings.tls_key = Some(signed.key());
        settings.drain_timeout = Duration::from_millis(100);
    });
    let mut stalls = Client::connect(server.address).await.unwrap();
    // The begin of a record: RFC 8446 §5.1.
    stalls.send("\u{16}\u{3}\u{1}").await.unwrap();
    server.until("tenfold_http_connections", 1.0).await;
    let registry = server.registry.clone();
    let Running { serving, shards, .. } = server;
    assert_eq!(serving.drain(&Readiness::starting()).await.cut, 1);
    assert!(stalls.read_until_closed().await.is_ok());
    let counted = format!("{} 1\n", support::limited("drain"));
    while !registry.encode().contains(&counted) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    drop(shards);
}

#[tokio::test]
async fn those_who_keep_connecting_do_not_hold_up_the_end() {
    let server = start(routes(&no_permits()));
    let address = server.address;
    let crowd = tokio::spawn(async move {
        while Client::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let readiness = Readiness::starting();
    let drain = server.serving.drain(&readiness);
    assert_eq!(tokio::time::timeout(support::PATIENCE, drain).await.unwrap().cut, 0);
    crowd.await.unwrap();
}

#[tokio::test]
async fn nobody_is_told_before_the_delay_is_over() {
    let server = start_with(routes(&no_permits()), |settings| {
        settings.drain_delay = Duration::from_millis(300);
    });
    let address = server.address;
    let readiness = Readiness::starting();
    readiness.set_ready();
    let ready = readiness.clone();
    let drain = tokio::spawn(async move { (server.serving.drain(&ready).await, server.shards) });
    while readiness.not_ready_because().is_none() {
        tokio::task::yield_now().await;
    }
    // Load balancers still send.
    assert_eq!(get(address, "/").await.unwrap().status, 200);
    assert_eq!(drain.await.unwrap().0.cut, 0);
}

/// A handler whose conversation goes on until it hears of the drain, and then says goodbye.
async fn converse(mut draining: Draining, request: axum::extract::Request) -> http::Response<Body> {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.unwrap();
        let mut upgraded = hyper_util::rt::TokioIo::new(upgraded);
        upgraded.write_all(b"hello").await.unwrap();
        draining.begins().await;
        upgraded.write_all(b"bye").await.unwrap();
        upgraded.shutdown().await.unwrap();
    });
    let response = http::Response::builder().status(101).header("connection", "upgrade");
    response.header("upgrade", "talk").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_conversation_of_another_protocol_hears_of_the_drain_and_ends_by_itself() {
    let server = start(Router::new().route("/", on_get(converse)));
    let mut client = Client::connect(server.address).await.unwrap();
    let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: talk\r\n\r\n";
    client.send(ask).await.unwrap();
    assert_eq!(client.read_head().await.unwrap().status, 101);
    assert_eq!(client.read_some(5).await.unwrap(), b"hello");
    let drained = tokio::spawn(server.drain());
    let (last, _) = client.read_until_closed().await.unwrap();
    assert_eq!(last, b"bye");
    assert_eq!(drained.await.unwrap(), DrainReport { finished: 1, cut: 0 });
}
