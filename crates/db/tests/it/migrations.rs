//! Migrations: in order, once, under a lock, and in diesel's own format.

use std::time::Duration;

use diesel_migrations::FileBasedMigrations;
use futures_util::future::join_all;
use tenfold_context::Deadline;
use tenfold_db::{MigrateError, MigrationState};

use crate::kit::Bench;

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Migrations in a folder as diesel lays them out: name, up, down, metadata.
fn folder(migrations: &[(&str, &str, &str, &str)]) -> (tempfile::TempDir, FileBasedMigrations) {
    let folder = tempfile::tempdir().unwrap();
    for (name, up, down, metadata) in migrations {
        let one = folder.path().join("migrations").join(name);
        std::fs::create_dir_all(&one).unwrap();
        std::fs::write(one.join("up.sql"), up).unwrap();
        std::fs::write(one.join("down.sql"), down).unwrap();
        if !metadata.is_empty() {
            std::fs::write(one.join("metadata.toml"), metadata).unwrap();
        }
    }
    let source = FileBasedMigrations::from_path(folder.path().join("migrations")).unwrap();
    (folder, source)
}

const COLOURS: (&str, &str, &str, &str) = (
    "2026-01-01-000000_colours",
    "CREATE TABLE colours (id bigint PRIMARY KEY); INSERT INTO colours VALUES (1)",
    "DROP TABLE colours",
    "",
);

const INDEX: (&str, &str, &str, &str) = (
    "2026-01-02-000000_index",
    "CREATE INDEX CONCURRENTLY colours_id ON colours (id)",
    "DROP INDEX CONCURRENTLY colours_id",
    "run_in_transaction = false",
);

#[tokio::test]
async fn run_status_and_revert() {
    let bench = Bench::start().await;
    let (_folder, source) = folder(&[INDEX, COLOURS]);
    let states = async || {
        let status = bench.database.migration_status(&source, soon()).await.unwrap();
        status.into_iter().map(|one| (one.name, one.state)).collect::<Vec<_>>()
    };
    let (colours, index) = (COLOURS.0.to_owned(), INDEX.0.to_owned());
    let pending = MigrationState::Pending;
    assert_eq!(states().await, [(colours.clone(), pending), (index.clone(), pending)]);
    let ran = bench.database.migrate(&source, soon()).await.unwrap();
    assert_eq!(ran, [colours.clone(), index.clone()]);
    assert_eq!(bench.database.migrate(&source, soon()).await.unwrap(), [""; 0]);
    assert_eq!(bench.database.revert_migration(&source, soon()).await.unwrap(), index);
    assert_eq!(states().await, [(colours.clone(), MigrationState::Applied), (index, pending)]);
    assert_eq!(bench.database.revert_migration(&source, soon()).await.unwrap(), colours);
    let nothing = bench.database.revert_migration(&source, soon()).await;
    assert!(matches!(nothing, Err(MigrateError::NothingToRevert)));
}

#[tokio::test]
async fn replicas_that_start_at_once_run_each_migration_once() {
    let bench = Bench::start().await;
    let (_folder, source) = folder(&[COLOURS, INDEX]);
    let ran = join_all((0..8).map(|_| bench.database.migrate(&source, soon()))).await;
    let ran: Vec<_> = ran.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(ran, [COLOURS.0, INDEX.0]);
    assert_eq!(bench.number("SELECT count(*) FROM colours").await, 1);
}

#[tokio::test]
async fn a_failing_one_is_undone_and_named_and_those_before_it_stay() {
    let bench = Bench::start().await;
    let broken =
        ("2026-01-03-000000_broken", "CREATE TABLE half (id bigint); SELECT 1 / 0", "", "");
    let (_folder, source) = folder(&[COLOURS, broken]);
    let error = bench.database.migrate(&source, soon()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "migration 2026-01-03-000000_broken failed: Postgres says: division by zero (SQLSTATE 22012)"
    );
    assert_eq!(bench.number("SELECT count(*) FROM colours").await, 1);
    let half = "SELECT count(*) FROM pg_class WHERE relname = 'half'";
    assert_eq!(bench.number(half).await, 0);
}

#[tokio::test]
async fn a_lock_that_is_never_released_is_an_error_and_not_a_hang() {
    let bench = Bench::start().await;
    let (_folder, source) = folder(&[COLOURS]);
    let other = bench.observer().await;
    other.batch_execute("SELECT pg_advisory_lock(x'0074656e666f6c64'::bigint)").await.unwrap();
    let soon = Deadline::after(Duration::from_millis(300));
    let error = bench.database.migrate(&source, soon).await.unwrap_err();
    assert!(matches!(error, MigrateError::Locked { .. }), "{error}");
    drop(other);
    bench.database.migrate(&source, self::soon()).await.unwrap();
}

#[tokio::test]
async fn what_a_newer_program_applied_is_shown_as_unknown() {
    let bench = Bench::start().await;
    let (_folder, newer) = folder(&[COLOURS, INDEX]);
    let (_folder, older) = folder(&[COLOURS]);
    bench.database.migrate(&newer, soon()).await.unwrap();
    let status = bench.database.migration_status(&older, soon()).await.unwrap();
    assert_eq!(status[1].state, MigrationState::Unknown);
    let error = bench.database.revert_migration(&older, soon()).await.unwrap_err();
    assert!(error.to_string().contains("20260102000000"), "{error}");
}
