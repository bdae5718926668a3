//! Nested parts of a transaction: one may fail, or be dropped, without the whole.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use tenfold_db::{Class, Error, Transaction};

use crate::kit::{Bench, Piece, backends, piece, pieces, sleep_ten_seconds};

async fn insert(tx: &Transaction, id: i64) -> Result<u64, Error> {
    let name = format!("piece {id}");
    tx.execute(diesel::insert_into(pieces::table).values(piece(id, &name, 1))).await
}

async fn ids(bench: &Bench) -> Vec<i64> {
    bench.load(pieces::table.select(pieces::id).order(pieces::id)).await.unwrap()
}

/// A budget that no slow machine uses up.
async fn bench() -> Bench {
    Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await
}

#[tokio::test]
async fn a_part_that_fails_is_undone_alone() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |tx| {
            insert(&tx, 1).await?;
            let part: Result<(), Error> = tx
                .nested(async |tx| {
                    insert(&tx, 2).await?;
                    // Fails in Postgres, which then refuses everything until the savepoint.
                    insert(&tx, 1).await?;
                    Ok(())
                })
                .await;
            assert_eq!(part.unwrap_err().class(), Class::Constraint);
            let part: Result<(), Error> = tx
                .nested(async |tx| {
                    insert(&tx, 3).await?;
                    Err(Error::NotFound)
                })
                .await;
            assert!(matches!(part, Err(Error::NotFound)));
            tx.nested(async |tx| insert(&tx, 4).await).await?;
            insert(&tx, 5).await?;
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(ids(&bench).await, [1, 4, 5]);
}

#[tokio::test]
async fn an_error_of_the_whole_undoes_the_parts_that_were_kept() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |tx| {
            tx.nested(async |tx| insert(&tx, 1).await).await?;
            Err(Error::NotFound)
        })
        .await;
    assert!(matches!(outcome, Err(Error::NotFound)));
    assert_eq!(ids(&bench).await, [0_i64; 0]);
}

#[tokio::test]
async fn a_part_that_swallows_an_error_is_not_kept() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |tx| {
            insert(&tx, 1).await?;
            let part: Result<(), Error> = tx
                .nested(async |tx| {
                    insert(&tx, 2).await?;
                    let _swallowed = insert(&tx, 1).await;
                    Ok(())
                })
                .await;
            assert_eq!(part.unwrap_err().class(), Class::Constraint);
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(ids(&bench).await, [1]);
}

#[tokio::test]
async fn parts_nest_in_parts() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |tx| {
            tx.nested(async |tx| {
                insert(&tx, 1).await?;
                let inner: Result<(), Error> = tx
                    .nested(async |tx| {
                        tx.nested(async |tx| insert(&tx, 2).await).await?;
                        Err(Error::NotFound)
                    })
                    .await;
                assert!(inner.is_err());
                insert(&tx, 3).await
            })
            .await?;
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(ids(&bench).await, [1, 3], "what was kept in a part that was undone is undone");
}

#[tokio::test]
async fn a_part_dropped_in_the_middle_of_a_statement_leaves_the_outer_usable() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |tx| {
            insert(&tx, 1).await?;
            let slow = tx.nested(async |tx| {
                insert(&tx, 2).await?;
                tx.load::<bool>(sleep_ten_seconds()).await
            });
            let slow = tokio::time::timeout(Duration::from_millis(100), slow).await;
            assert!(slow.is_err(), "dropped");
            insert(&tx, 3).await?;
            Ok(())
        })
        .await;
    // The budget is as long as what was left running: it has been stopped.
    outcome.unwrap();
    assert_eq!(ids(&bench).await, [1, 3]);
    bench.until(&backends("active"), 0).await;
}

#[tokio::test]
async fn a_part_dropped_last_is_not_committed() {
    let bench = bench().await;
    for running in [false, true] {
        let outcome: Result<(), Error> = bench
            .transaction("outer", async |tx| {
                let part = tx.nested(async |tx| {
                    insert(&tx, 2).await?;
                    // Fails, and nobody is there to hear of it.
                    if running {
                        let _: Vec<bool> = tx.load(sleep_ten_seconds()).await?;
                    }
                    std::future::pending::<Result<(), Error>>().await
                });
                let _dropped = tokio::time::timeout(Duration::from_millis(100), part).await;
                Ok(())
            })
            .await;
        outcome.unwrap();
        assert_eq!(ids(&bench).await, [0_i64; 0]);
    }
    let in_use = bench.metric("tenfold_db_pool_connections{state=\"used\"}");
    assert_eq!(in_use, 0.0, "the connection came back clean");
}

