//! The pool: bounded, with a reason for each refusal, and clean on return.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use futures_util::StreamExt;
use futures_util::future::join_all;
use tenfold_context::Priority;
use tenfold_db::{Class, Database, Db, Error, Lane};
use tenfold_overload::Refusal;

use crate::kit::{Bench, Piece, backends, piece, pieces};

fn sleep_seconds(seconds: &str) -> impl tenfold_db::Yields<bool> + use<> {
    diesel::select(diesel::dsl::sql::<Bool>(&format!("pg_sleep({seconds}) IS NULL")))
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let bench = Bench::with(|settings| settings.pool_max = 3).await;
    let exclusive = bench.exclusive();
    let loads = join_all((0..30).map(|_| exclusive.load::<bool>(sleep_seconds("0.01")))).await;
    assert!(loads.into_iter().all(|load| load.is_ok()));
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test'";
    assert_eq!(bench.number(connections).await, 3 + 1);
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"idle\"}"), 3.0);
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"used\"}"), 0.0);
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"opening\"}"), 0.0);
    assert_eq!(bench.metric("tenfold_db_pool_connections_max"), 3.0);
}

#[tokio::test]
async fn a_connection_that_is_being_made_is_told_from_one_in_use() {
    let bench = Bench::with(|settings| settings.pool_max = 2).await;
    let state =
        |state: &str| bench.metric(&format!("tenfold_db_pool_connections{{state=\"{state}\"}}"));
    let exclusive = bench.exclusive();
    let holds = exclusive.load::<bool>(sleep_seconds("0.3"));
    // The second finds none idle. A future that has been asked once has begun to connect.
    let (held, opened) = tokio::join!(holds, async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut opens = Box::pin(exclusive.load::<bool>(sleep_seconds("0")));
        let asked = poll_fn(|task| Poll::Ready(opens.as_mut().poll(task)));
        assert!(asked.await.is_pending());
        let seen = ["used", "opening", "idle"].map(state);
        opens.await.map(|_| seen)
    });
    assert!(held.is_ok());
    assert_eq!(opened.unwrap(), [1.0, 1.0, 0.0]);
    assert_eq!(["used", "opening", "idle"].map(state), [0.0, 0.0, 2.0]);
}

#[tokio::test]
async fn a_full_line_and_a_late_turn_are_told_apart() {
    let bench = Bench::with(|settings| {
        settings.pool_max = 1;
        settings.pool_waiting_max = 1;
    })
    .await;
    let impatient = bench.patient(Duration::from_millis(100)).exclusive();
    let exclusive = bench.exclusive();
    let (held, late, full) = tokio::join!(
        exclusive.load::<bool>(sleep_seconds("0.5")),
        impatient.load::<bool>(sleep_seconds("0")),
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            exclusive.load::<bool>(sleep_seconds("0")).await
        }
    );
    assert!(held.is_ok());
    let late = late.unwrap_err();
    assert!(matches!(
        late,
        Error::Refused { lane: Lane::Exclusive, refusal: Refusal::Late { .. } }
    ));
    assert_eq!(late.class(), Class::Saturated);
    let full = full.unwrap_err();
    assert!(matches!(full, Error::Refused { refusal: Refusal::Full { .. }, .. }));
    assert_eq!(full.class(), Class::Saturated);
    assert_eq!(bench.metric("tenfold_db_pool_refused_total{reason=\"late\"}"), 1.0);
    assert_eq!(bench.metric("tenfold_db_pool_refused_total{reason=\"full\"}"), 1.0);
}

#[tokio::test]
async fn critical_work_passes_background_work_in_the_line() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let with = |priority| {
        let context = bench.context().clone().with_priority(priority);
        bench.shard.handle(context).exclusive()
    };
    let (background, critical) = (with(Priority::Background), with(Priority::Critical));
    let order = std::sync::Mutex::new(Vec::new());
    let run = async |db: Db, name, head_start_ms| {
        tokio::time::sleep(Duration::from_millis(head_start_ms)).await;
        db.load::<bool>(sleep_seconds("0.2")).await.unwrap();
        order.lock().unwrap().push(name);
    };
    tokio::join!(
        run(bench.exclusive(), "first", 0),
        run(background, "background", 30),
        run(critical, "critical", 60),
    );
    assert_eq!(order.into_inner().unwrap(), ["first", "critical", "background"]);
}

#[tokio::test]
async fn a_broken_connection_is_not_handed_out_again() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let exclusive = bench.exclusive();
    let kill_me =
        diesel::select(diesel::dsl::sql::<Bool>("pg_terminate_backend(pg_backend_pid())"));
    assert!(exclusive.load::<bool>(kill_me).await.is_err());
    assert!(exclusive.load::<bool>(sleep_seconds("0")).await.is_ok());
    bench.until(&backends("idle"), 2).await;
}

#[tokio::test]
async fn a_wrong_address_is_found_at_start_up_and_the_password_is_not_shown() {
    let bench = Bench::start().await;
    for (url, class) in [
        ("postgres://me:secret@127.0.0.1:1/nothing", Class::Unreachable),
        ("http://me:secret@example/", Class::Mistake),
    ] {
        let mut settings = bench.settings.clone();
        settings.url = Some(tenfold_config::Secret::new(url));
        let opened = Database::open(&settings, "test", &bench.registry).await;
        let error = opened.map(|_| ()).unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_closed_database_refuses() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 1)]).await;
    bench.database.close();
    bench.shard.close();
    for db in [bench.exclusive(), bench.patient(Duration::from_secs(1))] {
        let error = db.first::<Piece>(pieces::table.find(1)).await.unwrap_err();
        assert!(matches!(error, Error::Closed), "{error}");
    }
    let streamed = Box::pin(bench.stream::<Piece, _>(pieces::table)).next().await.unwrap();
    assert!(matches!(streamed, Err(Error::Closed)), "{streamed:?}");
    assert_eq!(bench.metric("tenfold_db_pool_refused_total{reason=\"closed\"}"), 1.0);
}
