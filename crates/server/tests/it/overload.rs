//! The door, and how long a request holds its place behind it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get as on_get;
use bytes::Bytes;
use tenfold_server::ServerSettings;
use tenfold_testkit::{Client, get};
use tokio::sync::Semaphore;

use crate::support::{Running, no_permits, start_with, waits};

const IN_FLIGHT: &str = "tenfold_http_in_flight";

/// `/wait` answers once for each permit of the semaphore.
fn routes(permits: &Arc<Semaphore>) -> Router {
    Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/wait", waits(permits))
        .route("/large", on_get(|| async { Body::from(vec![b'x'; 32 << 20]) }))
}

fn one_at_a_time(waiting_max: usize) -> impl FnOnce(&mut ServerSettings) {
    move |settings| {
        settings.requests_in_flight_max = 1;
        settings.requests_waiting_max = waiting_max;
    }
}

fn refused(reason: &str) -> String {
    format!("tenfold_http_refused_total{{reason=\"{reason}\"}}")
}

async fn ask(server: &Running, path: &str) -> Client {
    let mut client = Client::connect(server.address).await.unwrap();
    client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await.unwrap();
    client
}

#[tokio::test]
async fn past_the_line_a_request_is_refused_and_told_when_to_come_back() {
    let permits = no_permits();
    let server = start_with(routes(&permits), one_at_a_time(1));
    let mut inside = ask(&server, "/wait").await;
    server.until(IN_FLIGHT, 1.0).await;
    let mut in_line = ask(&server, "/wait").await;
    server.until(IN_FLIGHT, 2.0).await;

    let turned_away = get(server.address, "/").await.unwrap();
    assert_eq!(turned_away.status, 503);
    assert_eq!(turned_away.json()["type"], "/problems/overloaded");
    let seconds: u64 = turned_away.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&seconds), "{seconds}");
    server.until(&refused("full"), 1.0).await;

    permits.add_permits(2);
    assert_eq!(inside.read_response().await.unwrap().text(), "done");
    assert_eq!(in_line.read_response().await.unwrap().text(), "done");
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
}

/// The one answer that is on its way is as much as may rest.
fn no_room_to_rest(settings: &mut ServerSettings) {
    settings.bytes_in_flight_max = tenfold_config::ByteSize::kib(64);
}

