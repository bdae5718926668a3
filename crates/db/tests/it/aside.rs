//! Work of a transaction that waits for something else is told where, once, in debug builds.

use std::sync::{Arc, Mutex};

use diesel::prelude::*;
use tenfold_db::{Db, Error};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::kit::{Bench, pieces};

/// Keeps the warnings about transactions, a line each.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        if line.0.contains("transaction") {
            self.0.lock().unwrap().push(line.0);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

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
    let warnings = warnings.0.lock().unwrap();
    let expected = if cfg!(debug_assertions) { 3 } else { 0 };
    assert_eq!(warnings.len(), expected, "{warnings:?}");
    for warning in warnings.iter() {
        assert!(warning.contains("transaction=\"mixes\""), "{warning}");
        assert!(warning.contains("tests/it/aside.rs:"), "{warning}");
    }
    if cfg!(debug_assertions) {
        assert!(warnings[0].contains("waits_for=\"a statement outside of it\""), "{warnings:?}");
        assert!(warnings[2].contains("waits_for=\"another transaction\""), "{warnings:?}");
    }
}
