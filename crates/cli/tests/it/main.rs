//! The program as a newcomer meets it: a real process, its output, its exit code, and what it
//! leaves behind.
#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod config;
mod data_folder;
mod database;
mod demo;
mod full_disk;
mod load;
mod migrate;
mod no_postgres;
mod ports;
mod show;
mod signals;
mod support;
