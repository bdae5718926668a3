//! Transactions: all or nothing, within their budget, tried again only when that is sound.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use futures_util::future::join_all;
use tenfold_db::{Class, Db, Error};

use crate::kit::{Bench, Piece, backends, piece, pieces, sales};

/// A handler's error, to see that any will do.
#[derive(Debug)]
enum Refused {
    SoldOut,
    Database { _cause: Error },
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Database { _cause: error }
    }
}

async fn buy(db: &Db, id: i64) -> Result<i64, Refused> {
    db.transaction("buy", async |tx| {
        let reserve = diesel::update(pieces::table.find(id))
            .filter(pieces::stock.ge(1))
            .set(pieces::stock.eq(pieces::stock - 1))
            .returning(pieces::stock);
        let _left: i32 = tx.optional(reserve).await?.ok_or(Refused::SoldOut)?;
        let sale = (sales::piece_id.eq(id), sales::quantity.eq(1));
        let sale_id =
            tx.first(diesel::insert_into(sales::table).values(sale).returning(sales::id)).await?;
        Ok(sale_id)
    })
    .await
}

#[tokio::test]
async fn never_sells_more_than_there_is() {
    let bench = Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await;
    bench.insert(&[piece(1, "lamp", 10)]).await;
    let tried = join_all((0..100).map(|_| buy(&bench, 1))).await;
    let sold_out = tried.iter().filter(|tried| matches!(tried, Err(Refused::SoldOut))).count();
    assert_eq!(tried.iter().filter(|tried| tried.is_ok()).count(), 10, "{tried:?}");
    assert_eq!(sold_out, 90);
    assert_eq!(bench.number("SELECT count(*) FROM sales").await, 10);
    assert_eq!(bench.number("SELECT stock::bigint FROM pieces").await, 0);
}

#[tokio::test]
async fn an_error_undoes_everything() {
    let bench = Bench::start().await;
    let outcome: Result<(), Refused> = bench
        .transaction("undone", async |tx| {
            tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1))).await?;
            Err(Refused::SoldOut)
        })
        .await;
    assert!(matches!(outcome, Err(Refused::SoldOut)));
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap(), []);
}

#[tokio::test]
async fn a_swallowed_error_is_not_reported_as_a_commit() {
    let bench = Bench::start().await;
    let outcome: Result<(), Error> = bench
        .transaction("swallows", async |tx| {
            tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1))).await?;
            let _swallowed =
                tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1))).await;
            Ok(())
        })
        .await;
    assert_eq!(outcome.unwrap_err().class(), Class::Constraint);
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap(), []);
}

#[tokio::test]
async fn over_budget_it_is_rolled_back_and_says_where_the_time_went() {
    let bench =
        Bench::with(|settings| settings.transaction_budget = Duration::from_millis(100)).await;
    let outcome: Result<(), Error> = bench
        .transaction("dawdles", async |tx| {
            tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1))).await?;
            tokio::time::sleep(Duration::from_secs(10)).await;
            Ok(())
        })
        .await;
    let error = outcome.unwrap_err();
    let text = error.to_string();
    let Error::OverBudget { transaction: "dawdles", spent, .. } = error else { panic!("{error}") };
    assert!(spent.idle > spent.in_statements, "{spent:?}");
    assert!(text.contains("\"dawdles\"") && text.contains("ms idle in transaction"), "{text}");
    bench.until(&backends("idle in transaction"), 0).await;
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap(), []);
}

#[tokio::test]
async fn a_deadlock_is_tried_again() {
    let bench = Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await;
    bench.insert(&[piece(1, "lamp", 0), piece(2, "chair", 0)]).await;
    let both_have_one = tokio::sync::Barrier::new(2);
    let begun = AtomicU32::new(0);
    let (bench, both_have_one, begun) = (&bench, &both_have_one, &begun);
    let add_to = async |first: i64, second: i64| {
        bench
            .transaction("crosses", async |tx| {
                let add = |id: i64| {
                    diesel::update(pieces::table.find(id)).set(pieces::stock.eq(pieces::stock + 1))
                };
                tx.execute(add(first)).await?;
                if begun.fetch_add(1, Ordering::SeqCst) < 2 {
                    both_have_one.wait().await;
                }
                tx.execute(add(second)).await?;
                Ok::<_, Error>(())
            })
            .await
    };
    let (one, other) = tokio::join!(add_to(1, 2), add_to(2, 1));
    one.unwrap();
    other.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 3, "one of the two was begun again");
    assert_eq!(bench.number("SELECT sum(stock) FROM pieces").await, 4);
    assert_eq!(
        bench.metric(
            "tenfold_db_transaction_retries_total{reason=\"deadlock\",transaction=\"crosses\"}"
        ),
        1.0
    );
}

