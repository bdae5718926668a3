//! Any query that diesel can build comes back as what it promised.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use tenfold_db::{Class, Error};

use crate::kit::{Bench, Piece, piece, pieces, sales};

#[tokio::test]
async fn selects_tables_columns_structs_joins_and_groups() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5), piece(2, "chair", 0)]).await;
    let sale = (sales::piece_id.eq(1), sales::quantity.eq(2));
    for _ in 0..2 {
        bench.execute(diesel::insert_into(sales::table).values(sale)).await.unwrap();
    }

    let whole: Piece = bench.first(pieces::table.find(1)).await.unwrap();
    assert_eq!(whole, piece(1, "lamp", 5));
    let all: Vec<Piece> =
        bench.load(pieces::table.order(pieces::id).select(Piece::as_select())).await.unwrap();
    assert_eq!(all, [piece(1, "lamp", 5), piece(2, "chair", 0)]);
    let names: Vec<String> =
        bench.load(pieces::table.order(pieces::name).select(pieces::name)).await.unwrap();
    assert_eq!(names, ["chair", "lamp"]);
    let joined: Vec<(String, i32)> = bench
        .load(sales::table.inner_join(pieces::table).select((pieces::name, sales::quantity)))
        .await
        .unwrap();
    assert_eq!(joined, [("lamp".to_owned(), 2), ("lamp".to_owned(), 2)]);
    let grouped: Vec<(i64, Option<i64>)> = bench
        .load(
            sales::table
                .group_by(sales::piece_id)
                .select((sales::piece_id, diesel::dsl::sum(sales::quantity))),
        )
        .await
        .unwrap();
    assert_eq!(grouped, [(1, Some(4))]);
}

#[tokio::test]
async fn writes_return_upsert_and_count() {
    let bench = Bench::start().await;
    let returned: Piece = bench
        .first(
            diesel::insert_into(pieces::table)
                .values(piece(7, "desk", 1))
                .returning(pieces::all_columns),
        )
        .await
        .unwrap();
    assert_eq!(returned, piece(7, "desk", 1));
    let upserted: i32 = bench
        .first(
            diesel::insert_into(pieces::table)
                .values(piece(7, "desk", 10))
                .on_conflict(pieces::id)
                .do_update()
                .set(pieces::stock.eq(pieces::stock + 10))
                .returning(pieces::stock),
        )
        .await
        .unwrap();
    assert_eq!(upserted, 11);
    let changed = diesel::update(pieces::table.find(7)).set(pieces::note.eq(Some("oak")));
    assert_eq!(bench.execute(changed).await.unwrap(), 1);
    assert_eq!(bench.execute(diesel::delete(pieces::table)).await.unwrap(), 1);
    assert_eq!(bench.execute(diesel::delete(pieces::table)).await.unwrap(), 0);
}

#[tokio::test]
async fn boxed_and_raw_queries_travel_as_text() {
    #[derive(QueryableByName)]
    struct Sum {
        #[diesel(sql_type = BigInt)]
        sum: i64,
    }

    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5), piece(2, "chair", 3)]).await;
    for (name, expected) in [(None, 2), (Some("lamp"), 1)] {
        let mut query = pieces::table.into_boxed();
        if let Some(name) = name {
            query = query.filter(pieces::name.eq(name));
        }
        assert_eq!(bench.load::<Piece>(query).await.unwrap().len(), expected);
    }
    // `IN` with a varying number of binds, which diesel says not to keep.
    for ids in [vec![1_i64], vec![1, 2]] {
        let query = pieces::table.filter(pieces::id.eq_any(ids.clone()));
        assert_eq!(bench.load::<Piece>(query).await.unwrap().len(), ids.len());
    }
    let raw = diesel::sql_query("SELECT sum(stock) AS sum FROM pieces WHERE name <> $1")
        .bind::<Text, _>("chair");
    assert_eq!(bench.first::<Sum>(raw).await.unwrap().sum, 5);
}

