//! Work of a transaction that waits for something else is told where, once, in debug builds.

use diesel::prelude::*;
use futures_util::TryStreamExt;
use tenfold_db::{Db, Error};

use crate::kit::{Bench, Piece, piece, pieces};
use crate::warnings::Warnings;

async fn count(db: &Db) -> Result<i64, Error> {
    db.first(pieces::table.count()).await
}

/// What the stream looks up by itself has no place that would help anybody.
#[tokio::test]
async fn a_stream_is_named_with_the_place_where_it_was_asked_for() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let warnings = Warnings::default();
    let _logging = tracing::subscriber::set_default(warnings.clone());
    let by_key = || {
        let chunk = |after: Option<i64>| {
            let pieces = pieces::table.filter(pieces::id.gt(after.unwrap_or(0)));
            pieces.order(pieces::id).limit(10)
        };
        bench.stream_by_key(chunk, |piece: &Piece| piece.id)
    };
    let outcome: Result<(), Error> = bench
        .transaction("streams", async |tx| {
            let _: i64 = tx.first(pieces::table.count()).await?;
            assert_eq!(by_key().try_collect::<Vec<_>>().await?.len(), 1);
            let stream = bench.stream::<Piece, _>(pieces::table);
            assert_eq!(stream.try_collect::<Vec<_>>().await?.len(), 1);
            Ok(())
        })
        .await;
    outcome.unwrap();
    let warnings = warnings.about("transaction");
    let expected = if cfg!(debug_assertions) { 2 } else { 0 };
    assert_eq!(warnings.len(), expected, "{warnings:?}");
    for warning in &warnings {
        assert!(warning.contains("transaction=\"streams\""), "{warning}");
        assert!(warning.contains("waits_for=\"a stream\""), "{warning}");
        assert!(warning.contains("tests/it/aside.rs:"), "{warning}");
    }
}

#[tokio::test]
async fn what_it_waits_for_is_named_with_its_place_once() {
    let bench = Bench::start().await;
    let warnings = Warnings::default();
    let _logging = tracing::subscriber::set_default(warnings.clone());
    count(&bench).await.unwrap();
    for _ in 0..2 {
        let outcome: Result<(), Error> = bench
            .transaction("mixes", async |tx| {
                let _: i64 = tx.first(pieces::table.count()).await?;
                count(&bench).await?;
                bench.exclusive().execute(diesel::sql_query("SELECT 1")).await?;
                bench.transaction("within", async |_tx| Ok::<_, Error>(())).await?;
                tx.nested(async |tx| tx.first::<i64>(pieces::table.count()).await).await?;
                Ok(())
            })
            .await;
        outcome.unwrap();
    }
    let warnings = warnings.about("transaction");
    let expected = if cfg!(debug_assertions) { 3 } else { 0 };
    assert_eq!(warnings.len(), expected, "{warnings:?}");
    for warning in &warnings {
        assert!(warning.contains("transaction=\"mixes\""), "{warning}");
        assert!(warning.contains("tests/it/aside.rs:"), "{warning}");
    }
    if cfg!(debug_assertions) {
        assert!(warnings[0].contains("waits_for=\"a statement outside of it\""), "{warnings:?}");
        assert!(warnings[2].contains("waits_for=\"another transaction\""), "{warnings:?}");
    }
}
