//! A handler that is cancelled at any point of a transaction: no lock outlives it, the pool is
//! whole, nothing is committed.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use futures_util::future::join_all;
use tenfold_context::Moment;
use tenfold_db::{Db, Error};

use crate::kit::{Bench, Piece, Times, backends, piece, pieces, sales};

/// What is promised of each lock; [`Times`] says how that is judged.
const LOCK_GONE: Duration = Duration::from_millis(100);

/// No machine is so busy.
const LOCK_GONE_MAX: Duration = Duration::from_secs(5);

const POINTS: usize = 200;

fn pause(seconds: f64) -> impl tenfold_db::Yields<bool> + use<> {
    let sql = format!("pg_sleep({seconds}) IS NULL");
    diesel::select(diesel::dsl::sql::<Bool>(&sql))
}

/// Statements, pauses in Postgres and pauses of one's own, with nested parts; it never commits.
async fn work(db: Db) -> Result<(), Error> {
    db.begin("leaves")
        .budget(Duration::from_secs(20))
        .run(async |tx| {
            let lock = pieces::table.find(1).for_update();
            let piece: Piece = tx.first(lock).await?;
            tokio::time::sleep(Duration::from_millis(2)).await;
            let sale = (sales::piece_id.eq(1), sales::quantity.eq(1));
            tx.execute(diesel::insert_into(sales::table).values(sale)).await?;
            let _: Vec<bool> = tx.load(pause(0.005)).await?;
            tx.nested(async |tx| {
                let query = diesel::update(pieces::table.find(1));
                tx.execute(query.set(pieces::stock.eq(piece.stock - 1))).await?;
                tx.load::<bool>(pause(0.005)).await
            })
            .await?;
            let undone: Result<(), Error> = tx
                .nested(async |tx| {
                    tx.execute(diesel::insert_into(sales::table).values(sale)).await?;
                    Err(Error::NotFound)
                })
                .await;
            assert!(undone.is_err());
            let _: Vec<bool> = tx.load(pause(30.0)).await?;
            Ok(())
        })
        .await
}

#[tokio::test]
async fn at_200_points_no_lock_stays_and_nothing_is_committed() {
    let bench = Bench::with(|settings| settings.pool_max = 4).await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let observer = bench.observer().await;
    let mut locked = Times::default();
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..POINTS {
        let task = tokio::spawn(work(bench.patient(Duration::from_secs(30))));
        tokio::time::sleep(Duration::from_micros(random.u64(0..40_000))).await;
        task.abort();
        let left = Moment::now();
        assert!(task.await.is_err(), "it had not ended");
        // Waits for whatever lock there is.
        let lock = tokio::time::timeout(
            LOCK_GONE_MAX,
            observer.batch_execute("SELECT FROM pieces FOR UPDATE"),
        );
        lock.await.expect("a lock outlives its transaction").unwrap();
        locked.add(Moment::now().since(left));
    }
    locked.assert_mostly_within(LOCK_GONE);

    bench.until(&backends("idle in transaction"), 0).await;
    bench.until(&backends("active"), 0).await;
    assert_eq!(bench.number("SELECT count(*) FROM sales").await, 0);
    assert_eq!(bench.number("SELECT stock::bigint FROM pieces").await, 5);
    // All places are there, none more, and clean.
    let exclusive = bench.exclusive();
    let all = join_all((0..4).map(|_| exclusive.load::<bool>(pause(0.2)))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'";
    assert!(bench.number(connections).await <= 5);
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"used\"}"), 0.0);
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"waited_for\"}"), 0.0);
}
