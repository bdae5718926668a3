//! Prepared statements that Postgres does not accept any more are prepared again, and nobody
//! notices.

use diesel::prelude::*;
use diesel::sql_types::Bool;
use futures_util::future::join_all;
use tenfold_db::{Db, Error};

use crate::kit::{Bench, Piece, piece, pieces};

/// Changes the type of what a read of a piece gives, to and fro.
const TO_VARCHAR: &str = "ALTER TABLE pieces ALTER COLUMN name TYPE varchar";
const TO_TEXT: &str = "ALTER TABLE pieces ALTER COLUMN name TYPE text";

/// Makes the session that calls it forget what was prepared.
const FORGET: &str = "CREATE FUNCTION forget() RETURNS bool LANGUAGE plpgsql AS
    $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN true; END $$";

async fn read(db: &Db) {
    let found: Piece = db.first(pieces::table.find(1)).await.unwrap();
    assert_eq!(found, piece(1, "lamp", 5));
    assert_eq!(db.load::<Piece>(pieces::table).await.unwrap(), [piece(1, "lamp", 5)]);
    let renamed = diesel::update(pieces::table.find(1)).set(pieces::stock.eq(5));
    assert_eq!(db.execute(renamed).await.unwrap(), 1);
    let returning = diesel::update(pieces::table.find(1)).set(pieces::stock.eq(5));
    let found: Piece = db.first(returning.returning(pieces::all_columns)).await.unwrap();
    assert_eq!(found.stock, 5);
}

#[tokio::test]
async fn after_a_change_of_the_schema_on_both_lanes() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    for ddl in [TO_VARCHAR, TO_TEXT, TO_VARCHAR] {
        read(&bench).await;
        read(&bench.exclusive()).await;
        bench.batch(ddl).await;
    }
    read(&bench).await;
    read(&bench.exclusive()).await;
    assert_eq!(bench.metric("tenfold_db_errors_total{class=\"conflict\"}"), 0.0);
}

#[tokio::test]
async fn for_all_that_were_under_way_at_once() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    read(&bench).await;
    bench.batch(TO_VARCHAR).await;
    let reads = (0..200).map(|_| bench.first::<Piece>(pieces::table.find(1)));
    for found in join_all(reads).await {
        assert_eq!(found.unwrap(), piece(1, "lamp", 5));
    }
}

#[tokio::test]
async fn after_the_session_has_lost_them() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    bench.batch(FORGET).await;
    for db in [(*bench).clone(), bench.exclusive()] {
        for _ in 0..2 {
            read(&db).await;
            let forget = diesel::select(diesel::dsl::sql::<Bool>("forget()"));
            assert!(db.first::<bool>(forget).await.unwrap());
        }
        read(&db).await;
    }
}

#[tokio::test]
async fn a_transaction_is_begun_again_for_it() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let twice = async || {
        let done = bench.transaction("read_twice", |tx| async move {
            let one: Piece = tx.first(pieces::table.find(1)).await?;
            let all: Vec<Piece> = tx.load(pieces::table).await?;
            let stock =
                diesel::update(pieces::table.find(1)).set(pieces::stock.eq(pieces::stock + 1));
            tx.execute(stock).await?;
            Ok::<_, Error>((one, all))
        });
        done.await.unwrap()
    };
    twice().await;
    bench.batch(TO_VARCHAR).await;
    let (one, all) = twice().await;
    assert_eq!((one.stock, all.len()), (6, 1));
    let series = "tenfold_db_transaction_retries_total{reason=\"stale_statement\",transaction=\"read_twice\"}";
    assert_eq!(bench.metric(series), 1.0, "once for both of its statements");
    assert_eq!(bench.first::<Piece>(pieces::table.find(1)).await.unwrap().stock, 7);
}

/// As a migration that changes a table in several steps: by the time that a statement has been
/// prepared again the next one has come.
#[tokio::test]
async fn while_the_schema_changes_over_and_over() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let observer = bench.observer().await;
    let changes = async {
        for _ in 0..200 {
            for ddl in [TO_VARCHAR, TO_TEXT] {
                observer.batch_execute(ddl).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        }
    };
    let mut changes = std::pin::pin!(changes);
    loop {
        let reads = join_all((0..20).map(|_| bench.first::<Piece>(pieces::table.find(1))));
        tokio::select! {
            () = &mut changes => break,
            found = reads => found.into_iter().for_each(|found| {
                assert_eq!(found.unwrap(), piece(1, "lamp", 5));
            }),
        }
    }
}
