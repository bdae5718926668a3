//! What a search for the limit names as the bottleneck of a real service, from its own metrics.
//! Each service here has one thing that is used up at a few dozen requests per second, while
//! everything else could serve thousands, however busy the machine is.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use diesel::sql_types::Bool;
use tenfold::config::Layers;
use tenfold::telemetry::metrics::Registry;
use tenfold::{Db, Offload, Result, Running, known_settings};
use tenfold_loadgen::{
    Address, Bottleneck, LimitOptions, Resource, Saturation, Scenario, SearchLimits, check_metrics,
    find,
};

/// How long a request keeps what it needs.
const HELD: Duration = Duration::from_millis(20);

/// The store, and routes that each need one thing for that long.
fn routes() -> Router {
    store::router()
        .route("/transaction", get(transaction))
        .route("/work", get(work))
        .route("/burn", get(burn))
}

async fn transaction(db: Db) -> Result<&'static str> {
    let pause = || diesel::select(diesel::dsl::sql::<Bool>("pg_sleep(0.02) IS NULL"));
    db.transaction("pause", async |tx| tx.first::<bool>(pause()).await).await?;
    Ok("done")
}

async fn work(offload: Offload) -> Result<&'static str> {
    // Asleep instead of at work, so that it takes a thread and no core.
    offload.run(|| std::thread::sleep(HELD)).await?;
    Ok("done")
}

/// What no handler should do: nothing else happens on its event loop meanwhile.
async fn burn() -> &'static str {
    std::thread::sleep(HELD);
    "done"
}

/// What is named as the bottleneck of a path of the store.
fn named(path: &str) -> (Bottleneck, Saturation) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let flags = [
        "server.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "runtime.shards=1",
        "runtime.offload_threads=1",
        "database.pool_max=2",
        "database.streams_max=1",
    ];
    let config = known_settings().load(&Layers::new().flags(flags)).unwrap();
    let service = tenfold::service("named").migrations(store::MIGRATIONS).embedded_database();
    let service = service.routes(routes);
    let running: Running = runtime.block_on(service.start(&config, &Registry::new())).unwrap();

    let metrics = format!("http://{}/metrics", running.admin_address());
    let metrics = Address::parse(&metrics).unwrap();
    check_metrics(&metrics).unwrap();
    let options = LimitOptions {
        search: SearchLimits {
            rate_first: 10.0,
            step: 5.0,
            probes_max: 3,
            ..SearchLimits::default()
        },
        rate_first: Some(10.0),
        probe: Duration::from_secs(1),
        requests_min: 1,
        rest_max: Duration::from_secs(10),
        metrics: Some(metrics),
        ..LimitOptions::default()
    };
    let scenario = Scenario::get(&format!("http://{}{path}", running.address())).unwrap();
    let report = find(&scenario, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    runtime.block_on(running.stop());

    let bottleneck = report.bottleneck.clone().unwrap_or_else(|| panic!("{report:#?}"));
    // What other programs do on this machine is not this test's business.
    let machine = [Resource::MachineCpu, Resource::Memory];
    let own = |saturation: &&Saturation| !machine.contains(&saturation.resource);
    let first = bottleneck.ranked.iter().find(own).cloned().unwrap();
    (bottleneck, first)
}

#[track_caller]
fn check(path: &str, resource: Resource, evidence: &str) {
    let (bottleneck, first) = named(path);
    assert_eq!(first.resource, resource, "{bottleneck:#?}");
    assert!(first.share >= 0.8, "{bottleneck:#?}");
    assert!(first.evidence.contains(evidence), "{first}");
}

#[test]
fn a_pool_whose_connections_are_all_in_transactions() {
    check("/transaction", Resource::Pool, "of the 2 connections that there may be");
}

#[test]
fn the_one_thread_for_work() {
    check("/work", Resource::Offload, "its threads for CPU work (1) were busy");
}

#[test]
fn an_event_loop_that_a_handler_keeps() {
    check("/burn", Resource::EventLoop, "shard 0 of 1 was busy");
}
