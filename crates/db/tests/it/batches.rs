//! Rows in bulk: as arrays in one statement, which is the same for any number of them.

use std::time::Duration;

use diesel::prelude::*;
use futures_util::{StreamExt, stream};
use tenfold_db::{Class, Error, batch};

use crate::kit::{Bench, Piece, piece, pieces, sales};

/// What is inserted of a piece; a note that there is not is NULL.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = pieces, treat_none_as_default_value = false)]
struct NewPiece {
    id: i64,
    name: String,
    stock: i32,
    note: Option<String>,
}

impl NewPiece {
    fn numbered(id: i64) -> NewPiece {
        let note = (id % 3 == 0).then(|| format!("a \"note\" for {{{id}}}"));
        NewPiece { id, name: format!("piece {id}"), stock: 5, note }
    }
}

fn numbered(ids: std::ops::Range<i64>) -> Vec<NewPiece> {
    ids.map(NewPiece::numbered).collect()
}

#[tokio::test]
async fn all_rows_arrive_as_they_were_in_their_order() {
    let bench = Bench::start().await;
    let new = numbered(0..1_000);
    let insert = diesel::insert_into(pieces::table).values(batch(&new)).returning(pieces::id);
    let ids: Vec<i64> = bench.load(insert).await.unwrap();
    assert_eq!(ids, (0..1_000).collect::<Vec<_>>());
    let owned = diesel::insert_into(pieces::table).values(batch(numbered(1_000..2_000)));
    assert_eq!(bench.exclusive().execute(owned).await.unwrap(), 1_000);
    let all: Vec<Piece> = bench.load(pieces::table.order(pieces::id)).await.unwrap();
    for (piece, id) in all.iter().zip(0..) {
        let NewPiece { id, name, stock, note } = NewPiece::numbered(id);
        assert_eq!(*piece, Piece { id, name, stock, note });
    }
    assert_eq!(all.len(), 2_000);
}

#[tokio::test]
async fn one_statement_serves_any_number_of_rows() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let exclusive = bench.exclusive();
    for ids in [0..1, 1..1, 1..4, 4..100] {
        let expected = u64::try_from(ids.end - ids.start).unwrap();
        let insert = diesel::insert_into(pieces::table).values(batch(numbered(ids)));
        assert_eq!(exclusive.execute(insert).await.unwrap(), expected);
    }
    #[derive(QueryableByName)]
    struct Number {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        count: i64,
    }
    let prepared = diesel::sql_query(
        "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'INSERT INTO \"pieces\"%'",
    );
    assert_eq!(exclusive.first::<Number>(prepared).await.unwrap().count, 1);
}

#[tokio::test]
async fn more_rows_than_a_statement_could_have_values() {
    let bench = Bench::start().await;
    let insert = diesel::insert_into(pieces::table).values(batch(numbered(0..30_000)));
    assert_eq!(bench.exclusive().execute(insert).await.unwrap(), 30_000);
}

#[tokio::test]
async fn tuples_serve_as_rows_and_postgres_fills_in_what_they_leave_out() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "lamp", 5), piece(2, "chair", 5)]).await;
    let sold = [(1, 2), (2, 1), (1, 1)];
    let rows = sold.map(|(piece, quantity)| {
        (sales::piece_id.eq(i64::from(piece)), sales::quantity.eq(quantity))
    });
    let insert = diesel::insert_into(sales::table).values(batch(rows));
    let sales: Vec<(i64, i64, i32)> = bench.load(insert).await.unwrap();
    assert_eq!(sales, [(1, 1, 2), (2, 2, 1), (3, 1, 1)]);
}

#[tokio::test]
async fn conflicts_are_ignored_or_updated_as_in_any_insert() {
    let bench = Bench::start().await;
    bench.insert(&[piece(1, "piece 1", 1), piece(2, "piece 2", 1)]).await;
    let ignored = diesel::insert_into(pieces::table)
        .values(batch(numbered(1..4)))
        .on_conflict_do_nothing()
        .returning(pieces::id);
    assert_eq!(bench.load::<i64>(ignored).await.unwrap(), [3]);
    let updated = diesel::insert_into(pieces::table)
        .values(batch(numbered(1..3)))
        .on_conflict(pieces::id)
        .do_update()
        .set(pieces::stock.eq(pieces::stock + diesel::upsert::excluded(pieces::stock)))
        .returning((pieces::id, pieces::stock));
    assert_eq!(bench.load::<(i64, i32)>(updated).await.unwrap(), [(1, 6), (2, 6)]);
}