#[tokio::test]
async fn a_part_dropped_before_anything_was_sent_leaves_the_outer_usable() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |tx| {
            for _ in 0..20 {
                let part = tx.nested(async |tx| insert(&tx, 2).await);
                tokio::select! { biased; () = std::future::ready(()) => {} _ = part => {} }
            }
            for _ in 0..20 {
                let part = tx.nested(async |_| std::future::pending::<Result<(), Error>>().await);
                let _dropped = tokio::time::timeout(Duration::from_millis(5), part).await;
                insert(&tx, 1).await?;
                tx.execute(diesel::delete(pieces::table)).await?;
            }
            insert(&tx, 3).await?;
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(ids(&bench).await, [3]);
}

#[tokio::test]
async fn a_handle_refuses_when_it_is_not_its_turn() {
    let bench = bench().await;
    let outcome: Result<(), Error> = bench
        .transaction("outer", async |outer| {
            let inner = outer
                .nested(async |inner| {
                    let error = insert(&outer, 1).await.unwrap_err();
                    assert!(matches!(error, Error::TransactionParts { .. }), "{error}");
                    let error = outer.nested(async |tx| insert(&tx, 1).await).await.unwrap_err();
                    assert!(matches!(error, Error::TransactionParts { .. }), "{error}");
                    insert(&inner, 2).await?;
                    Ok::<_, Error>(inner)
                })
                .await?;
            let error = insert(&inner, 3).await.unwrap_err();
            assert!(matches!(error, Error::TransactionOver { .. }), "{error}");
            // Two parts at once are none: each would contain statements of the other.
            let (one, other) = tokio::join!(
                outer.nested(async |tx| insert(&tx, 4).await),
                outer.nested(async |tx| insert(&tx, 5).await),
            );
            assert!(one.is_ok(), "{one:?}");
            assert!(matches!(other, Err(Error::TransactionParts { .. })), "{other:?}");
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(ids(&bench).await, [2, 4]);
}

#[tokio::test]
async fn a_conflict_in_a_part_begins_the_whole_again() {
    let bench = bench().await;
    bench.insert(&[piece(1, "lamp", 0)]).await;
    let begun = AtomicU32::new(0);
    let outcome: Result<(), Error> = bench
        .begin("conflicts")
        .repeatable_read()
        .run(async |tx| {
            let first_try = begun.fetch_add(1, Ordering::SeqCst) == 0;
            let seen: Piece = tx.first(pieces::table.find(1)).await?;
            if first_try {
                bench.batch("UPDATE pieces SET stock = 10").await;
            }
            tx.nested(async |tx| {
                let query = diesel::update(pieces::table.find(1));
                tx.execute(query.set(pieces::stock.eq(seen.stock + 1))).await
            })
            .await?;
            Ok(())
        })
        .await;
    outcome.unwrap();
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    assert_eq!(bench.number("SELECT stock::bigint FROM pieces").await, 11);
}

#[tokio::test]
async fn an_error_of_ones_own_after_a_swallowed_conflict_is_not_tried_again() {
    let bench = bench().await;
    bench.insert(&[piece(1, "lamp", 0), piece(2, "chair", 0)]).await;
    let begun = AtomicU32::new(0);
    let outcome: Result<(), Error> = bench
        .begin("swallows")
        .repeatable_read()
        .run(async |tx| {
            begun.fetch_add(1, Ordering::SeqCst);
            let _: Piece = tx.first(pieces::table.find(1)).await?;
            bench.batch("UPDATE pieces SET stock = 10 WHERE id = 1").await;
            let add = |id: i64| diesel::update(pieces::table.find(id)).set(pieces::stock.eq(1));
            let part = tx.nested(async |tx| tx.execute(add(1)).await).await;
            assert_eq!(part.unwrap_err().class(), Class::Conflict);
            tx.execute(add(2)).await?;
            Err(Error::NotFound)
        })
        .await;
    assert!(matches!(outcome, Err(Error::NotFound)), "{outcome:?}");
    assert_eq!(begun.load(Ordering::SeqCst), 1);
}
