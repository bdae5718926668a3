//! What a transaction may ask for: isolation, read only, deferrable, a budget of its own; and how
//! often it is begun again when it loses.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Text;
use futures_util::future::join_all;
use tenfold_config::{Known, Layers, Setting};
use tenfold_db::{Class, DatabaseSettings, Error, NamedBudget, Transaction};

use crate::kit::{Bench, Piece, piece, pieces, sleep_ten_seconds};

async fn setting(tx: &Transaction, name: &str) -> Result<String, Error> {
    let sql = format!("current_setting('{name}')");
    tx.first::<String>(diesel::select(diesel::dsl::sql::<Text>(&sql))).await
}

async fn promises(tx: &Transaction) -> Result<[String; 3], Error> {
    Ok([
        setting(tx, "transaction_isolation").await?,
        setting(tx, "transaction_read_only").await?,
        setting(tx, "transaction_deferrable").await?,
    ])
}

#[tokio::test]
async fn it_is_as_it_was_asked_for() {
    let bench = Bench::start().await;
    let begin = || bench.begin("asks").budget(Duration::from_secs(10));
    for (begin, promised) in [
        (begin(), ["read committed", "off", "off"]),
        (begin().read_committed(), ["read committed", "off", "off"]),
        (begin().repeatable_read(), ["repeatable read", "off", "off"]),
        (begin().serializable(), ["serializable", "off", "off"]),
        (begin().read_only(), ["read committed", "on", "off"]),
        (begin().repeatable_read().read_only(), ["repeatable read", "on", "off"]),
        (begin().deferrable(), ["serializable", "on", "on"]),
    ] {
        assert_eq!(begin.run(async |tx| promises(&tx).await).await.unwrap(), promised);
    }
    // It was for one transaction, not for the connection.
    let then = bench.transaction("short", async |tx| promises(&tx).await).await;
    assert_eq!(then.unwrap(), ["read committed", "off", "off"]);
}

#[tokio::test]
async fn read_only_refuses_to_write() {
    let bench = Bench::start().await;
    let insert = diesel::insert_into(pieces::table).values(piece(1, "lamp", 1));
    let outcome: Result<u64, Error> =
        bench.begin("reads").read_only().run(async |tx| tx.execute(insert.clone()).await).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.postgres().unwrap().code(), "25006", "{error}");
    assert_eq!(error.class(), Class::Mistake);
}

#[tokio::test]
async fn a_budget_is_its_own_or_the_settings() {
    let bench = Bench::with(|settings| {
        settings.transaction_budgets = vec![NamedBudget::from_text("named=100ms").unwrap()];
        settings.transaction_budget = Duration::from_millis(200);
    })
    .await;
    for (name, own, budget) in [
        ("other", None, Duration::from_millis(200)),
        ("other", Some(Duration::from_millis(50)), Duration::from_millis(50)),
        ("named", None, Duration::from_millis(100)),
        ("named", Some(Duration::from_secs(60)), Duration::from_millis(100)),
    ] {
        let begin = bench.begin(name);
        let begin = if let Some(own) = own { begin.budget(own) } else { begin };
        let outcome = begin.run(async |_tx| std::future::pending::<Result<(), Error>>().await);
        let error = outcome.await.unwrap_err();
        let Error::OverBudget { budget: used, spent, .. } = &error else { panic!("{error}") };
        assert_eq!(*used, budget, "{error}");
        assert!(spent.open() >= budget && spent.tries == 1, "{error}");
    }
}

#[test]
fn budgets_by_name_are_settings() {
    let load = |flag: &str| {
        let mut known = Known::new();
        known.section::<DatabaseSettings>();
        known.load(&Layers::new().flags([flag]))
    };
    let config = load("database.transaction_budgets=close month=5s, import=1m").unwrap();
    let budgets = config.get::<DatabaseSettings>().transaction_budgets;
    assert_eq!(budgets.len(), 2);
    assert_eq!(budgets[0].transaction, "close month");
    assert_eq!(budgets[1].budget, Duration::from_secs(60));
    for (wrong, why) in [
        ("a=1s, b", "a transaction's name and its budget"),
        ("a=1s, b=1s, a=2s", "names \"a\" twice"),
        ("a=2h", "gives \"a\" a budget that is not from 1 ms to 1 h"),
    ] {
        let errors = load(&format!("database.transaction_budgets={wrong}")).unwrap_err();
        assert!(errors.to_string().contains(why), "{errors}");
    }
}

#[tokio::test]
async fn postgres_lets_it_idle_for_as_long_as_its_budget() {
    let bench = Bench::start().await;
    let idle_max =
        async |tx: Transaction| setting(&tx, "idle_in_transaction_session_timeout").await;
    let long = bench.begin("long").budget(Duration::from_secs(60)).run(idle_max).await;
    assert_eq!(long.unwrap(), "4min");
    assert_eq!(bench.transaction("short", idle_max).await.unwrap(), "10s");
}

#[tokio::test]
async fn time_in_a_statement_that_was_cut_off_is_time_in_statements() {
    let bench = Bench::start().await;
    let slow = async |tx: Transaction| tx.load::<bool>(sleep_ten_seconds()).await;
    let error = bench.begin("slow").run(slow).await.unwrap_err();
    let Error::OverBudget { spent, .. } = &error else { panic!("{error}") };
    assert!(spent.in_statements > spent.idle, "{error}");
}

