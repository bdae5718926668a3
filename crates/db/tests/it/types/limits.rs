//! What a type cannot hold is refused by name, and the connection is as good as before.

use bigdecimal::BigDecimal;
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use diesel::dsl::sql;
use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{
    Array, BigInt, Date, Integer, Nullable, Numeric, SqlType, Text, Timestamp, Timestamptz,
};
use tenfold_db::{Class, PostgresError};

use super::bench;
use crate::kit::{Bench, pieces};

/// The connection still answers.
async fn is_well(bench: &Bench) {
    for db in [(**bench).clone(), bench.exclusive()] {
        let one: i32 = db.first(diesel::select(sql::<Integer>("1"))).await.unwrap();
        assert_eq!(one, 1);
    }
}

/// Reading this SQL as that type is a mistake whose message has these words in it.
macro_rules! unreadable {
    ($bench:expr, $sql:expr, $sql_type:ty, $rust_type:ty, $words:expr) => {
        for db in [(*$bench).clone(), $bench.exclusive()] {
            let query = diesel::select(sql::<$sql_type>($sql));
            let error = db.first::<$rust_type>(query).await.unwrap_err();
            assert_eq!(error.class(), Class::Mistake, "{error}");
            let said = error.to_string();
            assert!(said.contains($words), "{}: {said}", $sql);
        }
    };
}

#[tokio::test]
async fn values_that_rust_has_no_room_for() {
    let bench = bench().await;
    unreadable!(bench, "'infinity'::timestamp", Timestamp, NaiveDateTime, "too large");
    unreadable!(bench, "'-infinity'::timestamptz", Timestamptz, DateTime<Utc>, "too large");
    unreadable!(bench, "'infinity'::date", Date, NaiveDate, "");
    unreadable!(bench, "'NaN'::numeric", Numeric, BigDecimal, "NaN");
    unreadable!(bench, "'Infinity'::numeric", Numeric, BigDecimal, "");
    unreadable!(bench, "'{{1,2},{3,4}}'::int[]", Array<Integer>, Vec<i32>, "multi-dimensional");
    unreadable!(bench, "'{1,NULL}'::int[]", Array<Integer>, Vec<i32>, "null");
    unreadable!(bench, "NULL::int", Integer, i32, "null");
    is_well(&bench).await;
}

#[tokio::test]
async fn an_array_has_bounds_and_order_of_its_own_or_none() {
    let bench = bench().await;
    let read = async |text: &'static str| -> Vec<Option<i32>> {
        bench.first(diesel::select(sql::<Array<Nullable<Integer>>>(text))).await.unwrap()
    };
    assert_eq!(read("'{}'::int[]").await, []);
    assert_eq!(read("'[5:6]={1,NULL}'::int[]").await, [Some(1), None]);
    assert_eq!(read("array_fill(7, ARRAY[3])").await, [Some(7); 3]);
}

#[tokio::test]
async fn values_that_postgres_does_not_take() {
    let bench = bench().await;
    let no_text = diesel::select(IntoSql::into_sql::<Text>("a\0b"));
    let error = bench.first::<String>(no_text).await.unwrap_err();
    assert_eq!(error.postgres().unwrap().code(), "22021");
    assert_eq!(error.class(), Class::Constraint, "whoever asked has sent it");
    is_well(&bench).await;
    // A year that chrono knows and Postgres does not.
    let no_moment = diesel::select(IntoSql::into_sql::<Timestamp>(NaiveDateTime::MIN));
    let error = bench.first::<NaiveDateTime>(no_moment).await.unwrap_err();
    assert_eq!(error.postgres().unwrap().code(), "22008");
    assert_eq!(error.class(), Class::Constraint);
    let far = diesel::select(IntoSql::into_sql::<Date>(NaiveDate::MAX));
    assert_eq!(bench.first::<NaiveDate>(far).await.unwrap(), NaiveDate::MAX);
    is_well(&bench).await;
}

