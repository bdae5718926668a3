//! The store as its customers see it: over HTTP, on a real Postgres of its own.
#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

/// A store for a test, and what tests do with it.
mod support;

/// What a search for the limit says of what it ran out of.
mod bottleneck;
/// The whole catalog in three formats, for readers of every speed.
mod exports;
/// Labels for the shelf.
mod label;
/// Selling, and never too much.
mod orders;
/// What is for sale.
mod products;
/// The programs that people use beside a service.
mod programs;
/// The heavy question.
mod report;
/// Postgres freezes, dies, and comes back.
mod storm;
