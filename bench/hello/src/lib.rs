//! The router that both servers serve: what a request costs before anything is done for it.

use axum::extract::{Path, Query};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// `GET /` is a few bytes of text; `GET /products/{id}?currency=EUR` reads its path and its query,
/// and answers with a small JSON object.
pub fn router() -> Router {
    Router::new().route("/", get(async || "hello")).route("/products/{id}", get(product))
}

#[derive(Deserialize)]
struct Asked {
    currency: Option<String>,
}

#[derive(Serialize)]
struct Product {
    id: i64,
    name: &'static str,
    price_cents: i64,
    currency: String,
    stock: u32,
}

async fn product(Path(id): Path<i64>, Query(asked): Query<Asked>) -> Json<Product> {
    let currency = asked.currency.unwrap_or_else(|| "EUR".to_owned());
    Json(Product { id, name: "Blue kettle, 1.7 litres", price_cents: 3_499, currency, stock: 12 })
}
