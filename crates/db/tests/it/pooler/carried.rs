//! Behind a PgBouncer that gives each session the prepared statements of whoever has it.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use futures_util::future::join_all;
use tenfold_db::Pooler;

use super::{
    Pooled, TABLES, Word, copy_in_both_directions, counts, dropped_leave_nothing, many_share, open,
    patient,
};

#[tokio::test]
async fn where_prepared_statements_are_carried_over_they_have_names() {
    let pooled = Pooled::carrying(100).await;
    pooled.batch(TABLES).await;
    let shard = open(&pooled.settings(Pooler::TransactionPrepared)).await.unwrap();
    let db = patient(&shard);
    for _ in 0..3 {
        db.first::<(i64, i64, Word)>(counts::table.find(1_i64)).await.unwrap();
    }
    let statements = diesel::select(diesel::dsl::sql::<BigInt>(
        "(SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%counts%')",
    ));
    assert_eq!(db.first::<i64>(statements).await.unwrap(), 1, "prepared once, under its name");
}

#[tokio::test]
async fn carried_over_statements_of_many_go_through_few_sessions() {
    many_share(&Pooled::carrying(100).await, Pooler::TransactionPrepared).await;
}

/// The pooler prepares anew what it has dropped in one session to make room.
#[tokio::test]
async fn more_statements_than_the_pooler_keeps_are_no_matter() {
    many_share(&Pooled::carrying(2).await, Pooler::TransactionPrepared).await;
}

#[tokio::test]
async fn copy_goes_in_both_directions_where_statements_are_carried_over() {
    if !Pooled::carries() {
        // It hangs up on a COPY that fails outside of a transaction.
        return;
    }
    copy_in_both_directions(&Pooled::carrying(100).await, Pooler::TransactionPrepared).await;
}

#[tokio::test]
async fn what_is_dropped_leaves_nothing_behind_where_statements_are_carried_over() {
    dropped_leave_nothing(&Pooled::carrying(100).await, Pooler::TransactionPrepared).await;
}

/// Each hears what Postgres said to it, and the next finds the session in order.
#[tokio::test]
async fn what_fails_for_one_does_not_fail_for_others() {
    for pooler in [Pooler::Transaction, Pooler::TransactionPrepared] {
        let pooled = Pooled::carrying(4).await;
        pooled.batch(TABLES).await;
        let shard = open(&pooled.settings(pooler)).await.unwrap();
        let db = patient(&shard);
        let one = async |round: usize| {
            let db = if round.is_multiple_of(2) { db.clone() } else { db.exclusive() };
            let missing = format!("SELECT * FROM missing_{}", round % 3);
            match round % 5 {
                0 => db.execute(diesel::sql_query("SELECT 1 / (n - n) FROM counts")).await,
                1 => db.execute(diesel::sql_query(missing)).await,
                2 => {
                    let mood = counts::mood.eq(Word("good".to_owned()));
                    let twice = (counts::id.eq(1), counts::n.eq(1), mood);
                    db.execute(diesel::insert_into(counts::table).values(twice)).await
                }
                _ => db.load::<(i64, i64, Word)>(counts::table).await.map(|rows| rows.len() as u64),
            }
        };
        for _ in 0..10 {
            let outcomes = join_all((0..50).map(one)).await;
            for (round, outcome) in outcomes.into_iter().enumerate() {
                let said = outcome.map_err(|error| match error.postgres() {
                    Some(said) => said.code().to_owned(),
                    None => error.to_string(),
                });
                let expected = match round % 5 {
                    0 => Err("22012"),
                    1 => Err("42P01"),
                    2 => Err("23505"),
                    _ => Ok(10),
                };
                assert_eq!(
                    said.as_ref().map_err(String::as_str),
                    expected.as_ref().map_err(|it| *it)
                );
            }
        }
    }
}

/// A statement that Postgres finds stale in one session is prepared anew in all of them.
#[tokio::test]
async fn a_table_may_change_under_statements_that_are_carried_over() {
    let pooled = Pooled::carrying(100).await;
    pooled.batch(TABLES).await;
    let shard = open(&pooled.settings(Pooler::TransactionPrepared)).await.unwrap();
    let db = patient(&shard);
    let all = || diesel::sql_query("SELECT * FROM counts ORDER BY id");
    for round in 0..5 {
        for db in [db.clone(), db.exclusive()] {
            let together = (0..10).map(|_| async { db.load::<Count>(all()).await });
            for rows in join_all(together).await {
                assert_eq!(rows.unwrap().len(), 10, "round {round}");
            }
        }
        pooled.batch(&format!("ALTER TABLE counts ADD COLUMN more_{round} text")).await;
    }
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    #[expect(dead_code, reason = "that it is there is enough")]
    n: i64,
}
