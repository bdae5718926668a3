//! Whoever comes next finds the session as the first one did, whatever was done to it.

use bytes::Bytes;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use futures_util::{TryStreamExt, stream};
use tenfold_db::{Class, Error};

use crate::kit::Bench;

async fn bench() -> Bench {
    Bench::with(|settings| settings.pool_max = 1).await
}

fn returned(bench: &Bench, state: &str) -> f64 {
    bench.metric(&format!("tenfold_db_pool_returned_total{{state=\"{state}\"}}"))
}

fn connects(bench: &Bench) -> f64 {
    bench.metric("tenfold_db_pool_connects_total{outcome=\"success\"}")
}

/// What Postgres says to an expression on the only connection of the pool.
async fn says(bench: &Bench, expression: &str) -> String {
    let query = diesel::select(diesel::dsl::sql::<Text>(expression));
    bench.exclusive().first::<String>(query).await.unwrap()
}

#[tokio::test]
async fn what_was_set_locked_made_or_listened_to_is_undone() {
    let bench = bench().await;
    let work_mem = says(&bench, "current_setting('work_mem')").await;
    let idle_limit = "current_setting('idle_in_transaction_session_timeout')";
    let idle_max = says(&bench, idle_limit).await;
    assert_ne!(idle_max, "0");
    let own_locks = "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory')::text";
    let channels = "(SELECT count(*) FROM pg_listening_channels())::text";
    let temporary = "(SELECT coalesce(to_regclass('pg_temp.notes')::text, 'none'))";
    let cursors = "(SELECT count(*) FROM pg_cursors WHERE name = 'kept')::text";
    for (sql, expression, clean) in [
        ("SET work_mem = '77MB'", "current_setting('work_mem')", work_mem.as_str()),
        ("SET idle_in_transaction_session_timeout = 0", idle_limit, idle_max.as_str()),
        ("SET ROLE pg_read_all_data", "current_user::text", "postgres"),
        ("LISTEN news", channels, "0"),
        ("CREATE TEMP TABLE notes (note text)", temporary, "none"),
        ("CREATE TABLE pg_temp.notes (note text)", temporary, "none"),
        ("SELECT 'a' AS note INTO TABLE pg_temp.notes", temporary, "none"),
        (
            "UPDATE pg_settings SET setting = '79000' WHERE name = 'work_mem'",
            "current_setting('work_mem')",
            work_mem.as_str(),
        ),
        ("DECLARE kept CURSOR WITH HOLD FOR SELECT 1", cursors, "0"),
        (
            "DO $$ BEGIN PERFORM set_config('work_mem', '77MB', false); END $$",
            "current_setting('work_mem')",
            work_mem.as_str(),
        ),
    ] {
        let before = returned(&bench, "session_changed");
        bench.exclusive().execute(diesel::sql_query(sql)).await.unwrap();
        assert_eq!(says(&bench, expression).await, clean, "{sql}");
        assert_eq!(returned(&bench, "session_changed"), before + 1.0, "{sql}");
    }
    let copies = bench.copy_out("COPY (SELECT set_config('work_mem', '80MB', false)) TO STDOUT");
    assert_eq!(copies.try_collect::<Vec<_>>().await.unwrap(), ["80MB\n"]);
    assert_eq!(says(&bench, "current_setting('work_mem')").await, work_mem);
    let into = "COPY pieces FROM STDIN WHERE set_config('work_mem', '81MB', false) <> ''";
    let row = stream::iter([Bytes::from("1\tlamp\t5\t\\N\n")]);
    assert_eq!(bench.copy_in(into, row).await.unwrap(), 1);
    assert_eq!(says(&bench, "current_setting('work_mem')").await, work_mem);

    let lock = diesel::select(diesel::dsl::sql::<Bool>("pg_advisory_lock(7) IS NULL"));
    bench.exclusive().load::<bool>(lock).await.unwrap();
    assert_eq!(says(&bench, own_locks).await, "0");

    // In a transaction that is committed, and in one that is rolled back.
    for fails in [false, true] {
        let outcome = bench.transaction("sets", async |tx| {
            tx.execute(diesel::sql_query("SET work_mem = '78MB'")).await?;
            if fails { Err(Error::NotFound) } else { Ok(()) }
        });
        assert_eq!(outcome.await.is_err(), fails);
        assert_eq!(says(&bench, "current_setting('work_mem')").await, work_mem);
    }
    assert_eq!(connects(&bench), 1.0, "all of it on one connection");
}

#[tokio::test]
async fn what_is_prepared_outlives_the_cleaning() {
    let bench = bench().await;
    let one = || diesel::select(1_i32.into_sql::<diesel::sql_types::Integer>());
    assert_eq!(bench.exclusive().first::<i32>(one()).await.unwrap(), 1);
    bench.exclusive().execute(diesel::sql_query("SET work_mem = '77MB'")).await.unwrap();
    assert_eq!(bench.exclusive().first::<i32>(one()).await.unwrap(), 1);
    assert_eq!(connects(&bench), 1.0);
}

#[tokio::test]
async fn what_cannot_be_undone_ends_the_session() {
    let bench = bench().await;
    bench.exclusive().execute(diesel::sql_query("PREPARE mine AS SELECT 1")).await.unwrap();
    let prepared = "(SELECT count(*) FROM pg_prepared_statements WHERE name = 'mine')::text";
    assert_eq!(says(&bench, prepared).await, "0");
    assert_eq!(connects(&bench), 2.0);
}

#[tokio::test]
async fn what_ends_with_the_transaction_costs_nothing() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("tenant", async |tx| {
            tx.execute(diesel::sql_query("SET LOCAL work_mem = '77MB'")).await?;
            let set = "set_config('app.tenant', 'x', true)";
            let tenant: String = tx.first(diesel::select(diesel::dsl::sql::<Text>(set))).await?;
            assert_eq!(tenant, "x");
            let lock = "pg_try_advisory_xact_lock(7)";
            tx.first::<bool>(diesel::select(diesel::dsl::sql::<Bool>(lock))).await?;
            let table = "CREATE TEMP TABLE brief (n int) ON COMMIT DROP";
            tx.execute(diesel::sql_query(table)).await?;
            tx.execute(diesel::sql_query("DECLARE brief CURSOR FOR SELECT 1")).await?;
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(returned(&bench, "session_changed"), 0.0);
    assert_eq!(returned(&bench, "clean"), 2.0, "that of the start, and this one");
}

#[tokio::test]
async fn the_session_of_others_cannot_be_changed() {
    let bench = bench().await;
    for sql in ["SET work_mem = '77MB'", "LISTEN news", "SELECT pg_advisory_lock(7)"] {
        let error = bench.execute(diesel::sql_query(sql)).await.unwrap_err();
        assert_eq!(error.class(), Class::Mistake, "{error}");
        assert!(error.to_string().contains("shared lane"), "{error}");
    }
    // It is about what the words do, not about the words.
    let text = diesel::select(diesel::dsl::sql::<Text>("'SET x; pg_advisory_lock(7)'"));
    assert!(bench.first::<String>(text).await.is_ok());
    assert_eq!(bench.number("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").await, 0);
}
