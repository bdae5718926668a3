//! Queries as values over two lanes to Postgres.
//!
//! A query is any value that diesel can build. [`Db`] decides how it travels:
//!
//! - **shared lane**: single statements, those of many requests pipelined over few connections;
//! - **exclusive lane**: [transactions](Db::transaction), and what asks for it with
//!   [`Db::exclusive`], on a connection of their own from a pool behind a gate;
//! - **streams**: [`Db::stream`] and [`Db::stream_by_key`] read rows at their reader's pace,
//!   never on a shared connection.
//!
//! Rows in bulk go in with one statement that is always the same: [`batch`].
//!
//! Every wait ends at the deadline of the [`Context`](tenfold_context::Context); every place in
//! a line or on a connection goes back when the caller leaves, cleaned up if need be.

mod abandoned;
mod address;
mod backoff;
mod batch;
mod binds;
mod cancel;
mod connect;
mod connection;
mod copy;
mod database;
mod error;
mod lane;
mod lanes;
mod metrics;
mod migrate;
mod observer;
mod oldest;
mod open_ended;
mod pool;
mod pooled;
mod query;
mod refused;
mod repeatable;
mod replica;
mod role;
mod row;
mod run;
mod session;
mod settings;
mod slow;
mod statements;
mod stream;
mod tls;
mod transaction;
mod types;

pub use address::TargetSessionAttrs;
pub use batch::{Batch, batch};
pub use database::{Database, Db, ShardDatabase};
pub use error::{Cause, Class, Error, Lane, PostgresError, Result};
pub use migrate::{MigrateError, MigrationState, MigrationStatus};
pub use pool::{Holder, PoolSize};
pub use query::{Statement, Yields};
pub use replica::{Lsn, NoLsn, ReplicaReads};
pub use settings::{DatabaseSettings, Pooler};
pub use tls::SslMode;
pub use transaction::{Begin, NamedBudget, Spent, Transaction};
