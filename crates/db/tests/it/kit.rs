//! A private Postgres with the tables that the tests use.

use std::ops::Deref;
use std::time::Duration;

use diesel::prelude::*;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Database, DatabaseSettings, Db, ShardDatabase};
use tenfold_local::{Postgres, PostgresOptions};
use tenfold_telemetry::metrics::Registry;

/// A Postgres that listens at a port of this machine as well, and the port.
pub(crate) fn postgres_on_tcp() -> (Postgres, u16) {
    let port = tenfold_testkit::free_port().unwrap();
    let options = PostgresOptions {
        database: "bench".into(),
        tcp_port: Some(port),
        ..PostgresOptions::default()
    };
    (Postgres::start(&options, &|_| {}).unwrap(), port)
}

/// Does what takes a while without an event loop on a thread of its own: on this one, whoever is
/// under test would stand still for as long.
pub(crate) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let working = std::thread::spawn(work);
    while !working.is_finished() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    working.join().unwrap()
}

/// Waits for what takes a moment; what hangs is named instead of hanging the test.
#[track_caller]
pub(crate) fn within_a_minute<T>(
    what: &str,
    wait: impl Future<Output = T>,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        waited.unwrap_or_else(|_elapsed| panic!("{what} hangs, at {place}"))
    }
}

diesel::table! {
    pieces (id) {
        id -> BigInt,
        name -> Text,
        stock -> Integer,
        note -> Nullable<Text>,
    }
}

diesel::table! {
    sales (id) {
        id -> BigInt,
        piece_id -> BigInt,
        quantity -> Integer,
    }
}

diesel::joinable!(sales -> pieces (piece_id));
diesel::allow_tables_to_appear_in_same_query!(pieces, sales);

#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = pieces, check_for_backend(diesel::pg::Pg))]
pub(crate) struct Piece {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) stock: i32,
    pub(crate) note: Option<String>,
}

pub(crate) fn piece(id: i64, name: &str, stock: i32) -> Piece {
    Piece { id, name: name.to_owned(), stock, note: None }
}

const TABLES: &str = "
    CREATE TABLE pieces (
        id bigint PRIMARY KEY, name text NOT NULL UNIQUE,
        stock integer NOT NULL CHECK (stock >= 0), note text);
    CREATE TABLE sales (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        piece_id bigint NOT NULL REFERENCES pieces, quantity integer NOT NULL);";

/// A Postgres and one shard's way to it. Dereferences to a [`Db`] of twenty seconds' patience.
pub(crate) struct Bench {
    db: Db,
    pub(crate) shard: ShardDatabase,
    pub(crate) database: Database,
    pub(crate) registry: Registry,
    pub(crate) settings: DatabaseSettings,
    pub(crate) postgres: Postgres,
}

impl Deref for Bench {
    type Target = Db;

    fn deref(&self) -> &Db {
        &self.db
    }
}

impl Bench {
    pub(crate) async fn start() -> Bench {
        Bench::with(|_| {}).await
    }

    /// With settings of its own.
    pub(crate) async fn with(change: impl FnOnce(&mut DatabaseSettings)) -> Bench {
        let options = PostgresOptions { database: "bench".into(), ..PostgresOptions::default() };
        let postgres = Postgres::start(&options, &|_| {}).unwrap();
        let mut settings = DatabaseSettings {
            url: Some(Secret::new(postgres.url())),
            ..DatabaseSettings::default()
        };
        change(&mut settings);
        let registry = Registry::new();
        let database = Database::open(&settings, "test", &registry).await.unwrap();
        let shard = database.on_this_shard();
        let context = Context::new().with_deadline(Deadline::after(Duration::from_secs(20)));
        let db = shard.handle(context);
        let bench = Bench { db, shard, database, registry, settings, postgres };
        bench.batch(TABLES).await;
        bench
    }

    /// The database for somebody who waits that long.
    pub(crate) fn patient(&self, patience: Duration) -> Db {
        self.db.clone().with_deadline(Deadline::after(patience))
    }

    /// Runs SQL text outside of everything under test.
    pub(crate) async fn batch(&self, sql: &str) {
        self.observer().await.batch_execute(sql).await.unwrap();
    }

    /// A number that Postgres knows, asked outside of everything under test.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.observer().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn observer(&self) -> tokio_postgres::Client {
        let url = self.postgres.url();
        let connect = tokio_postgres::connect(&url, tokio_postgres::NoTls);
        let (client, connection) = connect.await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Waits until Postgres says that number; a test that hangs here has failed.
    pub(crate) async fn until(&self, sql: &str, expected: i64) {
        let observer = self.observer().await;
        let mut seen = None;
        for _ in 0..500 {
            seen = Some(observer.query_one(sql, &[]).await.unwrap().get::<_, i64>(0));
            if seen == Some(expected) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{sql}: expected {expected}, still {seen:?} after ten seconds");
    }

    pub(crate) async fn insert(&self, pieces: &[Piece]) {
        let query = diesel::insert_into(pieces::table).values(pieces.to_vec());
        self.execute(query).await.unwrap();
    }

    /// One line of `/metrics`: the value of this series.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.registry.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// Backends of the service (not of the observers) in this state, as SQL.
pub(crate) fn backends(state: &str) -> String {
    format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test' AND state = '{state}'"
    )
}

pub(crate) fn sleep_ten_seconds() -> impl tenfold_db::Yields<bool> + use<> {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(10) IS NULL"))
}
