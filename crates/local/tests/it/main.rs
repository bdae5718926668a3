//! The promises of a private server, tried with a real Postgres: as this user, and, when the
//! tests run as root, as the unprivileged one.
#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod kept;
mod life;
mod machine;
mod parent;
mod support;
mod wheel;
