//! `GET /report`: one heavy question about everything that is for sale and was sold. It goes
//! over the exclusive lane, where it holds up nobody's small statements.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::Serialize;
use tenfold::db::Yields;
use tenfold::{Db, Json, Result};

/// A report reads better as SQL than as a builder's calls; its columns are checked against
/// [`Band`] when it runs.
const SQL: &str = include_str!("report.sql");

pub(crate) async fn read(db: Db) -> Result<Json<Report>> {
    let bands = db.exclusive().load(by_price_band()).await?;
    Ok(Json(Report { bands }))
}

fn by_price_band() -> impl Yields<Band> {
    diesel::sql_query(SQL)
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bands: Vec<Band>,
}

/// What is known of all products within a range of prices.
#[derive(Debug, QueryableByName, Serialize)]
struct Band {
    #[diesel(sql_type = Text)]
    band: String,
    #[diesel(sql_type = BigInt)]
    products: i64,
    #[diesel(sql_type = BigInt)]
    products_sold_out: i64,
    #[diesel(sql_type = BigInt)]
    pieces_in_stock: i64,
    #[diesel(sql_type = BigInt)]
    stock_value_cents: i64,
    #[diesel(sql_type = BigInt)]
    orders: i64,
    #[diesel(sql_type = BigInt)]
    pieces_sold: i64,
    #[diesel(sql_type = BigInt)]
    revenue_cents: i64,
}
