//! A service as whoever runs it sees it: a real process, its exit code, and what it says.
#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod certificates;
mod command_line;
mod limits_page;
mod logs;
mod mishaps;
mod pool_size;
mod stop;
mod support;
mod systemd;
