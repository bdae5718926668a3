//! TLS: which certificate a client gets and whether it must show its own, handshakes that cannot
//! corner anybody else, and files that are exchanged while connections come in.
//!
//! A handshake reads, in this order: `handshake.rs` (its places and turns), `current.rs` (the
//! settings of this moment), `names.rs` (the certificate for a name).

mod build;
mod current;
mod error;
mod expiry;
mod handshake;
mod metrics;
mod names;
mod pem;
mod settings;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use current::Tls;
pub use error::TlsError;
pub(crate) use handshake::{HandshakeError, Handshakes};
pub use settings::ClientCertificates;
pub use watch::Reload;
pub(crate) use watch::Watch;