#[tokio::test]
async fn the_wait_for_a_connection_is_named_and_not_counted() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let hold = bench.begin("holds").budget(Duration::from_secs(10)).run(async |_tx| {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok::<_, Error>(())
    });
    let late =
        bench.transaction("late", async |_tx| std::future::pending::<Result<(), Error>>().await);
    let (held, late) = tokio::join!(hold, late);
    held.unwrap();
    let error = late.unwrap_err();
    let Error::OverBudget { spent, budget, .. } = &error else { panic!("{error}") };
    // The budget is shorter than the wait was, and it had all of it.
    assert!(spent.waiting >= Duration::from_millis(300), "{error}");
    assert!(spent.open() >= *budget, "{error}");
    assert!(error.to_string().contains("ms waiting for a connection"), "{error}");
}

#[tokio::test]
async fn a_deadline_before_the_budget_says_so() {
    let bench = Bench::start().await;
    let db = bench.patient(Duration::from_millis(100));
    let begin = db.begin("late").budget(Duration::from_secs(10));
    let outcome = begin.run(async |_tx| std::future::pending::<Result<(), Error>>().await).await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::TransactionLate { transaction: "late", .. }), "{error}");
    assert_eq!(error.class(), Class::TooSlow);
}

#[tokio::test]
async fn a_storm_of_conflicts_ends_with_all_done_or_refused_by_name() {
    let bench = Bench::with(|settings| {
        settings.transaction_budget = Duration::from_secs(10);
        settings.transaction_retries_max = 5;
    })
    .await;
    bench.insert(&[piece(1, "lamp", 0)]).await;
    let increment = async || {
        let begin = bench.begin("increment").serializable();
        begin
            .run(async |tx| {
                let piece: Piece = tx.first(pieces::table.find(1)).await?;
                let query = diesel::update(pieces::table.find(1));
                tx.execute(query.set(pieces::stock.eq(piece.stock + 1))).await
            })
            .await
    };
    let outcomes: Vec<Result<u64, Error>> = join_all((0..50).map(|_| increment())).await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    for outcome in &outcomes {
        let Err(error) = outcome else { continue };
        let Error::Contended { transaction: "increment", spent, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(spent.tries, 6, "{error}");
        assert_eq!(error.class(), Class::Conflict);
        assert_eq!(error.postgres().unwrap().code(), "40001", "{error}");
    }
    let stock = bench.number("SELECT stock::bigint FROM pieces").await;
    assert_eq!(usize::try_from(stock).unwrap(), done, "each that was done was done once");
    assert!(done >= 5, "{done} of 50");
    let retries = bench.metric(
        "tenfold_db_transaction_retries_total{reason=\"serialization\",transaction=\"increment\"}",
    );
    println!("{done} of 50 done, {retries} retries");
    assert!(retries >= 1.0);
}

#[tokio::test]
async fn none_is_begun_again_that_must_not_be() {
    let bench = Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await;
    bench.insert(&[piece(1, "lamp", 0)]).await;
    let begun = AtomicU32::new(0);
    let outcome: Result<u64, Error> = bench
        .begin("once")
        .repeatable_read()
        .retries_max(0)
        .run(async |tx| {
            begun.fetch_add(1, Ordering::SeqCst);
            let _: Piece = tx.first(pieces::table.find(1)).await?;
            bench.batch("UPDATE pieces SET stock = stock + 1").await;
            tx.execute(diesel::update(pieces::table.find(1)).set(pieces::stock.eq(9))).await
        })
        .await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Contended { transaction: "once", .. }), "{error}");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn tries_end_with_the_budget_of_them_all() {
    let bench = Bench::with(|settings| settings.transaction_retries_max = 100).await;
    bench.insert(&[piece(1, "lamp", 0)]).await;
    let outcome: Result<u64, Error> = bench
        .begin("loses")
        .repeatable_read()
        .budget(Duration::from_millis(500))
        .run(async |tx| {
            let _: Piece = tx.first(pieces::table.find(1)).await?;
            bench.batch("UPDATE pieces SET stock = stock + 1").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            tx.execute(diesel::update(pieces::table.find(1)).set(pieces::stock.eq(0))).await
        })
        .await;
    let error = outcome.unwrap_err();
    let (Error::OverBudget { spent, .. } | Error::Contended { spent, .. }) = &error else {
        panic!("{error}")
    };
    assert!((2..=10).contains(&spent.tries), "{error}");
}

#[tokio::test]
async fn a_deadlock_ends_with_the_budget_where_postgres_is_slower_to_see_it() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 0), piece(2, "chair", 0)]).await;
    let both_have_one = tokio::sync::Barrier::new(2);
    let add_to = async |first: i64, second: i64| -> Result<(), Error> {
        bench
            .transaction("crosses", async |tx| {
                let add = |id: i64| {
                    diesel::update(pieces::table.find(id)).set(pieces::stock.eq(pieces::stock + 1))
                };
                tx.execute(add(first)).await?;
                both_have_one.wait().await;
                tx.execute(add(second)).await?;
                Ok(())
            })
            .await
    };
    let (one, other) = tokio::join!(add_to(1, 2), add_to(2, 1));
    assert!(one.is_err() || other.is_err());
    for error in [one.err(), other.err()].into_iter().flatten() {
        let Error::OverBudget { spent, .. } = &error else { panic!("{error}") };
        assert!(spent.in_statements > spent.idle, "{error}");
    }
    bench.until("SELECT count(*) FROM pg_locks WHERE relation = 'pieces'::regclass", 0).await;
}
