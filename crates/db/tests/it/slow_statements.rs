//! What is slow on the shared lane goes elsewhere, and comes back when it is quick again.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Bool, Double};
use futures_util::future::join_all;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Db, Yields};

use crate::kit::{Bench, Piece, backends, piece, pieces, sales};

/// Always the same statement, however long it takes.
fn sleep(seconds: f64) -> impl Yields<bool> + use<> {
    let pause = diesel::dsl::sql::<Bool>("pg_sleep(").bind::<Double, _>(seconds);
    diesel::select(pause.sql(") IS NULL"))
}

async fn read_quickly(db: &Db) {
    let reads = (0..20).map(|_| db.first::<Piece>(pieces::table.find(1)));
    for found in join_all(reads).await {
        assert_eq!(found.unwrap(), piece(1, "lamp", 5));
    }
}

const SLOW: &str = "tenfold_db_slow_statements";

async fn bench() -> Bench {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    read_quickly(&bench).await;
    bench
}

#[tokio::test]
async fn a_slow_statement_delays_others_once_and_then_runs_elsewhere() {
    let bench = bench().await;
    // Those who come behind it wait, and are not blamed.
    let (slept, ()) = tokio::join!(bench.first::<bool>(sleep(0.2)), async {
        tokio::task::yield_now().await;
        read_quickly(&bench).await;
    });
    assert!(!slept.unwrap());
    assert_eq!(bench.metric(SLOW), 1.0);

    let db = (*bench).clone();
    let sleeper = tokio::spawn(async move { db.first::<bool>(sleep(3.0)).await });
    bench.until(&backends("active"), 1).await;
    for _ in 0..10 {
        read_quickly(&bench).await;
    }
    assert!(!sleeper.is_finished(), "nobody waited for it");
    assert!(!sleeper.await.unwrap().unwrap());
}

#[tokio::test]
async fn it_comes_back_when_it_is_quick_again() {
    let bench = bench().await;
    bench.first::<bool>(sleep(0.2)).await.unwrap();
    assert_eq!(bench.metric(SLOW), 1.0);
    bench.first::<bool>(sleep(0.0)).await.unwrap();
    assert_eq!(bench.metric(SLOW), 0.0);
    // The next time it has to show that twice.
    bench.first::<bool>(sleep(0.2)).await.unwrap();
    assert_eq!(bench.metric(SLOW), 1.0);
    for expected in [1.0, 0.0] {
        bench.first::<bool>(sleep(0.0)).await.unwrap();
        assert_eq!(bench.metric(SLOW), expected);
    }
}

#[tokio::test]
async fn all_shards_know_it() {
    let bench = bench().await;
    let other = bench.database.on_this_shard();
    let context = Context::new().with_deadline(Deadline::after(Duration::from_secs(20)));
    let other_db = other.handle(context);
    bench.first::<bool>(sleep(0.2)).await.unwrap();
    let sleeper = other_db.clone();
    let sleeper = tokio::spawn(async move { sleeper.first::<bool>(sleep(2.0)).await });
    bench.until(&backends("active"), 1).await;
    read_quickly(&other_db).await;
    assert!(!sleeper.is_finished());
    assert!(!sleeper.await.unwrap().unwrap());
}

#[tokio::test]
async fn it_is_found_out_though_its_caller_did_not_wait() {
    let bench = bench().await;
    // Its caller has seen that it is slow.
    let impatient = bench.patient(Duration::from_millis(100));
    impatient.first::<bool>(sleep(0.3)).await.unwrap_err();
    assert_eq!(bench.metric(SLOW), 1.0);

    // Its caller has not, but the answer of the next one shows.
    let bench = self::bench().await;
    let impatient = bench.patient(Duration::from_millis(5));
    impatient.first::<bool>(sleep(0.3)).await.unwrap_err();
    assert_eq!(bench.metric(SLOW), 0.0);
    read_quickly(&bench).await;
    assert_eq!(bench.metric(SLOW), 1.0, "it, and not the one behind it");
}

#[tokio::test]
async fn who_waits_for_a_lock_waits_elsewhere() {
    let bench = bench().await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; LOCK TABLE sales").await.unwrap();
    // It has to be prepared first, which waits for the lock already.
    let db = (*bench).clone();
    let waits = tokio::spawn(async move { db.load::<i64>(sales::table.select(sales::id)).await });
    let db = (*bench).clone();
    let writes = tokio::spawn(async move {
        let sale = (sales::piece_id.eq(1), sales::quantity.eq(2));
        db.execute(diesel::insert_into(sales::table).values(sale)).await
    });
    let on_exclusive = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'test' AND wait_event_type = 'Lock'";
    bench.until(on_exclusive, 2).await;
    for _ in 0..10 {
        read_quickly(&bench).await;
    }
    assert!(!waits.is_finished() && !writes.is_finished());
    locker.batch_execute("COMMIT").await.unwrap();
    assert!(waits.await.unwrap().unwrap().len() <= 1);
    assert_eq!(writes.await.unwrap().unwrap(), 1);
    assert_eq!(bench.number("SELECT count(*) FROM sales").await, 1, "written once");
    assert_eq!(bench.metric("tenfold_db_statements_again_total{reason=\"lock\"}"), 2.0);
}
