//! HTTP + Postgres services that keep working when their traffic multiplies by ten.
//!
//! A service is a name and an axum router; everything that protects it is on by default.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use axum::{Router, routing::get};
//!
//! fn main() -> ExitCode {
//!     tenfold::service("hello")
//!         .routes(|| Router::new().route("/", get(async || "hello")))
//!         .run()
//! }
//! ```
//!
//! # Asking the database
//!
//! A query is a value of diesel's typed builder. The [`Db`] in a handler's arguments decides
//! how it travels, and gives up at the request's deadline:
//!
//! ```no_run
//! use diesel::prelude::*;
//! use serde::Serialize;
//! use tenfold::{Db, Json, Path, Result};
//!
//! diesel::table! {
//!     products (id) { id -> BigInt, name -> Text, stock -> Integer, }
//! }
//!
//! #[derive(Queryable, Serialize)]
//! struct Product {
//!     id: i64,
//!     name: String,
//!     stock: i32,
//! }
//!
//! async fn product(db: Db, Path(id): Path<i64>) -> Result<Json<Product>> {
//!     Ok(Json(db.first(products::table.find(id)).await?))
//! }
//! # let _: axum::Router = axum::Router::new().route("/products/{id}", axum::routing::get(product));
//! ```
//!
//! # All or nothing
//!
//! A transaction has a name, a time budget and a connection of its own:
//!
//! ```no_run
//! # use diesel::prelude::*;
//! # diesel::table! {
//! #     products (id) { id -> BigInt, name -> Text, stock -> Integer, }
//! # }
//! use axum::http::StatusCode;
//! use tenfold::{Db, Error, Path, Result};
//!
//! async fn sell_one(db: Db, Path(id): Path<i64>) -> Result<StatusCode> {
//!     db.transaction("sell_one", async |tx| {
//!         let one_less = diesel::update(products::table.find(id))
//!             .filter(products::stock.ge(1))
//!             .set(products::stock.eq(products::stock - 1));
//!         match tx.execute(one_less).await? {
//!             1 => Ok(StatusCode::NO_CONTENT),
//!             _ => Err(Error::problem(StatusCode::CONFLICT, "sold_out", "none are left")),
//!         }
//!     })
//!     .await
//! }
//! # let _: axum::Router = axum::Router::new().route("/products/{id}/sell", axum::routing::post(sell_one));
//! ```
//!
//! # More than fits into memory
//!
//! Rows go from Postgres to the socket at the pace of the reader:
//!
//! ```no_run
//! # use diesel::prelude::*;
//! # diesel::table! {
//! #     products (id) { id -> BigInt, name -> Text, stock -> Integer, }
//! # }
//! # #[derive(Queryable, serde::Serialize)]
//! # struct Product { id: i64, name: String, stock: i32 }
//! use axum::response::IntoResponse;
//! use tenfold::{Db, json_array};
//!
//! async fn export(db: Db) -> impl IntoResponse {
//!     json_array(db.stream::<Product, _>(products::table.order(products::id)))
//! }
//! # let _: axum::Router = axum::Router::new().route("/export.json", axum::routing::get(export));
//! ```
//!
//! # More than a core can do
//!
//! CPU work leaves the event loop through [`Offload`], which has threads and a bounded line of
//! its own:
//!
//! ```no_run
//! use tenfold::{Offload, Result};
//!
//! async fn prime(offload: Offload) -> Result<String> {
//!     let is_prime = |n: &u64| (2..*n).all(|m| n % m != 0);
//!     let prime = offload.run(move || (100_000..).find(is_prime)).await?;
//!     Ok(format!("{prime:?}"))
//! }
//! # let _: axum::Router = axum::Router::new().route("/prime", axum::routing::get(prime));
//! ```

pub use tenfold_config as config;
pub use tenfold_context as context;
pub use tenfold_db as db;
pub use tenfold_overload as overload;
pub use tenfold_runtime as runtime;
pub use tenfold_server as server;
pub use tenfold_telemetry as telemetry;

pub use tenfold_server::{
    Caller, Db, Draining, Error, Json, Offload, Path, Query, Result, csv, json_array, ndjson, raw,
};
pub use tenfold_service::{
    Failure, PostgresDied, Running, Service, StartError, known_settings, service,
};
