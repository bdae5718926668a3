//! Nobody has to say how many connections there may be: Postgres does.

use futures_util::future::join_all;
use tenfold_config::Secret;
use tenfold_db::Database;
use tenfold_telemetry::metrics::Registry;

use super::{sleep_seconds, value};
use crate::kit::Bench;

#[tokio::test]
async fn as_many_as_postgres_takes_and_it_says_why() {
    let bench = Bench::start().await;
    bench.batch("CREATE ROLE few LOGIN CONNECTION LIMIT 40").await;
    let mut settings = bench.settings.clone();
    let folder = bench.postgres.socket_directory().display().to_string();
    settings.url = Some(Secret::new(format!("postgres:///bench?host={folder}&user=few")));
    settings.expected_replicas = 7;
    settings.shared_connections = 1;
    let registry = Registry::new();
    let database = Database::open(&settings, "few", &registry).await.unwrap();
    let size = database.pool_size().unwrap().clone();
    assert!(!size.is_too_much);
    assert!(size.why.contains("Postgres takes 40 connections, 4 of them left to others"), "{size}");
    assert!(size.why.contains("for 7 + 1 processes"), "{size}");
    assert!(size.why.contains("1 for watching and 1 for cancellations"), "{size}");
    // (40 - 4) / 8, less a lane for each core and one for watching.
    assert!((1..=3).contains(&size.connections_max), "{size}");
    let shown = value(&registry, "tenfold_db_pool_connections_max");
    assert_eq!(shown, size.connections_max as f64);

    let shard = database.on_this_shard();
    let crowd = (0..10).map(|_| {
        let db = shard.handle(bench.context().clone()).exclusive();
        async move { db.load::<bool>(sleep_seconds("0.05")).await }
    });
    assert!(join_all(crowd).await.iter().all(Result::is_ok));
    assert!(value(&registry, "tenfold_db_pool_connections{state=\"idle\"}") <= shown);
}

/// Lanes, pool and what watches Postgres, all at once, have room in the share of one process.
#[tokio::test]
async fn all_connections_of_a_process_fit_into_its_share() {
    let bench = Bench::start().await;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = 8 * cores + 8;
    bench.batch(&format!("CREATE ROLE few LOGIN CONNECTION LIMIT {all}")).await;
    let mut settings = bench.settings.clone();
    let folder = bench.postgres.socket_directory().display().to_string();
    settings.url = Some(Secret::new(format!("postgres:///bench?host={folder}&user=few")));
    settings.transaction_watch_interval = std::time::Duration::from_millis(10);
    let registry = Registry::new();
    let database = Database::open(&settings, "few", &registry).await.unwrap();
    // Some are left to others, and a second process of the same kind has as many.
    let share = (all - (all / 10).max(3)) / 2;
    bench.batch(&format!("ALTER ROLE few CONNECTION LIMIT {share}")).await;
    let shards: Vec<_> = (0..cores).map(|_| database.on_this_shard()).collect();
    let crowd = (0..60).map(|index| {
        let db = shards[index % shards.len()].handle(bench.context().clone()).exclusive();
        async move { db.load::<bool>(sleep_seconds("0.1")).await }
    });
    let answers = join_all(crowd).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let failed = value(&registry, "tenfold_db_pool_connects_total{outcome=\"failure\"}");
    assert_eq!(failed, 0.0, "{}", database.pool_size().unwrap());
}

#[tokio::test]
async fn more_than_postgres_takes_is_said() {
    let bench = Bench::with(|settings| settings.pool_max = 500).await;
    let size = bench.database.pool_size().unwrap();
    assert!(size.is_too_much && size.connections_max == 500, "{size}");
    assert!(size.why.starts_with("as set (database.pool_max), which is too much"), "{size}");
}
