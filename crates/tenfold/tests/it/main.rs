//! What the guides show, as code that is compiled and run.
#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod database_guide;
mod snippets;
mod tls_guide;
