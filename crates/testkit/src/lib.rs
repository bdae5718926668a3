//! What tests need to misbehave on purpose: a client that sends any bytes and leaves when it
//! likes, a network that cuts, stalls and crawls, and certificates, ports and programs for a
//! moment.
//!
//! It knows no capability of Tenfold, so that it may be a dev-dependency of every crate and can
//! hide no fault of any.
//!
//! ```no_run
//! # async fn example(address: std::net::SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
//! use tenfold_testkit::{Client, End, get};
//!
//! assert_eq!(get(address, "/products/1").await?.status, 200);
//!
//! let mut client = Client::connect(address).await?;
//! client.send(b"GET /export.json HTTP/1.1\r\nhost: test\r\n\r\n").await?;
//! let export = client.read_response().await?;
//! assert_eq!(export.end, End::Early, "the server gave up in the middle of the body");
//! # Ok(())
//! # }
//! ```

mod client;
mod fault;
mod fuzz;
mod port;
mod process;
mod program;
mod response;
mod tls;

pub use client::{Client, Closed, get, request};
pub use fault::{Proxy, Side, Upstream};
pub use fuzz::{Effort, fuzz};
pub use port::{free_port, free_ports};
pub use process::{Output, RunError, run, tool};
pub use program::Program;
pub use response::{End, Head, ReadError, Response};
pub use tls::SelfSigned;
