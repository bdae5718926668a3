//! What is measured about the way to Postgres: how long it takes to get there, to be answered,
//! and in which state connections come back.

use tenfold_overload::Refusal;
use tenfold_telemetry::metrics::{Counter, Family, Histogram, Registry};

use crate::connection::Left;
use crate::error::{Error, Lane};
use crate::lanes::Lanes;
use crate::pool::Pool;

/// All of it; handles are cheap to clone and to use.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseMetrics {
    pub(crate) pool: PoolMetrics,
    transaction_retries: Family<Counter>,
    shared_statement: Histogram,
    exclusive_statement: Histogram,
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
        DatabaseMetrics {
            pool: PoolMetrics::new(registry),
            transaction_retries: registry.family(
                "tenfold_db_transaction_retries_total",
                "Transactions begun again because they lost against another one.",
                &["transaction", "reason"],
            ),
            shared_statement: statement(Lane::Shared),
            exclusive_statement: statement(Lane::Exclusive),
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
    returned: Family<Counter>,
    refused: Family<Counter>,
    connects: Family<Counter>,
}

impl PoolMetrics {
    fn new(registry: &Registry) -> PoolMetrics {
        PoolMetrics {
            wait: registry.histogram(
                "tenfold_db_pool_wait_seconds",
                "Time that requests waited for a connection of their own.",
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
            refused: registry.family(
                "tenfold_db_pool_refused_total",
                "Requests that got no connection, by reason.",
                &["reason"],
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

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused.with(&[refusal.reason()]).increment();
    }

    pub(crate) fn connected(&self, succeeded: bool) {
        self.connects.with(&[if succeeded { "success" } else { "failure" }]).increment();
    }
}
