//! The reference service: a flash sale, written the way a user of Tenfold would write it.
//!
//! One feature is one file, with its routes, its queries and its limits together:
//!
//! - [`products`]: one product, a page of them, a search by words;
//! - [`orders`]: selling without ever overselling;
//! - [`label`]: a picture that takes a processor's time;
//! - [`exports`]: the whole catalog at the reader's pace;
//! - [`report`]: one heavy question;
//! - [`catalog`]: something to sell, made from a seed.

pub mod catalog;
mod exports;
pub mod label;
pub mod orders;
pub mod products;
mod report;
mod schema;

use axum::Router;
use axum::routing::get;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use tenfold::Service;

/// What brings a database to the shape that this version of the store needs.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// What its customers do, as a scenario for `tenfold load`: of a service at
/// `http://127.0.0.1:8080` with 100000 products.
pub const SALE: &str = include_str!("../load/sale.toml");

/// The whole service, ready to run: on the Postgres of `DATABASE_URL`, or on one of its own.
pub fn service() -> Service {
    tenfold::service("store").migrations(MIGRATIONS).embedded_database().routes(router)
}

/// Every path of the store.
pub fn router() -> Router {
    Router::new()
        .merge(products::routes())
        .merge(orders::routes())
        .merge(exports::routes())
        .route("/products/{id}/label.png", get(label::read))
        .route("/report", get(report::read))
}
