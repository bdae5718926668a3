//! Types that somebody made: enums, composites, domains, ranges, each in arrays and in each other.

use std::collections::Bound::{self, Excluded, Included, Unbounded};
use std::io::Write;

use bigdecimal::BigDecimal;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::sql_types::{Array, Range, Record};
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql, WriteTuple};
use diesel::sql_types::{Integer, Nullable, Numeric, SqlType, Text};

use super::{bench, round_trip};
use crate::kit::Bench;

const TYPES: &str = r#"
    CREATE TYPE currency AS ENUM ('EUR', 'US "$"');
    CREATE TYPE price AS (amount numeric, currency currency, note text);
    CREATE TYPE offer AS (price price, earlier price[]);
    CREATE TYPE span AS RANGE (subtype = integer);
    CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
    CREATE DOMAIN digits AS integer[] CHECK (9 >= ALL (VALUE));
    CREATE SCHEMA "Shop Floor";
    CREATE TYPE "Shop Floor"."Mood" AS ENUM ('calm', 'busy');
    CREATE TYPE mood AS ENUM ('another one');
"#;

mod schema {
    use diesel::query_builder::QueryId;
    use diesel::sql_types::SqlType;

    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "currency"))]
    pub struct CurrencyType;

    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "price"))]
    pub struct PriceType;

    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "offer"))]
    pub struct OfferType;

    diesel::table! {
        use diesel::sql_types::*;
        use super::{CurrencyType, OfferType, PriceType};
        offers (id) {
            id -> BigInt,
            offer -> OfferType,
            best -> Nullable<PriceType>,
            currencies -> Array<Nullable<CurrencyType>>,
        }
    }
}
use schema::{CurrencyType, OfferType, PriceType, offers};

async fn bench_with_types() -> Bench {
    let bench = bench().await;
    bench.batch(TYPES).await;
    bench
}

#[derive(Debug, Clone, Copy, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = CurrencyType)]
enum Currency {
    Euro,
    Dollar,
}

impl ToSql<CurrencyType, Pg> for Currency {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let label = match self {
            Currency::Euro => "EUR",
            Currency::Dollar => "US \"$\"",
        };
        out.write_all(label.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<CurrencyType, Pg> for Currency {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Currency> {
        match value.as_bytes() {
            b"EUR" => Ok(Currency::Euro),
            b"US \"$\"" => Ok(Currency::Dollar),
            other => Err(format!("no currency: {}", String::from_utf8_lossy(other)).into()),
        }
    }
}

type PriceFields = (Numeric, CurrencyType, Nullable<Text>);

#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = PriceType)]
struct Price {
    amount: BigDecimal,
    currency: Currency,
    note: Option<String>,
}

impl ToSql<PriceType, Pg> for Price {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let fields = (self.amount.clone(), self.currency, self.note.clone());
        WriteTuple::<PriceFields>::write_tuple(&fields, &mut out.reborrow())
    }
}

impl FromSql<PriceType, Pg> for Price {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Price> {
        let (amount, currency, note) = FromSql::<Record<PriceFields>, Pg>::from_sql(value)?;
        Ok(Price { amount, currency, note })
    }
}

type OfferFields = (PriceType, Array<PriceType>);

/// A composite with a composite and an array of them.
#[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
#[diesel(sql_type = OfferType)]
struct Offer {
    price: Price,
    earlier: Vec<Price>,
}

impl ToSql<OfferType, Pg> for Offer {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let fields = (self.price.clone(), self.earlier.clone());
        WriteTuple::<OfferFields>::write_tuple(&fields, &mut out.reborrow())
    }
}

impl FromSql<OfferType, Pg> for Offer {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Offer> {
        let (price, earlier) = FromSql::<Record<OfferFields>, Pg>::from_sql(value)?;
        Ok(Offer { price, earlier })
    }
}

fn price(amount: &str, currency: Currency, note: Option<&str>) -> Price {
    Price { amount: amount.parse().unwrap(), currency, note: note.map(str::to_owned) }
}

