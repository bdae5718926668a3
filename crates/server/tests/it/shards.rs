//! A shard that somebody blocks is one shard less, and nothing worse.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use tenfold_testkit::{Client, get};

use crate::support::{PATIENCE, Running, start_on};

/// A handler that blocks its shard until told otherwise.
fn blocks(until: mpsc::Receiver<()>) -> axum::routing::MethodRouter {
    let until = Arc::new(Mutex::new(until));
    on_get(move || async move {
        let _released = until.lock().unwrap().recv_timeout(PATIENCE);
        "blocked"
    })
}

fn start(shards: usize) -> (Running, mpsc::SyncSender<()>) {
    let (release, released) = mpsc::sync_channel(0);
    let routes =
        Router::new().route("/", on_get(|| async { "home" })).route("/blocks", blocks(released));
    (start_on(shards, routes, |_| {}), release)
}

/// The shard on which somebody blocks.
async fn block(server: &Running) -> Client {
    let mut blocker = Client::connect(server.address).await.unwrap();
    blocker.send("GET /blocks HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let begun = async {
        while server.metric("tenfold_http_in_flight") != 1.0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, begun).await.unwrap();
    blocker
}

#[tokio::test]
async fn those_who_come_while_a_shard_is_blocked_are_served_by_the_others() {
    let (server, release) = start(2);
    let mut blocker = block(&server).await;
    // At once, when nobody can know yet that it is blocked: half of them are given to it.
    let early: Vec<_> = (0..20).map(|_| tokio::spawn(get_home(server.address))).collect();
    for answer in early {
        answer.await.unwrap();
    }
    // Later, when it is known: nobody is given to it.
    let moved = server.metric("tenfold_http_connections_moved_total");
    for _ in 0..20 {
        get_home(server.address).await;
    }
    assert_eq!(server.metric("tenfold_http_connections_moved_total"), moved);
    // Two seconds of it, so that there is no doubt that it was blocked all the while.
    let blocked =
        server.shards.handles().iter().map(tenfold_runtime::ShardHandle::lag).max().unwrap();
    tokio::time::sleep(Duration::from_secs(2).saturating_sub(blocked)).await;
    get_home(server.address).await;
    drop(release);
    assert_eq!(blocker.read_response().await.unwrap().text(), "blocked");
    let counted = async {
        while server.metric("tenfold_shard_blocked_total{shard=\"0\"}") == 0.0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.unwrap();
    assert!(server.metric("tenfold_shard_lag_seconds_sum{shard=\"0\"}") >= 1.9);
    // It is as good as ever, as soon as that has been noticed.
    let well = async {
        while server.shards.handles().iter().any(|shard| shard.lag() > Duration::from_millis(50)) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, well).await.unwrap();
    server.until("tenfold_http_connections", 1.0).await;
    let one = Client::connect(server.address).await.unwrap();
    let other = Client::connect(server.address).await.unwrap();
    server.until("tenfold_shard_connections{shard=\"1\"}", 1.0).await;
    server.until("tenfold_http_connections", 3.0).await;
    drop((one, other));
}

#[tokio::test]
async fn one_that_waits_for_a_blocked_shard_when_the_drain_begins_is_served_by_another() {
    // On a machine that is slower than the look at the shard, it is not even given to it.
    for _ in 0..50 {
        if drain_with_one_waiting().await {
            return;
        }
    }
    panic!("nobody was ever given to a shard that had just been blocked");
}

/// Whether the one who is served had been given to the blocked shard.
async fn drain_with_one_waiting() -> bool {
    let (server, release) = start(2);
    let mut blocker = block(&server).await;
    // The blocked shard has one, and so has the other one then: the next goes to the first.
    let _one = Client::connect(server.address).await.unwrap();
    server.until("tenfold_http_connections", 2.0).await;
    let mut waits = Client::connect(server.address).await.unwrap();
    waits.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let registry = server.registry.clone();
    let drain = tokio::spawn(async move {
        (server.serving.drain(&tenfold_server::Readiness::starting()).await, server.shards)
    });
    assert_eq!(waits.read_response().await.unwrap().text(), "home");
    let moved = registry.encode().contains("\ntenfold_http_connections_moved_total 1\n");
    drop(release);
    assert_eq!(blocker.read_response().await.unwrap().text(), "blocked");
    let (report, _shards) = drain.await.unwrap();
    assert_eq!(report.cut, 0);
    moved
}

async fn get_home(address: std::net::SocketAddr) {
    let home = tokio::time::timeout(PATIENCE, get(address, "/")).await;
    assert_eq!(home.unwrap().unwrap().text(), "home");
}

#[tokio::test]
async fn where_all_are_blocked_those_who_come_wait_until_one_is_free() {
    let (server, release) = start(1);
    let mut blocker = block(&server).await;
    let waits = tokio::spawn(get_home(server.address));
    server.until("tenfold_http_connections", 2.0).await;
    assert!(!waits.is_finished());
    drop(release);
    waits.await.unwrap();
    assert_eq!(blocker.read_response().await.unwrap().text(), "blocked");
    assert_eq!(server.metric("tenfold_http_connections_moved_total"), 0.0);
}

#[tokio::test]
async fn each_connection_goes_to_the_shard_that_has_the_fewest() {
    let (server, _release) = start(3);
    let mut open = Vec::new();
    for _ in 0..9 {
        open.push(Client::connect(server.address).await.unwrap());
        server.until("tenfold_http_connections", open.len() as f64).await;
    }
    for shard in 0..3 {
        assert_eq!(server.metric(&format!("tenfold_shard_connections{{shard=\"{shard}\"}}")), 3.0);
    }
}
