//! Transactions that stay open for too long: ours are stopped and named, those of others shown.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use futures_util::TryStreamExt;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline, Moment};
use tenfold_db::{Class, Database, DatabaseSettings, Error};
use tenfold_local::{Postgres, PostgresOptions};
use tenfold_telemetry::metrics::Registry;

use crate::kit::{Bench, backends, piece, pieces, sleep_ten_seconds};
use crate::warnings::Warnings;

const LIMIT: Duration = Duration::from_millis(500);

async fn bench() -> Bench {
    Bench::with(|settings| {
        settings.transaction_age_max = LIMIT;
        settings.transaction_watch_interval = Duration::from_millis(50);
        settings.transaction_budget = LIMIT;
    })
    .await
}

#[tokio::test]
async fn a_statement_that_runs_past_the_limit_is_stopped() {
    let bench = bench().await;
    let error = bench.exclusive().load::<bool>(sleep_ten_seconds()).await.unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
    assert_eq!(error.class(), Class::TooSlow);
    bench.until(&backends("active"), 0).await;
    // The place in the pool is free.
    let quick = diesel::select(diesel::dsl::sql::<Bool>("true"));
    assert!(bench.exclusive().first::<bool>(quick).await.unwrap());
    assert_eq!(bench.metric("tenfold_db_stopped_total{kind=\"statement\",route=\"none\"}"), 1.0);
}

#[tokio::test]
async fn a_stream_that_nobody_reads_does_not_pin_its_snapshot_for_ever() {
    let bench = bench().await;
    let numbers = diesel::dsl::sql::<Bool>("generate_series(1, 10000000) > 0");
    let mut stream = Box::pin(bench.stream::<bool, _>(diesel::select(numbers)));
    assert_eq!(stream.try_next().await.unwrap(), Some(true));
    bench.until(&backends("active"), 0).await;
    // What had come before can be read, and then it says why there is no more.
    let error = loop {
        match stream.try_next().await {
            Ok(row) => assert!(row.is_some(), "it seems to be complete"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
}

#[tokio::test]
async fn a_transaction_of_somebody_else_is_shown() {
    let bench = bench().await;
    let others = "tenfold_db_oldest_transaction_seconds{whose=\"others\"}";
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.metric(others), 0.0, "our own are not among them");
    let observer = bench.observer().await;
    observer.batch_execute("BEGIN; SELECT 1").await.unwrap();
    for _ in 0..500 {
        if bench.metric(others) > 0.2 {
            observer.batch_execute("COMMIT").await.unwrap();
            for _ in 0..500 {
                if bench.metric(others) == 0.0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("it has ended and is still shown");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not shown");
}

#[tokio::test]
async fn our_own_are_shown_as_ours_and_not_as_somebody_elses() {
    let bench = bench().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let shown = bench.transaction("shown", async |tx| {
        tx.execute(diesel::update(pieces::table.find(1)).set(pieces::stock.eq(1))).await?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let age = |whose| {
            bench.metric(&format!("tenfold_db_oldest_transaction_seconds{{whose=\"{whose}\"}}"))
        };
        Ok::<_, Error>((age("ours"), age("others")))
    });
    let (ours, others) = shown.await.unwrap();
    assert!(ours >= 0.3, "{ours}");
    assert_eq!(others, 0.0);
}

/// No moment of this process is before its beginning, and the transaction is.
#[tokio::test]
async fn one_that_is_older_than_this_process_is_shown_with_its_age() {
    let options = PostgresOptions { database: "bench".into(), ..PostgresOptions::default() };
    let postgres = Postgres::start(&options, &|_| {}).unwrap();
    let (client, connection) =
        tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    // The clock of a process begins with it: a transaction that began before is one that is older
    // than all that this clock has counted.
    let counted = Moment::now().since(Moment::ZERO);
    std::thread::sleep(counted + Duration::from_secs(1));
    let settings = DatabaseSettings {
        url: Some(Secret::new(postgres.url())),
        transaction_watch_interval: Duration::from_millis(50),
        ..DatabaseSettings::default()
    };
    let registry = Registry::new();
    let _database = Database::open(&settings, "test", &registry).await.unwrap();
    let series = "tenfold_db_oldest_transaction_seconds{whose=\"others\"} ";
    let age = || {
        let text = registry.encode();
        let age = text.lines().find_map(|line| line.strip_prefix(series)?.parse::<f64>().ok());
        age.unwrap_or(0.0)
    };
    for _ in 0..500 {
        if age() >= 1.0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is not shown: {}", age());
}

#[tokio::test]
async fn the_log_names_ours_that_are_stopped_and_those_of_others() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let bench = bench().await;
    let others = bench.observer().await;
    others.batch_execute("SET application_name = 'report'; BEGIN; SELECT 1").await.unwrap();
    let context = Context::new().with_deadline(Deadline::after(Duration::from_secs(20)));
    context.set_route("/report".into());
    let db = bench.shard.handle(context).exclusive();
    let error = db.load::<bool>(sleep_ten_seconds()).await.unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
    let stopped = warnings.about("stopped, having kept a transaction open");
    assert_eq!(stopped.len(), 1, "once: {stopped:?}");
    for field in
        ["kind=\"statement\"", "route=\"/report\"", "request_id=", "held_ms=", "in_statement=true"]
    {
        assert!(stopped[0].contains(field), "{field} is not in {}", stopped[0]);
    }
    let mut shown = Vec::new();
    for _ in 0..500 {
        shown = warnings.about("somebody keeps a transaction open");
        if !shown.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(shown.len(), 1, "once: {shown:?}");
    for field in [
        "backend=",
        "age_ms=",
        "user=\"postgres\"",
        "application=\"report\"",
        "database=\"bench\"",
        "state=\"idle in transaction\"",
    ] {
        assert!(shown[0].contains(field), "{field} is not in {}", shown[0]);
    }
    others.batch_execute("COMMIT").await.unwrap();
}