#[tokio::test]
async fn nothing_found_is_an_error_of_its_own_or_none() {
    let bench = Bench::start().await;
    let query = || pieces::table.find(404);
    assert_eq!(bench.optional::<Piece>(query()).await.unwrap(), None);
    assert!(matches!(bench.first::<Piece>(query()).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn a_violated_constraint_is_named() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5)]).await;
    let twice = diesel::insert_into(pieces::table).values(piece(2, "lamp", 5));
    let error = bench.execute(twice).await.unwrap_err();
    assert_eq!(error.class(), Class::Constraint);
    let said = error.postgres().unwrap();
    assert!(said.is_duplicate());
    assert_eq!(said.constraint(), Some("pieces_name_key"));
    // The connection is as good as before.
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap().len(), 1);
}

#[tokio::test]
async fn enums_of_ones_own_are_looked_up() {
    mod schema {
        #[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
        #[diesel(postgres_type(name = "mood"))]
        pub struct MoodType;

        diesel::table! {
            use diesel::sql_types::{BigInt, Array};
            use super::MoodType;
            moods (id) { id -> BigInt, one -> MoodType, many -> Array<MoodType>, }
        }
    }
    use schema::{MoodType, moods};

    #[derive(
        Debug,
        Clone,
        Copy,
        PartialEq,
        diesel::expression::AsExpression,
        diesel::deserialize::FromSqlRow,
    )]
    #[diesel(sql_type = MoodType)]
    enum Mood {
        Calm,
        Busy,
    }

    impl diesel::serialize::ToSql<MoodType, diesel::pg::Pg> for Mood {
        fn to_sql<'b>(
            &'b self,
            out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
        ) -> diesel::serialize::Result {
            let word: &[u8] = if *self == Mood::Calm { b"calm" } else { b"busy" };
            std::io::Write::write_all(out, word)?;
            Ok(diesel::serialize::IsNull::No)
        }
    }

    impl diesel::deserialize::FromSql<MoodType, diesel::pg::Pg> for Mood {
        fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Mood> {
            match value.as_bytes() {
                b"calm" => Ok(Mood::Calm),
                b"busy" => Ok(Mood::Busy),
                other => Err(format!("unknown mood {other:?}").into()),
            }
        }
    }

    let bench = Bench::start().await;
    bench
        .batch(
            "CREATE TYPE mood AS ENUM ('calm', 'busy');
             CREATE TABLE moods (id bigint PRIMARY KEY, one mood NOT NULL, many mood[] NOT NULL)",
        )
        .await;
    let values =
        (moods::id.eq(1), moods::one.eq(Mood::Busy), moods::many.eq(vec![Mood::Calm, Mood::Busy]));
    bench.execute(diesel::insert_into(moods::table).values(values)).await.unwrap();
    let (id, one, many): (i64, Mood, Vec<Mood>) =
        bench.first(moods::table.filter(moods::one.eq(Mood::Busy))).await.unwrap();
    assert_eq!((id, one, many), (1, Mood::Busy, vec![Mood::Calm, Mood::Busy]));
}

#[tokio::test]
async fn more_statements_than_are_kept_still_run() {
    let bench = Bench::with(|settings| settings.statements_max = 2).await;
    for round in 0..3 {
        for number in 0..10_i64 {
            let query = diesel::sql_query(format!("SELECT {number}::bigint AS n"));
            let found = bench.first::<Number>(query).await.unwrap();
            assert_eq!(found.n, number, "round {round}");
        }
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_a_mistake_with_its_column() {
    let bench = Bench::start().await;
    let query = diesel::sql_query("SELECT 1::integer AS n");
    let error = bench.first::<Number>(query).await.map(|_| ()).unwrap_err();
    assert_eq!(error.class(), Class::Mistake, "{error}");
}

#[tokio::test]
async fn a_transaction_of_raw_sql_is_refused_before_it_is_sent() {
    let bench = Bench::start().await;
    for db in [bench.exclusive(), (*bench).clone()] {
        for sql in ["BEGIN", "/* please */ start transaction", "-- now\nROLLBACK"] {
            let error = db.execute(diesel::sql_query(sql)).await.unwrap_err();
            assert_eq!(error.class(), Class::Mistake);
            assert!(error.to_string().contains("use Db::transaction"), "{error}");
        }
    }
    bench.until(&crate::kit::backends("idle in transaction"), 0).await;
}
