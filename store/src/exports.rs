//! The whole catalog in one answer, in three formats. Read key by key in chunks: memory stays
//! the same however many products there are, and somebody who reads slowly, or stops, keeps no
//! connection to the database from others.

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use futures_util::Stream;
use tenfold::{Db, csv, db, json_array, ndjson};

use crate::products::{self, Product};

/// Products that are fetched at once: enough that asking costs little, few enough that they fit
/// into a few hundred kilobytes.
const CHUNK: i64 = 500;

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/export.json", get(as_json))
        .route("/export.ndjson", get(as_ndjson))
        .route("/export.csv", get(as_csv))
}

async fn as_json(db: Db) -> Response {
    json_array(catalog(&db))
}

async fn as_ndjson(db: Db) -> Response {
    ndjson(catalog(&db))
}

async fn as_csv(db: Db) -> Response {
    csv(catalog(&db))
}

/// All products, by number.
fn catalog(db: &Db) -> impl Stream<Item = db::Result<Product>> + Send + use<> {
    db.stream_by_key(
        |last| products::after(last.unwrap_or(0), CHUNK),
        |product: &Product| product.id,
    )
}
