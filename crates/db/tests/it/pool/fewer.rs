//! A Postgres that takes fewer connections than the pool may have: those that there are have to do,
//! whoever waits is told that they are all taken, and when it takes more they come about.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Class, Database, DatabaseSettings, Db, Error, ShardDatabase};
use tenfold_overload::Refusal;
use tenfold_telemetry::metrics::Registry;

use super::{PATIENT, sleep_seconds, value};
use crate::kit::Bench;
use crate::warnings::Warnings;

const POOL_MAX: usize = 8;

/// A role that may have few connections.
struct Few {
    shard: ShardDatabase,
    registry: Registry,
    bench: Bench,
}

fn settings(bench: &Bench) -> DatabaseSettings {
    let folder = bench.postgres.socket_directory().display().to_string();
    let url = Some(Secret::new(format!("postgres:///bench?host={folder}&user=few")));
    // The last one makes the pool look after itself often.
    let health_interval = Duration::from_millis(100);
    DatabaseSettings {
        url,
        pool_max: POOL_MAX,
        pool_health_interval: health_interval,
        ..bench.settings.clone()
    }
}

impl Few {
    async fn start(limit: usize) -> Few {
        let bench = Bench::start().await;
        bench.batch(&format!("CREATE ROLE few LOGIN CONNECTION LIMIT {limit}")).await;
        let registry = Registry::new();
        let database = Database::open(&settings(&bench), "few", &registry).await.unwrap();
        Few { shard: database.on_this_shard(), registry, bench }
    }

    fn exclusive(&self, patience: Duration) -> Db {
        let context = Context::new().with_deadline(Deadline::after(patience));
        self.shard.handle(context).exclusive()
    }

    /// So many who want a connection for a tenth of a second at the same time.
    async fn crowd(&self, count: usize, patience: Duration) -> Vec<Result<Vec<bool>, Error>> {
        let crowd = (0..count).map(|_| self.exclusive(patience));
        join_all(crowd.map(async |db| db.load::<bool>(sleep_seconds("0.1")).await)).await
    }

    fn metric(&self, series: &str) -> f64 {
        value(&self.registry, series)
    }

    fn connections_max(&self) -> f64 {
        self.metric("tenfold_db_pool_connections_max")
    }
}

#[tokio::test]
async fn those_that_there_are_are_shared_and_who_waits_in_vain_is_told_that_they_are_taken() {
    let warnings = Warnings::default();
    let _logging = tracing::subscriber::set_default(warnings.clone());
    // Of these the shared lane has one.
    let few = Few::start(3).await;
    let answers = few.crowd(6, PATIENT).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(few.metric("tenfold_db_pool_connects_total{outcome=\"failure\"}") >= 1.0);
    assert!((1.0..=3.0).contains(&few.connections_max()), "{}", few.connections_max());

    // Some are let in while more is tried, some are not.
    for _ in 0..20 {
        for answer in few.crowd(40, Duration::from_millis(150)).await {
            match answer {
                Ok(_) | Err(Error::DeadlinePassed { .. }) => {}
                Err(error) => {
                    assert_eq!(error.class(), Class::Saturated, "{error}");
                    let is_late = matches!(
                        error,
                        Error::Refused { refusal: Refusal::Late { waited }, .. } if !waited.is_zero()
                    );
                    assert!(is_late, "{error}");
                }
            }
        }
    }
    let refused =
        |reason: &str| few.metric(&format!("tenfold_db_pool_refused_total{{reason=\"{reason}\"}}"));
    assert!(refused("late") >= 20.0 * 30.0, "{}", few.registry.encode());
    assert_eq!(refused("unreachable"), 0.0);
    let said = warnings.about("fewer connections than the pool may have");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("connections_max=") && said[0].contains("too many connections"));
    // It is not asked all the time: after 1, 2, 4 s.
    let failures = few.metric("tenfold_db_pool_connects_total{outcome=\"failure\"}");
    assert!(failures <= 12.0, "{failures}");

    // When it takes more, there are soon as many as there may be.
    few.bench.batch("ALTER ROLE few CONNECTION LIMIT 40").await;
    for _ in 0..200 {
        few.crowd(POOL_MAX * 2, PATIENT).await;
        if few.connections_max() == POOL_MAX as f64 {
            return;
        }
    }
    panic!("it stays at {}", few.connections_max());
}

/// With four of them, as many as may run where the pool is as large as it may be, there would be no
/// connection left.
#[tokio::test]
async fn streams_leave_connections_to_others_there_too() {
    let few = Few::start(4).await;
    few.crowd(POOL_MAX, PATIENT).await;
    let connections_max = few.connections_max();
    assert!((1.0..=4.0).contains(&connections_max), "{connections_max}");
    let rows = || diesel::dsl::sql::<diesel::sql_types::Bool>("generate_series(1, 10000000) > 0");
    let mut streams: Vec<_> = (0..4)
        .map(|_| Box::pin(few.exclusive(PATIENT).stream::<bool, _>(diesel::select(rows()))))
        .collect();
    let first = join_all(
        streams
            .iter_mut()
            .map(|stream| tokio::time::timeout(Duration::from_millis(500), stream.next())),
    );
    let running = first.await.into_iter().filter(Result::is_ok).count();
    assert!((1..=3).contains(&running), "{running} of {connections_max}");
    if connections_max > 1.0 {
        assert!((running as f64) < connections_max, "{running} of {connections_max}");
        let answer = few.exclusive(Duration::from_secs(5)).load::<bool>(sleep_seconds("0")).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}

#[tokio::test]
async fn where_there_can_be_none_it_says_so() {
    let bench = Bench::start().await;
    bench.batch("CREATE ROLE few LOGIN CONNECTION LIMIT 0").await;
    let error = Database::open(&settings(&bench), "few", &Registry::new()).await.unwrap_err();
    assert_eq!(error.class(), Class::Unreachable);
    let said = error.to_string();
    assert!(said.contains("it takes no more connections: too many connections"), "{said}");
}

/// Started again with fewer, none of those that there were is left.
#[tokio::test]
async fn a_server_that_comes_back_with_fewer_is_believed() {
    let mut bench = Bench::with(|settings| {
        settings.pool_max = 12;
        settings.pool_health_interval = Duration::from_millis(100);
    })
    .await;
    let crowd = async |bench: &Bench, count: usize| {
        let crowd = (0..count).map(|_| bench.patient(Duration::from_secs(2)).exclusive());
        join_all(crowd.map(async |db| db.load::<bool>(sleep_seconds("0.1")).await)).await
    };
    assert!(crowd(&bench, 24).await.iter().all(Result::is_ok));
    for setting in ["max_connections = 6", "superuser_reserved_connections = 0"] {
        bench.batch(&format!("ALTER SYSTEM SET {setting}")).await;
    }
    bench.batch("ALTER SYSTEM SET max_wal_senders = 0").await;
    bench.postgres.kill().unwrap();
    bench.postgres.start_again().unwrap();
    // Until one has been let in, it is not there.
    let quick = async || bench.patient(PATIENT).exclusive().load::<bool>(sleep_seconds("0")).await;
    for _ in 0..500 {
        if quick().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answers = crowd(&bench, 24).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    for answer in crowd(&bench, 200).await {
        let class = answer.as_ref().map_err(Error::class);
        let is_expected = matches!(class, Ok(_) | Err(Class::Saturated | Class::TooSlow));
        assert!(is_expected, "{answer:?}");
    }
    let connections_max = bench.metric("tenfold_db_pool_connections_max");
    assert!((1.0..=6.0).contains(&connections_max), "{connections_max}");
}
