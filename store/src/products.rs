//! What is for sale: one product, a page of them, and those that some words describe.

use axum::Router;
use axum::routing::get;
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_full_text_search::configuration::TsConfigurationByName;
use diesel_full_text_search::{
    TsVectorExtensions, ts_rank, websearch_to_tsquery_with_search_config as websearch,
};
use serde::{Deserialize, Serialize};
use tenfold::db::Yields;
use tenfold::{Db, Json, Path, Query, Result};

use crate::schema::products;

/// The most products on one page.
pub const PAGE_MAX: i64 = 100;

/// Products on a page when nobody says how many.
pub const PAGE_DEFAULT: i64 = 20;

/// The longest search, in characters.
pub const WORDS_CHARACTERS_MAX: usize = 200;

/// How many products that the words describe are ranked. Common words describe a tenth of the
/// catalog, and to rank all of that would take a second.
const RANKED_MAX: i64 = 1_000;

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/products", get(page))
        .route("/products/search", get(search))
        .route("/products/{id}", get(read))
}

/// A product as it is in the table and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Serialize)]
#[diesel(table_name = products, check_for_backend(Pg))]
pub struct Product {
    /// Its number here.
    pub id: i64,
    /// Its stock number, as in the barcode.
    pub sku: String,
    /// Brand and kind, in one line.
    pub name: String,
    /// A few sentences about it.
    pub description: String,
    /// Price in euro cents.
    pub price_cents: i32,
    /// Pieces that can be sold.
    pub stock: i32,
    /// When it came into the catalog.
    pub created_at: DateTime<Utc>,
}

async fn read(db: Db, Path(id): Path<i64>) -> Result<Json<Product>> {
    Ok(Json(db.first(by_id(id)).await?))
}

async fn page(db: Db, Query(wanted): Query<WantedPage>) -> Result<Json<Page>> {
    let Limit(limit) = wanted.limit;
    let products = db.load(after(wanted.after, limit)).await?;
    let full = i64::try_from(products.len()) == Ok(limit);
    let last = products.last().filter(|_| full);
    let next = last.map(|product| format!("/products?after={}&limit={limit}", product.id));
    Ok(Json(Page { products, next }))
}

async fn search(db: Db, Query(wanted): Query<WantedSearch>) -> Result<Json<Found>> {
    let products = db.load(described_by(wanted.words, wanted.limit)).await?;
    Ok(Json(Found { products }))
}

/// The product with that number.
pub(crate) fn by_id(id: i64) -> impl Yields<Product> {
    products::table.find(id).select(Product::as_select())
}

/// The products with the next higher numbers.
pub(crate) fn after(id: i64, limit: i64) -> impl Yields<Product> + 'static {
    products::table
        .filter(products::id.gt(id))
        .order(products::id)
        .limit(limit)
        .select(Product::as_select())
}

/// The products that the words describe, best first.
fn described_by(Words(words): Words, Limit(limit): Limit) -> impl Yields<Product> {
    let query = websearch(TsConfigurationByName("english"), words);
    let described = diesel::alias!(products as described);
    let some = described
        .filter(described.field(products::search).matches(query.clone()))
        .select(described.field(products::id))
        .limit(RANKED_MAX);
    products::table
        .filter(products::id.eq_any(some))
        .order((ts_rank(products::search, query).desc(), products::id))
        .limit(limit)
        .select(Product::as_select())
}

/// Which page is wanted: the products after a number.
#[derive(Debug, Deserialize)]
struct WantedPage {
    #[serde(default)]
    after: i64,
    #[serde(default)]
    limit: Limit,
}

/// A page of products and the address of the next one, if there is one.
#[derive(Debug, Serialize)]
struct Page {
    products: Vec<Product>,
    next: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WantedSearch {
    words: Words,
    #[serde(default)]
    limit: Limit,
}

#[derive(Debug, Serialize)]
struct Found {
    products: Vec<Product>,
}

/// How many products at most: from 1 to [`PAGE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
struct Limit(i64);

impl Default for Limit {
    fn default() -> Limit {
        Limit(PAGE_DEFAULT)
    }
}

impl TryFrom<i64> for Limit {
    type Error = String;

    fn try_from(limit: i64) -> Result<Limit, String> {
        if (1..=PAGE_MAX).contains(&limit) {
            return Ok(Limit(limit));
        }
        Err(format!("must be from 1 to {PAGE_MAX}, not {limit}"))
    }
}

/// Words to search for, as one types them into a search engine: `"cast iron" -skillet or wok`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Words(String);

impl TryFrom<String> for Words {
    type Error = String;

    fn try_from(words: String) -> Result<Words, String> {
        let characters = words.chars().count();
        if words.trim().is_empty() {
            return Err("must have at least one word".to_owned());
        }
        if characters > WORDS_CHARACTERS_MAX {
            return Err(format!(
                "must have at most {WORDS_CHARACTERS_MAX} characters, not {characters}"
            ));
        }
        // Postgres has no text with a NUL in it.
        if words.contains('\0') {
            return Err("must be text, without the character NUL".to_owned());
        }
        Ok(Words(words))
    }
}

#[cfg(test)]
mod tests;