#[tokio::test]
async fn a_commit_that_broke_is_unknown_and_not_tried_again() {
    let bench = Bench::start().await;
    // A constraint that is checked at COMMIT and then kills its own connection.
    bench
        .batch(
            "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON sales
               DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die()",
        )
        .await;
    bench.insert(&[piece(1, "lamp", 1)]).await;
    let begun = AtomicU32::new(0);
    let outcome: Result<(), Error> = bench
        .transaction("unknown", async |tx| {
            begun.fetch_add(1, Ordering::SeqCst);
            let sale = (sales::piece_id.eq(1), sales::quantity.eq(1));
            tx.execute(diesel::insert_into(sales::table).values(sale)).await?;
            Ok(())
        })
        .await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::CommitUnknown { transaction: "unknown", .. }), "{error}");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}

/// Handlers have to be `Send`, and an async closure is where that breaks first.
#[tokio::test]
async fn a_transaction_may_move_between_threads() {
    fn send<F: Future + Send>(future: F) -> F {
        future
    }
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    assert!(send(buy(&bench, 1)).await.is_ok());
    let name = "lamp".to_owned();
    let borrows = bench.transaction("borrows", async |tx| {
        let found: Option<Piece> =
            tx.optional(pieces::table.filter(pieces::name.eq(&name))).await?;
        Ok::<_, Error>(found.map(|piece| piece.stock + i32::try_from(name.len()).unwrap()))
    });
    assert_eq!(send(borrows).await.unwrap(), Some(4 + 4));
    assert_eq!(send(bench.load::<Piece>(pieces::table.into_boxed())).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_handle_kept_beyond_the_end_refuses() {
    let bench = Bench::start().await;
    let kept = bench.transaction("kept", async |tx| Ok::<_, Error>(tx)).await.unwrap();
    let insert = diesel::insert_into(pieces::table).values(piece(1, "lamp", 1));
    let error = kept.execute(insert).await.unwrap_err();
    assert!(matches!(error, Error::TransactionOver { transaction: "kept" }), "{error}");
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap(), []);
}

#[tokio::test]
async fn a_statement_that_was_dropped_unread_is_not_committed_over() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 10)]).await;
    let outcome: Result<(), Error> = bench
        .transaction("impatient", async |tx| {
            tx.execute(diesel::insert_into(pieces::table).values(piece(2, "two", 1))).await?;
            // It fails, and nobody is there to hear of it.
            let twice = tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1)));
            tokio::select! { biased; _ = twice => {} () = tokio::task::yield_now() => {} }
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::TransactionOver { .. })), "{outcome:?}");
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 1);
}

#[tokio::test]
async fn a_handle_that_is_kept_keeps_no_connection() {
    let bench = Bench::with(|settings| (settings.pool_max, settings.streams_max) = (2, 1)).await;
    let kept = std::sync::Mutex::new(Vec::new());
    for _ in 0..4 {
        let keep = async |tx| -> Result<(), Error> {
            kept.lock().unwrap().push(tx);
            Ok(())
        };
        bench.transaction("kept", keep).await.unwrap();
    }
}

#[tokio::test]
async fn a_statement_elsewhere_does_not_outlive_its_transaction() {
    let bench = Bench::start().await;
    let outcome: Result<(), Error> = bench
        .transaction("elsewhere", async |tx| {
            tokio::spawn(async move { tx.execute(diesel::sql_query("SELECT pg_sleep(60)")).await });
            tokio::time::sleep(Duration::from_millis(50)).await;
            Ok(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::TransactionOver { .. })), "{outcome:?}");
    bench.until(&backends("active"), 0).await;
}