#[tokio::test]
async fn enums() {
    let bench = bench_with_types().await;
    round_trip!(
        bench,
        CurrencyType,
        Currency,
        [(Currency::Euro, "EUR"), (Currency::Dollar, "US \"$\"")]
    );
}

#[tokio::test]
async fn a_type_of_another_schema_and_with_capitals_is_not_taken_for_one_of_ours() {
    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "Mood", schema = "Shop Floor"))]
    struct MoodType;

    #[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
    #[diesel(sql_type = MoodType)]
    struct Mood(String);

    impl ToSql<MoodType, Pg> for Mood {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            out.write_all(self.0.as_bytes())?;
            Ok(IsNull::No)
        }
    }

    impl FromSql<MoodType, Pg> for Mood {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Mood> {
            Ok(Mood(std::str::from_utf8(value.as_bytes())?.to_owned()))
        }
    }

    let bench = bench_with_types().await;
    round_trip!(bench, MoodType, Mood, [(Mood("busy".to_owned()), "busy")]);
}

#[tokio::test]
async fn composites_in_composites_and_arrays() {
    let bench = bench_with_types().await;
    let (euro, dollar) = (
        price("19.90", Currency::Euro, None),
        price("0.5", Currency::Dollar, Some("a (\"quoted\", note)")),
    );
    round_trip!(
        bench,
        PriceType,
        Price,
        [
            (euro.clone(), "(19.90,EUR,)"),
            (dollar.clone(), r#"(0.5,"US ""$""","a (""quoted"", note)")"#),
        ]
    );
    round_trip!(
        bench,
        OfferType,
        Offer,
        [
            (Offer { price: euro.clone(), earlier: vec![] }, r#"("(19.90,EUR,)",{})"#),
            (
                Offer { price: euro.clone(), earlier: vec![euro.clone(), euro.clone()] },
                r#"("(19.90,EUR,)","{""(19.90,EUR,)"",""(19.90,EUR,)""}")"#
            ),
        ]
    );
}

#[tokio::test]
async fn composites_as_columns() {
    let bench = bench_with_types().await;
    bench
        .batch(
            "CREATE TABLE offers (id bigint PRIMARY KEY, offer offer NOT NULL, best price,
                 currencies currency[] NOT NULL)",
        )
        .await;
    let euro = price("1", Currency::Euro, Some(""));
    let offer = Offer { price: euro.clone(), earlier: vec![euro.clone()] };
    let currencies = vec![Some(Currency::Dollar), None];
    let values = |id: i64| {
        (
            offers::id.eq(id),
            offers::offer.eq(offer.clone()),
            offers::best.eq((id == 1).then(|| euro.clone())),
            offers::currencies.eq(currencies.clone()),
        )
    };
    for (id, db) in [(1, (*bench).clone()), (2, bench.exclusive())] {
        let insert = diesel::insert_into(offers::table).values(values(id));
        let row: (i64, Offer, Option<Price>, Vec<Option<Currency>>) =
            db.first(insert).await.unwrap();
        let best = (id == 1).then(|| euro.clone());
        assert_eq!(row, (id, offer.clone(), best, currencies.clone()));
    }
    let found: Vec<i64> =
        bench.load(offers::table.filter(offers::best.eq(euro)).select(offers::id)).await.unwrap();
    assert_eq!(found, [1]);
}

#[tokio::test]
async fn domains_are_checked_and_read_as_what_they_are_made_of() {
    diesel::table! {
        people (email) {
            email -> Text,
            others -> Array<Text>,
            digits -> Array<Integer>,
        }
    }

    let bench = bench_with_types().await;
    bench
        .batch(
            "CREATE TABLE people (email email PRIMARY KEY, others email[] NOT NULL,
                 digits digits NOT NULL)",
        )
        .await;
    type Person = (String, Vec<String>, Vec<i32>);
    let person = |email: &str, digit| -> Person {
        (email.to_owned(), vec!["b@x".to_owned(), "c@x".to_owned()], vec![1, digit])
    };
    for (email, db) in [("a@x", (*bench).clone()), ("z@x", bench.exclusive())] {
        let (email, others, digits) = person(email, 9);
        // An array of a domain is no array of text: that one has to be cast.
        let insert = diesel::sql_query("INSERT INTO people VALUES ($1, $2::email[], $3)")
            .bind::<Text, _>(email.clone())
            .bind::<Array<Text>, _>(others.clone())
            .bind::<Array<Integer>, _>(digits.clone());
        db.execute(insert).await.unwrap();
        let read: Person = db.first(people::table.find(email.clone())).await.unwrap();
        assert_eq!(read, (email, others, digits));
    }
    let changed = diesel::update(people::table.find("a@x")).set(people::email.eq("no address"));
    let refused = bench.execute(changed).await.unwrap_err();
    assert_eq!(refused.postgres().unwrap().constraint(), Some("email_check"));
    let (_, _, digits) = person("", 10);
    let changed = diesel::update(people::table).set(people::digits.eq(digits));
    let refused = bench.execute(changed).await.unwrap_err();
    assert_eq!(refused.postgres().unwrap().constraint(), Some("digits_check"));
}

