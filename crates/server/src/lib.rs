//! HTTP: who gets in, what each request crosses, every answer, and an orderly end.
//!
//! [`Server::bind`] opens the port, [`Server::serve`] gives each connection to a shard, and
//! [`Serving::drain`] ends it without losing a request. What a shard serves is an [`App`]: any
//! axum router, whose handlers ask for what they need ([`Db`], [`Offload`], [`Json`], [`Path`],
//! [`Query`]) and return a [`Result`]. Every failure is an [`Error`], and every error is an
//! answer that says what went wrong.
//!
//! ```
//! use axum::Router;
//! use axum::routing::post;
//! use http::StatusCode;
//! use serde::{Deserialize, Serialize};
//! use tenfold_server::{Error, Json, Path, Result};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     quantity: u32,
//! }
//!
//! #[derive(Serialize)]
//! struct Receipt {
//!     sale: i64,
//!     pieces: u32,
//! }
//!
//! async fn order(Path(sale): Path<i64>, Json(order): Json<Order>) -> Result<Json<Receipt>> {
//!     match order.quantity {
//!         0 => Err(Error::invalid("quantity", "must be at least 1")),
//!         1..=10 => Ok(Json(Receipt { sale, pieces: order.quantity })),
//!         _ => Err(Error::problem(StatusCode::CONFLICT, "sold_out", "there are ten pieces")),
//!     }
//! }
//!
//! let router: Router = Router::new().route("/sales/{sale}/orders", post(order));
//! ```
//!
//! The order of everything is in `pipeline.rs`, the list of all failures in `respond.rs`, and
//! the limits in `settings.rs`.

mod accept;
mod access_log;
mod activity;
mod admin;
mod bind;
mod body_max;
mod bytes_in_flight;
mod caller;
mod connection;
mod drain;
mod event_stream;
mod exchange;
mod extract;
mod files;
mod handover;
mod hosts;
mod listen;
mod metrics;
mod per_address;
mod piece;
mod pipeline;
mod proxies;
mod redirect;
mod request_body;
mod respond;
mod route;
mod settings;
mod side_port;
mod socket;
mod stream;
mod streams;
mod tls;
mod upgraded;
mod wire;

pub use admin::{Admin, AdminPages, BuildInfo, Decided, StartAdminError};
pub use bind::BindError;
pub use body_max::{BodyMax, WithBodyMax};
pub use caller::Caller;
pub use drain::{DrainReport, Readiness};
pub use event_stream::Draining;
pub use extract::{Db, Json, Offload, Path, Query, Resources};
pub use hosts::{Host, ParseHostError};
pub use listen::{OpenPorts, Server, Serving, StartServerError};
pub use pipeline::App;
pub use proxies::{ForwardedBy, Network};
pub use respond::{Error, Result};
pub use settings::{AdminSettings, ServerSettings};
pub use stream::{csv, json_array, ndjson, raw};
pub use tls::{ClientCertificates, Reload, TlsError};
