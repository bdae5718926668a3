//! The pool itself: how connections are made, held, given back and looked after.

mod connects;
mod fewer;
mod holds;
mod returns;
mod size;
mod upkeep;
mod waits;

use std::time::Duration;

use diesel::sql_types::Bool;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Database, DatabaseSettings, Db, ShardDatabase};
use tenfold_telemetry::metrics::Registry;
use tenfold_testkit::{Proxy, Upstream};

use crate::kit::Bench;

/// A database behind a network that misbehaves when told to, with metrics of its own.
struct Proxied {
    proxy: Proxy,
    shard: ShardDatabase,
    registry: Registry,
    // Postgres goes last.
    bench: Bench,
}

impl Proxied {
    async fn with(change: impl FnOnce(&mut DatabaseSettings)) -> Proxied {
        let bench = Bench::start().await;
        let socket = bench.postgres.socket_directory().join(".s.PGSQL.5432");
        let proxy = Proxy::start(Upstream::Unix(socket)).await.unwrap();
        let mut settings = bench.settings.clone();
        settings.url = Some(Secret::new(format!("postgres://postgres@{}/bench", proxy.address())));
        change(&mut settings);
        let registry = Registry::new();
        let database = Database::open(&settings, "proxied", &registry).await.unwrap();
        let shard = database.on_this_shard();
        Proxied { proxy, shard, registry, bench }
    }

    /// Somebody who wants a connection of their own, and waits that long.
    fn exclusive(&self, patience: Duration) -> Db {
        let context = Context::new().with_deadline(Deadline::after(patience));
        self.shard.handle(context).exclusive()
    }

    fn metric(&self, series: &str) -> f64 {
        value(&self.registry, series)
    }

    fn connections(&self, state: &str) -> f64 {
        self.metric(&format!("tenfold_db_pool_connections{{state=\"{state}\"}}"))
    }

    /// Waits until a series has that value; a test that hangs here has failed.
    async fn until(&self, series: &str, expected: f64) {
        for _ in 0..500 {
            if self.metric(series) == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{series}: expected {expected}, still {} after ten seconds", self.metric(series));
    }
}

fn value(registry: &Registry, series: &str) -> f64 {
    let text = registry.encode();
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

fn sleep_seconds(seconds: &str) -> impl tenfold_db::Yields<bool> + use<> {
    diesel::select(diesel::dsl::sql::<Bool>(&format!("pg_sleep({seconds}) IS NULL")))
}

const PATIENT: Duration = Duration::from_secs(20);