#[tokio::test]
async fn domains_as_types_of_their_own() {
    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "email"))]
    struct EmailType;

    #[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
    #[diesel(sql_type = EmailType)]
    struct Email(String);

    impl ToSql<EmailType, Pg> for Email {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            ToSql::<Text, Pg>::to_sql(&self.0, out)
        }
    }

    impl FromSql<EmailType, Pg> for Email {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Email> {
            FromSql::<Text, Pg>::from_sql(value).map(Email)
        }
    }

    let bench = bench_with_types().await;
    round_trip!(bench, EmailType, Email, [(Email("a@x".to_owned()), "a@x")]);
    let select = diesel::select(IntoSql::into_sql::<EmailType>(Email("a".to_owned())));
    let refused = bench.first::<Email>(select).await.unwrap_err();
    assert_eq!(refused.postgres().unwrap().constraint(), Some("email_check"));
}

#[tokio::test]
async fn ranges_of_ones_own() {
    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "span"))]
    struct SpanType;

    #[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
    #[diesel(sql_type = SpanType)]
    struct Span(Bound<i32>, Bound<i32>);

    impl ToSql<SpanType, Pg> for Span {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            ToSql::<Range<Integer>, Pg>::to_sql(&(self.0, self.1), &mut out.reborrow())
        }
    }

    impl FromSql<SpanType, Pg> for Span {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Span> {
            let (from, to) = FromSql::<Range<Integer>, Pg>::from_sql(value)?;
            Ok(Span(from, to))
        }
    }

    let bench = bench_with_types().await;
    round_trip!(
        bench,
        SpanType,
        Span,
        [(Span(Excluded(-5), Included(2)), "(-5,2]"), (Span(Unbounded, Unbounded), "(,)")]
    );
}

#[tokio::test]
async fn rows_of_a_query_are_records() {
    let bench = bench_with_types().await;
    let query = || {
        let row = diesel::dsl::sql::<Record<(Integer, Nullable<Text>)>>("ROW(1, NULL::text)");
        diesel::select(row)
    };
    for db in [(*bench).clone(), bench.exclusive()] {
        let record: (i32, Option<String>) = db.first(query()).await.unwrap();
        assert_eq!(record, (1, None));
    }
}

#[tokio::test]
async fn a_type_made_anew_or_with_another_label_is_seen() {
    let bench = bench_with_types().await;
    let query = || diesel::select(IntoSql::into_sql::<CurrencyType>(Currency::Dollar));
    for db in [(*bench).clone(), bench.exclusive()] {
        assert_eq!(db.first::<Currency>(query()).await.unwrap(), Currency::Dollar);
    }
    bench
        .batch(
            r#"DROP TYPE currency CASCADE;
               CREATE TYPE currency AS ENUM ('EUR');
               ALTER TYPE currency ADD VALUE 'US "$"';"#,
        )
        .await;
    for db in [(*bench).clone(), bench.exclusive()] {
        // The first one hears of it; from then on its number is looked up anew.
        let mut read = db.first::<Currency>(query()).await;
        if read.is_err() {
            read = db.first::<Currency>(query()).await;
        }
        assert_eq!(read.unwrap(), Currency::Dollar);
    }
}