/// What a client can send, and the column cannot hold, is no mistake of the program.
#[tokio::test]
async fn values_that_a_column_does_not_take() {
    let bench = bench().await;
    bench.batch("CREATE TABLE tight (sku varchar(3), cents numeric(4, 2), more jsonb)").await;
    let insert = |columns: &str| diesel::sql_query(format!("INSERT INTO tight {columns}"));
    for (sql, code) in [
        ("(sku) SELECT repeat('x', 4)", "22001"),
        ("(cents) VALUES (100)", "22003"),
        ("(more) VALUES ('{\"a\": \"\\u0000\"}')", "22P05"),
        ("(cents) SELECT 2147483647 + length('x')", "22003"),
    ] {
        let error = bench.execute(insert(sql)).await.unwrap_err();
        assert_eq!(error.postgres().map(PostgresError::code), Some(code), "{error}");
        assert_eq!(error.class(), Class::Constraint, "{error}");
    }
    let nonsense = bench.execute(insert("(cents) SELECT 1 / (length('x') - 1)")).await;
    assert_eq!(nonsense.unwrap_err().class(), Class::Mistake, "no value is to blame");
}

/// Who does not want to wait for a lock hears that somebody has it, and not that it took long.
#[tokio::test]
async fn a_lock_that_is_not_waited_for_is_a_conflict() {
    let bench = bench().await;
    bench.insert(&[crate::kit::piece(1, "lamp", 1)]).await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; SELECT * FROM pieces FOR UPDATE").await.unwrap();
    for db in [(*bench).clone(), bench.exclusive()] {
        let locked = pieces::table.find(1).select(pieces::id).for_update().no_wait();
        let error = db.first::<i64>(locked).await.unwrap_err();
        assert_eq!(error.class(), Class::Conflict, "{error}");
    }
    locker.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn a_type_that_is_nowhere_is_named() {
    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "no_such_type"))]
    struct NowhereType;

    #[derive(Debug, AsExpression)]
    #[diesel(sql_type = NowhereType)]
    struct Nowhere;

    impl ToSql<NowhereType, Pg> for Nowhere {
        fn to_sql<'b>(&'b self, _: &mut Output<'b, '_, Pg>) -> serialize::Result {
            Ok(IsNull::Yes)
        }
    }

    let bench = bench().await;
    for db in [(*bench).clone(), bench.exclusive()] {
        let query = diesel::select(IntoSql::into_sql::<NowhereType>(Nowhere).is_null());
        let error = db.first::<bool>(query).await.unwrap_err();
        assert!(error.to_string().contains("no_such_type"), "{error}");
    }
    is_well(&bench).await;
}

#[tokio::test]
async fn queries_put_together_at_run_time_have_any_shape() {
    let bench = bench().await;
    let numbers: Vec<_> =
        (0..20).map(|id| crate::kit::piece(id, &format!("piece {id}"), 20)).collect();
    bench.insert(&numbers).await;
    for (least, descending, limit) in [
        (None, false, None),
        (Some(15), true, None),
        (Some(3), true, Some(2)),
        (None, false, Some(0)),
    ] {
        let mut query = pieces::table.select(pieces::id).into_boxed();
        if let Some(least) = least {
            query = query.filter(pieces::id.ge(least).or(pieces::name.eq("piece 0")));
        }
        query = if descending { query.order(pieces::id.desc()) } else { query.order(pieces::id) };
        if let Some(limit) = limit {
            query = query.limit(limit);
        }
        let mut expected: Vec<i64> =
            (0..20).filter(|&id| least.is_none_or(|least| id >= least || id == 0)).collect();
        if descending {
            expected.reverse();
        }
        expected.truncate(limit.map_or(20, |limit| usize::try_from(limit).unwrap()));
        assert_eq!(bench.load::<i64>(query).await.unwrap(), expected);
    }
    let sum = sql::<Nullable<BigInt>>("sum(id)::bigint");
    let sum: Option<i64> = bench.first(pieces::table.select(sum)).await.unwrap();
    assert_eq!(sum, Some(190));
}
