//! Whoever leaves in the middle leaves nothing behind: no statement, no lock, no transaction.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use tenfold_context::{Context, Deadline, Moment};
use tenfold_db::{Class, Error};

use crate::kit::{Bench, Piece, Times, backends, piece, pieces, sleep_ten_seconds};

#[tokio::test]
async fn a_dropped_statement_is_cancelled_and_its_connection_used_again() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let exclusive = bench.exclusive();
    let left = tokio::spawn(async move { exclusive.load::<bool>(sleep_ten_seconds()).await });
    bench.until(&backends("active"), 1).await;
    left.abort();
    bench.until(&backends("active"), 0).await;
    // The same connection, clean again: no other may be opened.
    let quick = diesel::select(diesel::dsl::sql::<Bool>("true"));
    assert_eq!(bench.exclusive().load::<bool>(quick).await.unwrap(), [true]);
    assert_eq!(bench.metric("tenfold_db_pool_connects_total{outcome=\"success\"}"), 1.0);
    assert_eq!(bench.metric("tenfold_db_pool_returned_total{state=\"running\"}"), 1.0);
}

/// It takes Postgres about a millisecond; the rest is a connection for the cancellation.
#[tokio::test]
async fn the_statement_of_who_leaves_is_gone_within_100_ms() {
    let bench = Bench::with(|settings| settings.pool_max = 4).await;
    let observer = bench.observer().await;
    let active =
        async || -> i64 { observer.query_one(&backends("active"), &[]).await.unwrap().get(0) };
    let mut times = Times::default();
    for round in 0..60 {
        let at_once = 1 + round % 4;
        let left: Vec<_> = (0..at_once)
            .map(|_| bench.patient(Duration::from_secs(20)).exclusive())
            .map(|db| tokio::spawn(async move { db.load::<bool>(sleep_ten_seconds()).await }))
            .collect();
        bench.until(&backends("active"), at_once).await;
        left.iter().for_each(tokio::task::JoinHandle::abort);
        let since = Moment::now();
        while active().await > 0 {
            assert!(Moment::now().since(since) < Duration::from_secs(5), "it still runs");
        }
        times.add(Moment::now().since(since));
    }
    times.assert_mostly_within(Duration::from_millis(100));
}

/// Waits until as much is counted as left behind by the route.
async fn until_abandoned(bench: &Bench, lane: &str, at_least: f64) {
    let series =
        format!("tenfold_db_abandoned_seconds_total{{lane=\"{lane}\",route=\"/slow/{{id}}\"}}");
    for _ in 0..500 {
        if bench.metric(&series) >= at_least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{}", bench.registry.encode());
}

#[tokio::test]
async fn what_runs_on_without_its_caller_is_counted_by_the_callers_route() {
    let bench = Bench::start().await;
    let context = Context::new();
    context.set_route("/slow/{id}".into());
    let db = bench.shard.handle(context);
    // On the exclusive lane for as long as it takes to cancel it.
    let exclusive = db.exclusive();
    let left = tokio::spawn(async move { exclusive.load::<bool>(sleep_ten_seconds()).await });
    bench.until(&backends("active"), 1).await;
    left.abort();
    until_abandoned(&bench, "exclusive", 0.000_001).await;
    assert!(bench.metric("tenfold_db_cancels_total{outcome=\"success\"}") >= 1.0);
    bench.until(&backends("active"), 0).await;
    // On the shared lane for as long as it runs.
    let second = diesel::select(diesel::dsl::sql::<Bool>("pg_sleep(1) IS NULL"));
    let impatient = db.with_deadline(Deadline::after(Duration::from_millis(100)));
    impatient.load::<bool>(second).await.unwrap_err();
    until_abandoned(&bench, "shared", 0.5).await;
}

#[tokio::test]
async fn the_deadline_cancels_too() {
    let bench = Bench::start().await;
    let impatient = bench.patient(Duration::from_millis(100)).exclusive();
    let error = impatient.load::<bool>(sleep_ten_seconds()).await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }));
    assert_eq!(error.class(), Class::TooSlow);
    bench.until(&backends("active"), 0).await;
}

#[tokio::test]
async fn a_dropped_transaction_lets_go_of_its_locks() {
    let bench = Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let db = bench.patient(Duration::from_secs(10));
    let left = tokio::spawn(async move {
        db.transaction("leaves", async |tx| {
            tx.execute(diesel::update(pieces::table.find(1)).set(pieces::stock.eq(0))).await?;
            std::future::pending::<Result<(), Error>>().await
        })
        .await
    });
    bench.until(&backends("idle in transaction"), 1).await;
    left.abort();
    // Blocks until the lock is gone.
    let update = diesel::update(pieces::table.find(1)).set(pieces::stock.eq(pieces::stock + 1));
    assert_eq!(bench.execute(update).await.unwrap(), 1);
    let found: Piece = bench.first(pieces::table.find(1)).await.unwrap();
    assert_eq!(found.stock, 6, "what the dropped transaction did is undone");
    bench.until(&backends("idle in transaction"), 0).await;
}

#[tokio::test]
async fn a_thousand_who_leave_leak_neither_places_nor_connections() {
    let bench = Bench::with(|settings| settings.pool_max = 4).await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    for round in 0..1000_u64 {
        let db = bench.exclusive();
        let task = tokio::spawn(async move {
            db.transaction("leaves", async |tx| {
                tx.execute(diesel::update(pieces::table.find(1)).set(pieces::stock.eq(1))).await?;
                tx.first::<Piece>(pieces::table.find(1)).await
            })
            .await
        });
        tokio::time::sleep(Duration::from_micros(round % 50 * 20)).await;
        task.abort();
        let _ = task.await;
    }
    bench.until(&backends("idle in transaction"), 0).await;
    let places = async |db: &tenfold_db::Db| {
        let hold = diesel::select(diesel::dsl::sql::<Bool>("pg_sleep(0.1) IS NULL"));
        db.load::<bool>(hold).await.map(|_| ())
    };
    let exclusive = bench.exclusive();
    let all = tokio::join!(
        places(&exclusive),
        places(&exclusive),
        places(&exclusive),
        places(&exclusive)
    );
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok());
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'";
    assert!(bench.number(connections).await <= 5);
}
