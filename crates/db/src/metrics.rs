//! What is measured about the way to Postgres: how long it takes to get there, to be answered,
//! and in which state connections come back.

use tenfold_telemetry::metrics::{Counter, Family, Histogram, Registry};

use crate::abandoned::{Abandoned, NO_ROUTE};
use crate::cancel::CancelMetrics;
use crate::connection::Left;
use crate::error::{Error, Lane};
use crate::lanes::Lanes;
use crate::pool::Pool;
use crate::slow::SlowStatements;

/// All of it; handles are cheap to clone and to use.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseMetrics {
    pub(crate) pool: PoolMetrics,
    pub(crate) abandoned: Abandoned,
    transaction_retries: Family<Counter>,
    statements_again: Family<Counter>,
    shared_statement: Histogram,
    exclusive_statement: Histogram,
    readers_too_slow: Counter,
    errors: Family<Counter>,
}

impl DatabaseMetrics {
    pub(crate) fn new(registry: &Registry) -> DatabaseMetrics {
        let statement = |lane: Lane| {
            registry.histogram(
                "tenfold_db_statement_seconds",
                "Time from sending a statement to the end of its answer.",
                &[("lane", lane.name())],
            )
        };
        let abandoned = Abandoned::new(registry);
        DatabaseMetrics {
            pool: PoolMetrics::new(registry, abandoned.clone()),
            abandoned,
            transaction_retries: registry.family(
                "tenfold_db_transaction_retries_total",
                "Transactions begun again because they lost against another one.",
                &["transaction", "reason"],
            ),
            statements_again: registry.family(
                "tenfold_db_statements_again_total",
                "What was run again: reads whose connection was lost, or that the primary took over from a replica, and what waited too long for a lock on the shared lane.",
                &["reason"],
            ),
            shared_statement: statement(Lane::Shared),
            exclusive_statement: statement(Lane::Exclusive),
            readers_too_slow: registry.counter(
                "tenfold_db_stream_readers_too_slow_total",
                "Streams on a held connection that were ended because their reader was too slow.",
                &[],
            ),
            errors: registry.family(
                "tenfold_db_errors_total",
                "Queries without an answer, by the kind of failure.",
                &["class"],
            ),
        }
    }

    pub(crate) fn statement(&self, lane: Lane) -> &Histogram {
        match lane {
            Lane::Shared => &self.shared_statement,
            Lane::Exclusive | Lane::Stream => &self.exclusive_statement,
        }
    }

    /// A transaction is begun again after a `serialization` failure or a `deadlock`.
    pub(crate) fn transaction_retried(&self, transaction: &str, reason: &str) {
        self.transaction_retries.with(&[transaction, reason]).increment();
    }

    /// A stream was ended because of its reader.
    pub(crate) fn reader_too_slow(&self) {
        self.readers_too_slow.increment();
    }

    /// A single statement is run again after its `connection_lost`, or because of a `lock`.
    pub(crate) fn run_again(&self, reason: &str) {
        self.statements_again.with(&[reason]).increment();
    }

    /// Shows how many statements are too slow for the shared lane, read when somebody looks.
    pub(crate) fn watch_slow(&self, registry: &Registry, slow: &SlowStatements) {
        let slow = slow.clone();
        registry.gauge_with(
            "tenfold_db_slow_statements",
            "Statements that go to the exclusive lane because they were slow on the shared one.",
            &[],
            move || slow.away_count() as f64,
        );
    }

    pub(crate) fn failed(&self, error: &Error) {
        self.errors.with(&[error.class().name()]).increment();
    }

