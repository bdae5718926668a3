//! CPU work is the trouble of its own request and of nobody else.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use tenfold_context::{Deadline, Priority};
use tenfold_server::{Offload, Result};
use tenfold_testkit::{Client, get};

use crate::support::{PATIENCE, Running, start, start_with};

async fn panics(offload: Offload) -> Result<&'static str> {
    Ok(offload.run(|| panic!("on purpose")).await?)
}

#[tokio::test]
async fn a_panic_is_a_500_of_that_request_alone() {
    let routes = Router::new().route("/panics", on_get(panics)).route(
        "/works",
        on_get(|offload: Offload| async move { offload.run(|| "done").await.unwrap() }),
    );
    let server = start(routes);
    let mut client = Client::connect(server.address).await.unwrap();
    for _ in 0..3 {
        client.send("GET /panics HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = client.read_response().await.unwrap();
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("on purpose"), "{}", answer.text());
        // The connection and the thread live on.
        client.send("GET /works HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert_eq!(client.read_response().await.unwrap().text(), "done");
    }
    assert_eq!(server.metric("tenfold_offload_panics_total"), 3.0);
}

/// A server with one thread for CPU work, whose route `/holds` occupies it until told otherwise.
fn held() -> (Running, mpsc::SyncSender<()>) {
    let (release, released) = mpsc::sync_channel::<()>(0);
    let released = Arc::new(Mutex::new(released));
    let holds = move |offload: Offload| async move {
        let work = move || {
            let _released = released.lock().unwrap().recv_timeout(PATIENCE);
        };
        offload.run(work).await.map(|()| "held").map_err(tenfold_server::Error::from)
    };
    let later = |offload: Offload| async move {
        let offload = offload.with_priority(Priority::Background);
        let soon = Deadline::after(Duration::from_millis(20));
        Ok::<_, tenfold_server::Error>(offload.with_deadline(soon).run(|| "begun").await?)
    };
    let routes = Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/holds", on_get(holds))
        .route("/later", on_get(later))
        .route(
            "/works",
            on_get(|offload: Offload| async move { offload.run(|| "done").await.unwrap() }),
        );
    (start_with(routes, |settings| settings.request_timeout = PATIENCE), release)
}

#[tokio::test]
async fn other_routes_are_served_while_all_threads_are_busy() {
    let (server, release) = held();
    let holds = tokio::spawn(get(server.address, "/holds"));
    server.until("tenfold_offload_running", 1.0).await;
    for _ in 0..10 {
        assert_eq!(get(server.address, "/").await.unwrap().text(), "home");
    }
    drop(release);
    assert_eq!(holds.await.unwrap().unwrap().text(), "held");
}

#[tokio::test]
async fn work_that_is_not_begun_by_its_own_deadline_is_a_504_and_never_begins() {
    let (server, release) = held();
    let holds = tokio::spawn(get(server.address, "/holds"));
    server.until("tenfold_offload_running", 1.0).await;
    assert_eq!(get(server.address, "/later").await.unwrap().status, 504);
    drop(release);
    holds.await.unwrap().unwrap();
    server.until("tenfold_offload_running", 0.0).await;
    assert_eq!(server.metric("tenfold_offload_run_seconds_count"), 1.0);
}

#[tokio::test]
async fn work_whose_client_leaves_the_line_never_begins() {
    let (server, release) = held();
    let holds = tokio::spawn(get(server.address, "/holds"));
    server.until("tenfold_offload_running", 1.0).await;
    let mut leaves = Client::connect(server.address).await.unwrap();
    leaves.send("GET /works HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.until("tenfold_offload_waiting", 1.0).await;
    leaves.leave();
    server.until("tenfold_offload_waiting", 0.0).await;
    drop(release);
    holds.await.unwrap().unwrap();
    assert_eq!(get(server.address, "/works").await.unwrap().text(), "done");
    // The one that held and the last one.
    assert_eq!(server.metric("tenfold_offload_run_seconds_count"), 2.0);
}