#[tokio::test]
async fn a_client_that_leaves_gives_its_place_back_inside_and_in_line() {
    let permits = no_permits();
    let server = start_with(routes(&permits), one_at_a_time(1));
    let inside = ask(&server, "/wait").await;
    server.until(IN_FLIGHT, 1.0).await;
    let in_line = ask(&server, "/wait").await;
    server.until(IN_FLIGHT, 2.0).await;
    in_line.leave();
    server.until(IN_FLIGHT, 1.0).await;
    inside.abort();
    server.until(IN_FLIGHT, 0.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
    // The one in line had reached no route yet.
    assert_eq!(server.metric("tenfold_http_abandoned_total{route=\"/wait\"}"), 1.0);
    assert_eq!(server.metric("tenfold_http_abandoned_total{route=\"unmatched\"}"), 1.0);
}

#[tokio::test]
async fn a_request_holds_its_place_until_the_last_byte_is_read() {
    let server = start_with(routes(&no_permits()), |settings| {
        one_at_a_time(0)(settings);
        no_room_to_rest(settings);
    });
    let mut reader = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    reader.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let head = reader.read_head().await.unwrap();
    assert_eq!(get(server.address, "/").await.unwrap().status, 503);
    let (body, _) = reader.read_body(&head).await.unwrap();
    assert_eq!(body.len(), 32 << 20);
    server.until(IN_FLIGHT, 0.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_has_no_place_even_where_there_are_others() {
    let server = start_with(routes(&no_permits()), |settings| settings.requests_in_flight_max = 8);
    let mut reader = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    reader.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let head = reader.read_head().await.unwrap();
    server.until("tenfold_http_door_inside", 0.0).await;
    assert_eq!(server.metric(IN_FLIGHT), 1.0);
    let (body, _) = reader.read_body(&head).await.unwrap();
    assert_eq!(body.len(), 32 << 20);
}

/// A thousand readers who take nothing filled the kernel's memory with megabytes each, and the
/// shard was busy with that for seconds.
#[tokio::test]
async fn the_kernel_holds_little_of_what_nobody_takes() {
    const READERS: usize = 8;
    let given = Arc::new(AtomicUsize::new(0));
    let counter = given.clone();
    let pours = move || {
        let counter = counter.clone();
        async move {
            let chunk = Bytes::from_static(&[b'x'; 16 * 1024]);
            let chunks = futures_util::stream::repeat_with(move || {
                counter.fetch_add(chunk.len(), Ordering::Relaxed);
                Ok::<_, std::io::Error>(chunk.clone())
            });
            Body::from_stream(chunks)
        }
    };
    let server = start_with(Router::new().route("/", on_get(pours)), |_| {});
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut reader = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
        reader.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        reader.read_head().await.unwrap();
        readers.push(reader);
    }
    let mut before = 0;
    let stands_still = async {
        while given.load(Ordering::Relaxed) != before {
            before = given.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, stands_still).await.unwrap();
    let each = given.load(Ordering::Relaxed) / READERS;
    assert!(each < 512 * 1024, "{each} bytes for each");
}

#[tokio::test]
async fn a_reader_that_leaves_gives_its_place_back() {
    let server = start_with(routes(&no_permits()), one_at_a_time(0));
    let mut reader = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    reader.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    reader.read_head().await.unwrap();
    assert_eq!(server.metric(IN_FLIGHT), 1.0);
    reader.abort();
    server.until(IN_FLIGHT, 0.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_line_that_does_not_move_is_left_at_the_deadline() {
    let server = start_with(routes(&no_permits()), |settings| {
        settings.requests_in_flight_max = 1;
        settings.requests_waiting_max = 1;
        settings.request_timeout = Duration::from_millis(80);
        settings.write_stall_timeout = crate::support::PATIENCE;
        no_room_to_rest(settings);
    });
    let mut reader = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    reader.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    reader.read_head().await.unwrap();
    assert_eq!(get(server.address, "/").await.unwrap().status, 503);
    server.until(&refused("late"), 1.0).await;
}

#[tokio::test]
async fn bodies_that_do_not_come_hold_no_place() {
    let router = Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/upload", axum::routing::post(|body: Bytes| async move { body }));
    let server = start_with(router, one_at_a_time(0));
    let mut slow = Client::connect(server.address).await.unwrap();
    let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel";
    slow.send(head).await.unwrap();
    server.until(IN_FLIGHT, 1.0).await;
    server.until("tenfold_http_door_inside", 0.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
    // It takes its place again.
    slow.send("lo").await.unwrap();
    assert_eq!(slow.read_response().await.unwrap().text(), "hello");
    server.until("tenfold_http_door_inside", 0.0).await;
}

#[tokio::test]
async fn a_body_that_comes_when_there_is_no_place_any_more_is_refused() {
    let permits = no_permits();
    let router = Router::new()
        .route("/wait", waits(&permits))
        .route("/upload", axum::routing::post(|body: Bytes| async move { body }));
    let server = start_with(router, one_at_a_time(0));
    let mut slow = Client::connect(server.address).await.unwrap();
    let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhel";
    slow.send(head).await.unwrap();
    server.until(IN_FLIGHT, 1.0).await;
    server.until("tenfold_http_door_inside", 0.0).await;
    let _inside = ask(&server, "/wait").await;
    server.until("tenfold_http_door_inside", 1.0).await;
    slow.send("lo").await.unwrap();
    let refused = slow.read_response().await.unwrap();
    assert_eq!((refused.status, &refused.json()["type"]), (503, &"/problems/overloaded".into()));
    assert!(refused.header("retry-after").is_some());
}

#[tokio::test]
async fn a_reader_that_makes_others_wait_gives_its_place_to_them_and_is_served_on() {
    let server = start_with(routes(&no_permits()), one_at_a_time(0));
    let mut slow = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    slow.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let head = slow.read_head().await.unwrap();
    server.until("tenfold_http_door_inside", 0.0).await;
    assert_eq!(server.metric(IN_FLIGHT), 1.0);
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
    let (body, _) = slow.read_body(&head).await.unwrap();
    assert_eq!(body.len(), 32 << 20);
}

#[tokio::test]
async fn where_there_is_no_room_to_rest_slow_readers_are_cut_sooner() {
    let server = start_with(routes(&no_permits()), |settings| {
        one_at_a_time(0)(settings);
        no_room_to_rest(settings);
        settings.write_stall_timeout = Duration::from_secs(3600);
    });
    let mut slow = Client::connect_with_receive_buffer(server.address, 4096).await.unwrap();
    slow.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    slow.read_head().await.unwrap();
    server.until(&crate::support::limited("stalled"), 1.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().status, 200);
}
