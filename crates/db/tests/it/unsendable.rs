//! What cannot be sent is the mistake of whoever asks, and disturbs nobody else.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool};
use tenfold_db::{Class, Db, Error};

use crate::kit::{Bench, Piece, backends, piece, pieces};

#[derive(Debug, QueryableByName)]
struct Length {
    #[diesel(sql_type = BigInt)]
    length: i64,
}

/// What comes back is a mistake; who is in flight on the same connection does not notice, and the
/// connection stays.
async fn check<T>(bench: &Bench, ask: impl AsyncFn(&Db) -> Result<T, Error>) {
    const PIDS: &str = "SELECT coalesce(sum(pid), 0)::bigint FROM pg_stat_activity
        WHERE application_name = 'test'";
    let find = || pieces::table.find(1_000_000);
    bench.exclusive().first::<Piece>(find()).await.unwrap();
    bench.first::<Piece>(find()).await.unwrap();
    let before = bench.number(PIDS).await;
    let sleep = diesel::select(diesel::dsl::sql::<Bool>("pg_sleep(0.3) IS NULL"));
    let db = (**bench).clone();
    let asleep = tokio::spawn(async move { db.first::<bool>(sleep).await });
    bench.until(&backends("active"), 1).await;
    for db in [(**bench).clone(), bench.exclusive()] {
        let Err(error) = ask(&db).await else { panic!("it was sent") };
        assert_eq!(error.class(), Class::Mistake, "{error}");
        db.first::<Piece>(find()).await.unwrap();
    }
    assert!(!asleep.await.unwrap().unwrap());
    assert_eq!(bench.number(PIDS).await, before, "the connections are the same");
    for reason in ["connection_lost", "moved", "lock"] {
        let series = format!("tenfold_db_statements_again_total{{reason=\"{reason}\"}}");
        assert_eq!(bench.metric(&series), 0.0, "{reason}");
    }
}

async fn bench() -> Bench {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    bench.insert(&[piece(1_000_000, "lamp", 5)]).await;
    bench
}

#[tokio::test]
async fn more_values_than_there_may_be() {
    let bench = bench().await;
    let rows = || (0..30_000).map(|number| piece(number, "x", 1)).collect::<Vec<_>>();
    check(&bench, async |db| db.execute(diesel::insert_into(pieces::table).values(rows())).await)
        .await;
    let begun = bench.begin("many").budget(Duration::from_secs(10));
    let error: Error = begun
        .run(async |tx| tx.execute(diesel::insert_into(pieces::table).values(rows())).await)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Mistake, "{error}");
}

#[tokio::test]
async fn a_zero_byte_in_the_text() {
    let bench = bench().await;
    check(&bench, async |db| db.execute(diesel::sql_query("SELECT 1 \0")).await).await;
}

#[tokio::test]
async fn values_that_are_larger_together_than_a_message() {
    let bench = bench().await;
    // Never touched, so that it takes next to no memory.
    let huge = vec![0_u8; 1 << 29];
    check(&bench, async |db| {
        let lengths = diesel::sql_query("SELECT length($1)::bigint + length($2) AS length");
        let lengths = lengths.bind::<Binary, _>(&huge[..]).bind::<Binary, _>(&huge[..]);
        db.load::<Length>(lengths).await.map(|lengths| lengths[0].length)
    })
    .await;
}
