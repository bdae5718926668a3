//! Work of a transaction that waits for something else is told where, once, in debug builds.

use diesel::prelude::*;
use tenfold_db::{Db, Error};

use crate::kit::{Bench, pieces};
use crate::warnings::Warnings;

async fn count(db: &Db) -> Result<i64, Error> {
    db.first(pieces::table.count()).await
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
