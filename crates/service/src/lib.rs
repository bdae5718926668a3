//! A service, put together from the parts: what starts when, what stops when, and what the
//! program's command line understands.
//!
//! ```no_run
//! use axum::{Router, routing::get};
//!
//! fn main() -> std::process::ExitCode {
//!     tenfold_service::service("hello")
//!         .routes(|| Router::new().route("/", get(async || "hello")))
//!         .run()
//! }
//! ```
//!
//! The order in which everything starts is in `start.rs`; it stops in reverse.

mod command_line;
mod embedded;
mod error;
mod running;
mod service;
mod settings;
mod sockets;
mod start;
mod systemd;

pub use embedded::PostgresDied;
pub use error::StartError;
pub use running::{Failure, Running};
pub use service::{Service, service};
pub use settings::{EmbeddedSettings, known_settings};