#[tokio::test]
async fn a_key_that_is_upserted_twice_is_the_fault_of_whoever_sent_it() {
    let bench = Bench::start().await;
    let upsert = diesel::insert_into(pieces::table)
        .values(batch(vec![NewPiece::numbered(1), NewPiece { stock: 6, ..NewPiece::numbered(1) }]))
        .on_conflict(pieces::id)
        .do_update()
        .set(pieces::stock.eq(diesel::upsert::excluded(pieces::stock)));
    let error = bench.execute(upsert).await.unwrap_err();
    let said = error.postgres().unwrap();
    assert!(said.is_repeated() && said.code() == "21000", "{error}");
    assert_eq!(error.class(), Class::Constraint);
    // The same code means something else where a subquery has too many rows.
    let too_many = "SELECT (SELECT n FROM generate_series(1, 2) n)";
    let error = bench.execute(diesel::sql_query(too_many)).await.unwrap_err();
    assert_eq!(error.postgres().unwrap().code(), "21000");
    assert_eq!(error.class(), Class::Mistake, "{error}");
}

#[tokio::test]
async fn one_row_that_is_refused_takes_all_with_it() {
    let bench = Bench::start().await;
    let mut new = numbered(0..100);
    new[57].stock = -1;
    let error =
        bench.execute(diesel::insert_into(pieces::table).values(batch(&new))).await.unwrap_err();
    assert_eq!(error.class(), Class::Constraint);
    assert_eq!(error.postgres().unwrap().constraint(), Some("pieces_stock_check"));
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap(), []);
}

diesel::table! {
    shelves (id) {
        id -> BigInt,
        tags -> Array<Text>,
    }
}

const SHELVES: &str = "CREATE TABLE shelves (id bigint PRIMARY KEY, tags text[] NOT NULL)";

#[tokio::test]
async fn a_column_of_arrays_is_refused_with_a_way_out() {
    let bench = Bench::start().await;
    bench.batch(SHELVES).await;
    let rows = |count: i64| {
        (0..count)
            .map(|id| (shelves::id.eq(id), shelves::tags.eq(vec!["oak".to_owned(); 2])))
            .collect::<Vec<_>>()
    };
    let insert = diesel::insert_into(shelves::table).values(batch(rows(3)));
    let error = bench.execute(insert).await.unwrap_err();
    assert_eq!(error.class(), Class::Mistake);
    let said = error.to_string();
    assert!(said.contains("\"tags\"") && said.contains("as a Vec"), "{said}");
    let insert = diesel::insert_into(shelves::table).values(rows(3));
    assert_eq!(bench.execute(insert).await.unwrap(), 3);
}

#[tokio::test]
async fn types_of_ones_own_are_elements_too() {
    mod schema {
        #[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
        #[diesel(postgres_type(name = "size"))]
        pub struct SizeType;

        diesel::table! {
            use diesel::sql_types::*;
            use super::SizeType;
            shirts (id) { id -> BigInt, size -> SizeType, other -> Nullable<SizeType>, }
        }
    }
    use schema::{SizeType, shirts};

    #[derive(
        Clone, Debug, PartialEq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
    )]
    #[diesel(sql_type = SizeType)]
    struct Size(i32);

    /// A composite, which `unnest` in a `FROM` would have taken apart.
    impl diesel::serialize::ToSql<SizeType, diesel::pg::Pg> for Size {
        fn to_sql<'b>(
            &'b self,
            out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
        ) -> diesel::serialize::Result {
            use diesel::sql_types::{Integer, Text};
            let fields = (self.0, "cm");
            diesel::serialize::WriteTuple::<(Integer, Text)>::write_tuple(
                &fields,
                &mut out.reborrow(),
            )
        }
    }

    impl diesel::deserialize::FromSql<SizeType, diesel::pg::Pg> for Size {
        fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Size> {
            use diesel::sql_types::{Integer, Record, Text};
            let (size, _unit): (i32, String) = diesel::deserialize::FromSql::<
                Record<(Integer, Text)>,
                diesel::pg::Pg,
            >::from_sql(value)?;
            Ok(Size(size))
        }
    }

    let bench = Bench::start().await;
    bench
        .batch(
            "CREATE TYPE size AS (number integer, unit text);
             CREATE TABLE shirts (id bigint PRIMARY KEY, size size NOT NULL, other size)",
        )
        .await;
    let rows = (0..3_i32).map(|id| {
        (shirts::id.eq(i64::from(id)), shirts::size.eq(Size(id)), shirts::other.eq(Some(Size(-id))))
    });
    let insert = diesel::insert_into(shirts::table).values(batch(rows));
    let shirts: Vec<(i64, Size, Option<Size>)> = bench.load(insert).await.unwrap();
    assert_eq!(shirts.len(), 3);
    assert_eq!(shirts[2], (2, Size(2), Some(Size(-2))));
}

