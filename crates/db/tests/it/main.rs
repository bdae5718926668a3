//! The data layer against a real Postgres of its own.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod certificates;
mod kit;
mod warnings;

mod aside;
mod batches;
mod cancellation;
mod cancelled_anywhere;
mod commit_unknown;
mod copy;
mod exclusive_lane;
mod lost_connections;
mod migrations;
mod nested;
mod oldest;
mod pool;
mod pooler;
mod queries;
mod replicas;
mod servers;
mod shared_lane;
mod slow_statements;
mod stale_statements;
mod streams;
mod tls;
mod transaction_options;
mod transactions;
mod types;
