//! Types of extensions that come with Postgres: found by their names, as one's own are.

use std::io::Write;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::sql_types::Citext;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::query_builder::QueryId;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::SqlType;

use super::{bench, round_trip};
use crate::kit::Bench;

/// A Postgres with that extension; `None` where the package that brings it is not installed.
async fn bench_with(extension: &str) -> Option<Bench> {
    let bench = bench().await;
    let available =
        format!("SELECT count(*) FROM pg_available_extensions WHERE name = '{extension}'");
    if bench.number(&available).await == 0 {
        eprintln!("not tested: this Postgres comes without {extension}");
        return None;
    }
    bench.batch(&format!("CREATE EXTENSION {extension}")).await;
    Some(bench)
}

#[tokio::test]
async fn citext_compares_without_case() {
    diesel::table! {
        use diesel::sql_types::*;
        names (name) { name -> Citext, }
    }

    let Some(bench) = bench_with("citext").await else { return };
    round_trip!(bench, Citext, String, [("Ada".to_owned(), "Ada")]);
    bench.batch("CREATE TABLE names (name citext PRIMARY KEY)").await;
    bench.execute(diesel::insert_into(names::table).values(names::name.eq("Ada"))).await.unwrap();
    for db in [(*bench).clone(), bench.exclusive()] {
        let found: Vec<String> =
            db.load(names::table.select(names::name).filter(names::name.eq("ADA"))).await.unwrap();
        assert_eq!(found, ["Ada"]);
    }
}

/// A type that diesel does not know, written as its own documentation says.
#[tokio::test]
async fn ltree_is_text_behind_a_version() {
    #[derive(SqlType, QueryId)]
    #[diesel(postgres_type(name = "ltree"))]
    struct LtreeType;

    #[derive(Debug, Clone, PartialEq, AsExpression, FromSqlRow)]
    #[diesel(sql_type = LtreeType)]
    struct Ltree(String);

    impl ToSql<LtreeType, Pg> for Ltree {
        fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
            out.write_all(&[1])?;
            out.write_all(self.0.as_bytes())?;
            Ok(IsNull::No)
        }
    }

    impl FromSql<LtreeType, Pg> for Ltree {
        fn from_sql(value: PgValue<'_>) -> deserialize::Result<Ltree> {
            let [1, path @ ..] = value.as_bytes() else { return Err("not version 1".into()) };
            Ok(Ltree(std::str::from_utf8(path)?.to_owned()))
        }
    }

    let Some(bench) = bench_with("ltree").await else { return };
    round_trip!(
        bench,
        LtreeType,
        Ltree,
        [(Ltree("Top.Science.Physics".to_owned()), "Top.Science.Physics")]
    );
}
