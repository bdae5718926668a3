//! What can be seen only from outside of a process.

#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod signals;