#[tokio::test]
async fn rows_are_copied_with_arrays_and_types_of_ones_own() {
    mod schema {
        #[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
        #[diesel(postgres_type(name = "mood"))]
        pub struct MoodType;

        diesel::table! {
            use diesel::sql_types::*;
            use super::MoodType;
            #[sql_name = "the \"rooms\""]
            rooms (id) {
                id -> BigInt,
                #[sql_name = "how's it"]
                mood -> MoodType,
                tags -> Array<Nullable<Text>>,
                note -> Nullable<Text>,
            }
        }
    }
    use schema::{MoodType, rooms};

    #[derive(Clone, Debug, diesel::expression::AsExpression)]
    #[diesel(sql_type = MoodType)]
    struct Mood(&'static str);

    impl diesel::serialize::ToSql<MoodType, diesel::pg::Pg> for Mood {
        fn to_sql<'b>(
            &'b self,
            out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
        ) -> diesel::serialize::Result {
            std::io::Write::write_all(out, self.0.as_bytes())?;
            Ok(diesel::serialize::IsNull::No)
        }
    }

    let bench = Bench::start().await;
    bench
        .batch(
            r#"CREATE TYPE mood AS ENUM ('calm', 'busy');
               CREATE TABLE "the ""rooms""" (id bigint PRIMARY KEY, "how's it" mood NOT NULL,
                   tags text[] NOT NULL, note text, filled integer NOT NULL DEFAULT 7)"#,
        )
        .await;
    let room = |id: i64| {
        (
            rooms::id.eq(id),
            rooms::mood.eq(Mood(if id % 2 == 0 { "calm" } else { "busy" })),
            rooms::tags.eq(vec![Some(format!("tag {id}")), None]),
            rooms::note.eq((id % 2 == 0).then(|| "x".repeat(100))),
        )
    };
    let rows = stream::iter((0..5_000).map(room));
    assert_eq!(bench.copy_rows(rooms::table, rows).await.unwrap(), 5_000);
    for (condition, expected) in [
        ("true", 5_000),
        ("\"how's it\" = 'busy' AND note IS NULL", 2_500),
        ("length(note) = 100", 2_500),
        ("tags = ARRAY['tag ' || id, NULL] AND filled = 7", 5_000),
    ] {
        let sql = format!("SELECT count(*) FROM \"the \"\"rooms\"\"\" WHERE {condition}");
        assert_eq!(bench.number(&sql).await, expected, "{condition}");
    }
    // None at all are fine, too.
    let none = stream::empty::<NewPiece>();
    assert_eq!(bench.copy_rows(pieces::table, none).await.unwrap(), 0);
}

#[tokio::test]
async fn a_copy_that_fails_or_is_left_leaves_nothing_and_its_connection_whole() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    // Postgres refuses a row.
    let twice = stream::iter(numbered(0..10).into_iter().chain(numbered(3..4)));
    let error = bench.copy_rows(pieces::table, twice).await.unwrap_err();
    assert!(error.postgres().unwrap().is_duplicate());
    // A row cannot be sent.
    let unsendable = stream::iter((0..3_i64).map(|id| {
        (
            sales::piece_id.eq(id),
            sales::quantity.eq(if id == 2 { Quantity(None) } else { Quantity(Some(1)) }),
        )
    }));
    let error = bench.copy_rows(sales::table, unsendable).await.unwrap_err();
    assert_eq!(error.class(), Class::Mistake, "{error}");
    // The rows stop coming.
    let stuck = stream::iter(numbered(0..10)).chain(stream::pending());
    let impatient = bench.patient(Duration::from_millis(200));
    let error = impatient.copy_rows(pieces::table, stuck).await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error}");
    // Where they come from breaks.
    let read = numbered(0..5_000).into_iter().map(Ok);
    let broken = stream::iter(read.chain([Err(Error::NotFound)]));
    let error = bench.try_copy_rows(pieces::table, broken).await.unwrap_err();
    assert!(matches!(error, Error::NotFound), "its own error: {error}");
    let rows = bench.exclusive().load::<Piece>(pieces::table).await.unwrap();
    assert_eq!(rows, [], "the only connection of the pool serves again");
    assert_eq!(bench.number("SELECT count(*) FROM sales").await, 0);
}

/// A number that there may not be.
#[derive(Clone, Debug, diesel::expression::AsExpression)]
#[diesel(sql_type = diesel::sql_types::Integer)]
struct Quantity(Option<i32>);

impl diesel::serialize::ToSql<diesel::sql_types::Integer, diesel::pg::Pg> for Quantity {
    fn to_sql<'b>(
        &'b self,
        out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
    ) -> diesel::serialize::Result {
        let number = self.0.ok_or("no number")?;
        std::io::Write::write_all(out, &number.to_be_bytes())?;
        Ok(diesel::serialize::IsNull::No)
    }
}
