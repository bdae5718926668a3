//! The shared lane: pipelined, capped, back by itself after a break.

use std::time::Duration;

use diesel::prelude::*;
use futures_util::future::join_all;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Class, Error, Lane};
use tenfold_overload::Refusal;
use tenfold_testkit::{Proxy, Side, Upstream};

use crate::kit::{Bench, Piece, backends, piece, pieces};

/// Sent as any other statement, it would keep its answer's end for itself, and each statement
/// behind it on the connection would be given the answer of the next.
#[tokio::test]
async fn copy_as_a_statement_is_refused_and_nobody_gets_anothers_answer() {
    let bench = Bench::with(|settings| settings.shared_connections = 1).await;
    bench.insert(&[piece(1, "lamp", 1), piece(2, "desk", 2)]).await;
    for sql in ["COPY pieces FROM STDIN", "copy pieces to stdout"] {
        for db in [(*bench).clone(), bench.exclusive()] {
            let error = db.execute(diesel::sql_query(sql)).await.unwrap_err();
            assert_eq!(error.class(), Class::Mistake, "{error}");
            assert!(error.to_string().contains("Db::copy_in"), "{error}");
        }
        for id in [1, 2, 1, 2] {
            let patient = bench.patient(Duration::from_secs(5));
            let found: Piece = patient.first(pieces::table.find(id)).await.unwrap();
            assert_eq!(found.id, id);
        }
    }
}

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
async fn all_lanes_together_tell_how_full_they_are_and_can_be() {
    let bench = Bench::with(|settings| settings.shared_in_flight_max = 2).await;
    let metrics = || {
        let of = |what| bench.metric(&format!("tenfold_db_shared_{what}"));
        [of("in_flight"), of("waiting"), of("in_flight_max")]
    };
    assert_eq!(metrics(), [0.0, 0.0, 2.0]);
    let slow =
        || diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(0.2) IS NULL"));
    let three = join_all((0..3).map(|_| bench.load::<bool>(slow())));
    let (answers, seen) = tokio::join!(three, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        metrics()
    });
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(seen, [2.0, 1.0, 2.0]);
    let other = bench.database.on_this_shard();
    assert_eq!(metrics(), [0.0, 0.0, 4.0]);
    drop(other);
    assert_eq!(metrics(), [0.0, 0.0, 2.0]);
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

#[tokio::test]
async fn those_who_leave_keep_their_place_until_postgres_is_done_with_them() {
    let bench = Bench::with(|settings| settings.shared_in_flight_max = 1).await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let slow =
        || diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(0.5) IS NULL"));
    let leaver = bench.patient(Duration::from_millis(50));
    assert!(matches!(leaver.load::<bool>(slow()).await.unwrap_err(), Error::DeadlinePassed { .. }));
    let occupied = bench.shard.shared_lane().inside;
    assert_eq!(occupied, 1, "the statement runs still, so its place is taken");
    // Who comes now waits before it sends anything, and may be told so.
    let error = leaver.first::<Piece>(pieces::table.find(1)).await.unwrap_err();
    assert!(!matches!(error, Error::Unreachable { .. }), "{error}");
    assert_eq!(bench.first::<Piece>(pieces::table.find(1)).await.unwrap(), piece(1, "lamp", 5));
    bench.until(&backends("active"), 0).await;
    assert_eq!(bench.shard.shared_lane().inside, 0);
}

#[tokio::test]
async fn a_connection_that_the_network_swallowed_is_given_up_and_made_anew() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let socket = bench.postgres.socket_directory().join(".s.PGSQL.5432");
    let proxy = Proxy::start(Upstream::Unix(socket)).await.unwrap();
    let mut settings = bench.settings.clone();
    settings.url =
        Some(tenfold_config::Secret::new(format!("postgres://postgres@{}/bench", proxy.address())));
    settings.shared_statement_timeout = Duration::from_millis(100);
    let database = tenfold_db::Database::open(&settings, "proxied", &bench.registry).await.unwrap();
    let shard = database.on_this_shard();
    let patience = |millis| {
        let deadline = Deadline::after(Duration::from_millis(millis));
        shard.handle(Context::new().with_deadline(deadline))
    };
    let find = || pieces::table.find(1);
    assert_eq!(patience(10_000).first::<Piece>(find()).await.unwrap().id, 1);

    // What goes to Postgres on this connection is swallowed from here on.
    proxy.stall(Side::ToServer);
    let error = patience(100).first::<Piece>(find()).await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error}");
    // It is given up after the longest statement and a second; a new one gets through again.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    proxy.resume(Side::ToServer);
    let mut found = patience(2_000).first::<Piece>(find()).await;
    for _ in 0..20 {
        if found.is_ok() {
            break;
        }
        found = patience(2_000).first::<Piece>(find()).await;
    }
    assert_eq!(found.unwrap().id, 1);
    assert!(proxy.accepted() > 2, "the lane connected again");
}
