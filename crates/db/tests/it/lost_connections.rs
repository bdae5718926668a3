//! What becomes of the statements on a shared connection that breaks, or says nothing any more.

use std::time::Duration;

use diesel::prelude::*;
use futures_util::future::join_all;
use tenfold_db::{Class, Error};

use crate::kit::{Bench, Piece, backends, piece, pieces, sleep_ten_seconds};

const KILL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE application_name = 'test'";

#[tokio::test]
async fn reads_that_were_not_answered_are_read_again_and_nothing_else_is() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let reads = || (0..20).map(|_| bench.first::<Piece>(pieces::table.find(1)));
    join_all(reads()).await;

    let sale = diesel::insert_into(pieces::table).values(piece(2, "desk", 1));
    let returning = diesel::insert_into(pieces::table)
        .values(piece(3, "sofa", 1))
        .returning(pieces::all_columns);
    let (slept, found, written, returned, ()) = tokio::join!(
        bench.first::<bool>(sleep_ten_seconds()),
        join_all(reads()),
        bench.execute(sale),
        bench.first::<Piece>(returning),
        async {
            bench.until(&backends("active"), 1).await;
            bench.number(KILL).await;
        }
    );
    for found in found {
        assert_eq!(found.unwrap(), piece(1, "lamp", 5));
    }
    let is_lost = |error: Error| assert_eq!(error.class(), Class::Unknown, "{error}");
    // It may do anything, for all that is known here.
    is_lost(slept.unwrap_err());
    is_lost(written.unwrap_err());
    is_lost(returned.unwrap_err());
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 1);
    let again = bench.metric("tenfold_db_statements_again_total{reason=\"connection_lost\"}");
    assert_eq!(again, 20.0);
}

#[tokio::test]
async fn a_read_on_a_connection_of_its_own_is_read_again_too() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; LOCK TABLE pieces").await.unwrap();
    let exclusive = bench.exclusive();
    let (found, ()) = tokio::join!(exclusive.load::<Piece>(pieces::table), async {
        bench.until(&backends("active"), 1).await;
        bench.number(KILL).await;
        locker.batch_execute("COMMIT").await.unwrap();
    });
    assert_eq!(found.unwrap(), [piece(1, "lamp", 5)]);
}

/// A statement that commits on its own may have done so before Postgres was told to end it.
#[tokio::test]
async fn a_write_that_postgres_ends_with_its_connection_may_have_happened() {
    let bench = Bench::start().await;
    let written = "DO $$ BEGIN
        INSERT INTO pieces VALUES (1, 'lamp', 5); COMMIT; PERFORM pg_sleep(20); END $$";
    let exclusive = bench.exclusive();
    let (answer, ()) = tokio::join!(exclusive.execute(diesel::sql_query(written)), async {
        bench.until("SELECT count(*) FROM pieces", 1).await;
        bench.number(KILL).await;
    });
    let error = answer.unwrap_err();
    let said = error.postgres().unwrap();
    assert!(said.ends_the_connection() && said.code() == "57P01", "{error}");
    assert_eq!(error.class(), Class::Unknown, "it has happened");
    assert!(error.to_string().contains("may have happened or not"), "{error}");
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 1, "and was not done twice");
}

/// What was not committed has certainly not happened, and may be done again.
#[tokio::test]
async fn a_transaction_that_loses_its_connection_before_commit_has_not_happened() {
    let bench = Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await;
    let outcome: Result<bool, Error> = bench
        .transaction("sells", async |tx| {
            tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1))).await?;
            let (slept, _) = tokio::join!(tx.first(sleep_ten_seconds()), async {
                bench.until(&backends("active"), 1).await;
                bench.number(KILL).await
            });
            slept
        })
        .await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::TransactionLost { transaction: "sells", .. }), "{error}");
    assert_eq!(error.class(), Class::Unreachable);
    assert!(error.to_string().contains("has not happened"), "{error}");
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 0);
}

#[tokio::test]
async fn a_silent_connection_is_replaced_while_it_is_waited_for() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let db = (*bench).clone();
    let slow = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(4) IS NULL"));
    let sleeper = tokio::spawn(async move { db.first::<bool>(slow).await });
    bench.until(&backends("active"), 1).await;
    let mut found = Err(Error::NotFound);
    while found.is_err() && !sleeper.is_finished() {
        let impatient = bench.patient(Duration::from_millis(100));
        found = impatient.first::<Piece>(pieces::table.find(1)).await;
    }
    assert_eq!(found.unwrap(), piece(1, "lamp", 5));
    assert!(!sleeper.is_finished(), "it has not been waited for");
    assert!(!sleeper.await.unwrap().unwrap(), "and is answered all the same");
    // The one that it ran on is closed when nobody needs it any more.
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'";
    bench.until(connections, 2).await;
}
