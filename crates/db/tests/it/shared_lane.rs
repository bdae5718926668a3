//! The shared lane: pipelined, capped, back by itself after a break.

use std::time::Duration;

use diesel::prelude::*;
use futures_util::future::join_all;
use tenfold_db::{Class, Error, Lane};
use tenfold_overload::Refusal;

use crate::kit::{Bench, Piece, backends, piece, pieces};

#[tokio::test]
async fn many_at_once_share_one_connection() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let reads = join_all((0..500).map(|_| bench.first::<Piece>(pieces::table.find(1)))).await;
    assert!(reads.into_iter().all(|read| read.unwrap() == piece(1, "lamp", 5)));
    // One of the shared lane; one of the pool, from the start-up.
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'";
    assert_eq!(bench.number(connections).await, 2);
}

#[tokio::test]
async fn an_error_does_not_spill_over_to_its_neighbours() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let bad = || diesel::insert_into(pieces::table).values(piece(1, "lamp", -1));
    let (a, b, c) = tokio::join!(
        bench.first::<Piece>(pieces::table.find(1)),
        bench.execute(bad()),
        bench.first::<Piece>(pieces::table.find(1)),
    );
    assert!(a.is_ok() && c.is_ok());
    assert_eq!(b.unwrap_err().class(), Class::Constraint);
}

#[tokio::test]
async fn the_line_is_bounded_by_number_and_by_time() {
    let bench = Bench::with(|settings| {
        settings.shared_in_flight_max = 1;
        settings.shared_waiting_max = 1;
    })
    .await;
    let slow =
        || diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(1) IS NULL"));
    let patient = bench.patient(Duration::from_millis(200));
    let (running, waiting, refused) =
        tokio::join!(bench.load::<bool>(slow()), patient.load::<bool>(slow()), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            bench.load::<bool>(slow()).await
        });
    assert!(running.is_ok());
    assert!(matches!(
        waiting.unwrap_err(),
        Error::Refused { lane: Lane::Shared, refusal: Refusal::Late { .. } }
    ));
    assert!(matches!(
        refused.unwrap_err(),
        Error::Refused { lane: Lane::Shared, refusal: Refusal::Full { waiting: 1, .. } }
    ));
}

#[tokio::test]
async fn a_statement_that_holds_up_the_lane_is_stopped() {
    let bench =
        Bench::with(|settings| settings.shared_statement_timeout = Duration::from_millis(100))
            .await;
    let slow =
        || diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(5) IS NULL"));
    let error = bench.load::<bool>(slow()).await.unwrap_err();
    assert_eq!(error.class(), Class::TooSlow, "{error}");
    let quick =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(0.2) IS NULL"));
    assert!(
        bench.exclusive().load::<bool>(quick).await.is_ok(),
        "the exclusive lane has no such limit"
    );
}

#[tokio::test]
async fn it_comes_back_after_its_connection_was_killed() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'test'";
    bench.number(kill).await;
    bench.until(&backends("active"), 0).await;
    let mut found = bench.first::<Piece>(pieces::table.find(1)).await;
    // The first may have been sent into the dying connection; the next must not be.
    if found.is_err() {
        found = bench.first::<Piece>(pieces::table.find(1)).await;
    }
    assert_eq!(found.unwrap(), piece(1, "lamp", 5));
}

#[tokio::test]
async fn postgres_gone_is_said_soon_and_its_return_is_noticed() {
    let mut bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    bench.postgres.kill().unwrap();
    let patient = bench.patient(Duration::from_secs(30));
    let asked = tokio::time::Instant::now();
    let errors = join_all((0..20).map(|_| patient.first::<Piece>(pieces::table.find(1)))).await;
    for error in errors {
        let class = error.unwrap_err().class();
        assert!(matches!(class, Class::Unreachable | Class::Unknown), "{class:?}");
    }
    assert!(asked.elapsed() < Duration::from_secs(20), "it must not wait for the deadline");
    bench.postgres.start_again().unwrap();
    let mut found = bench.first::<Piece>(pieces::table.find(1)).await;
    for _ in 0..100 {
        if found.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = bench.first::<Piece>(pieces::table.find(1)).await;
    }
    assert_eq!(found.unwrap(), piece(1, "lamp", 5));
}