    /// Shows how full the pool is, read when somebody looks.
    pub(crate) fn watch_pool(&self, registry: &Registry, pool: &Pool) {
        type Read = fn(&Pool) -> usize;
        let states: [(&str, Read); 4] = [
            ("used", Pool::used_count),
            ("opening", Pool::opening_count),
            ("idle", Pool::idle_count),
            ("waited_for", |pool| pool.occupancy().waiting),
        ];
        for (state, read) in states {
            let pool = pool.clone();
            registry.gauge_with(
                "tenfold_db_pool_connections",
                "Connections of the exclusive lane, and requests that wait for one.",
                &[("state", state)],
                move || read(&pool) as f64,
            );
        }
        let pool = pool.clone();
        registry.gauge_with(
            "tenfold_db_pool_connections_max",
            "How many connections the exclusive lane may have: those used, idle and opening together.",
            &[],
            move || pool.connections_max() as f64,
        );
    }

    /// Shows how full the shared lanes of all shards are, read when somebody looks.
    pub(crate) fn watch_lanes(&self, registry: &Registry, lanes: &Lanes) {
        type Read = fn(&Lanes) -> usize;
        let gauge = |name: &str, help: &str, read: Read| {
            let lanes = lanes.clone();
            registry.gauge_with(name, help, &[], move || read(&lanes) as f64);
        };
        gauge(
            "tenfold_db_shared_in_flight",
            "Statements in flight on the shared lanes.",
            |lanes| lanes.occupancy().inside,
        );
        gauge(
            "tenfold_db_shared_waiting",
            "Statements that wait for a place on a shared lane.",
            |lanes| lanes.occupancy().waiting,
        );
        gauge(
            "tenfold_db_shared_in_flight_max",
            "How many statements may be in flight on the shared lanes of all shards together.",
            Lanes::places,
        );
    }
}

/// What is measured about the exclusive lane.
#[derive(Clone, Debug)]
pub(crate) struct PoolMetrics {
    pub(crate) wait: Histogram,
    pub(crate) hold: Histogram,
    pub(crate) abandoned: Abandoned,
    returned: Family<Counter>,
    refused: Family<Counter>,
    pub(crate) cancels: CancelMetrics,
    stopped: Family<Counter>,
    held_too_long: Family<Counter>,
    connects: Family<Counter>,
}

impl PoolMetrics {
    fn new(registry: &Registry, abandoned: Abandoned) -> PoolMetrics {
        PoolMetrics {
            abandoned,
            wait: registry.histogram(
                "tenfold_db_pool_wait_seconds",
                "Time that requests waited for a connection of their own, for it to be made included.",
                &[],
            ),
            hold: registry.histogram(
                "tenfold_db_pool_hold_seconds",
                "Time that a connection was in one request's hands.",
                &[],
            ),
            returned: registry.family(
                "tenfold_db_pool_returned_total",
                "Connections given back, by the state they were left in.",
                &["state"],
            ),
            cancels: CancelMetrics::new(registry),
            stopped: registry.family(
                "tenfold_db_stopped_total",
                "What was stopped for keeping a transaction open past database.transaction_age_max.",
                &["kind", "route"],
            ),
            refused: registry.family(
                "tenfold_db_pool_refused_total",
                "Requests that got no connection, by reason.",
                &["reason"],
            ),
            held_too_long: registry.family(
                "tenfold_db_pool_held_too_long_total",
                "Connections that were in one request's hands for longer than database.pool_hold_max.",
                &["kind"],
            ),
            connects: registry.family(
                "tenfold_db_pool_connects_total",
                "Attempts to connect, by outcome.",
                &["outcome"],
            ),
        }
    }

    pub(crate) fn returned(&self, left: Left) {
        self.returned.with(&[left.name()]).increment();
    }

    pub(crate) fn stopped(&self, kind: &str, route: Option<&str>) {
        self.stopped.with(&[kind, route.unwrap_or(NO_ROUTE)]).increment();
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.with(&[reason]).increment();
    }

    /// Somebody has held a connection past `database.pool_hold_max`.
    pub(crate) fn held_too_long(&self, kind: &'static str) {
        self.held_too_long.with(&[kind]).increment();
    }

    pub(crate) fn connected(&self, succeeded: bool) {
        self.connects.with(&[if succeeded { "success" } else { "failure" }]).increment();
    }
}
