//! Behind the real PgBouncer in transaction pooling, where each transaction may come to another
//! session of Postgres.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use futures_util::{TryStreamExt, stream};
use tempfile::TempDir;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{
    Class, Database, DatabaseSettings, Db, Error, MigrateError, Pooler, ShardDatabase,
};
use tenfold_local::{Postgres, PostgresOptions};
use tenfold_telemetry::metrics::Registry;
use tenfold_testkit::Program;

use crate::kit::sleep_ten_seconds;

/// Sessions of Postgres that the pooler lends: fewer than we have connections.
const SESSIONS: usize = 2;

/// PgBouncer before a Postgres.
struct Pooled {
    bouncer: Program,
    postgres: Postgres,
    url: String,
    _folder: TempDir,
}

impl Pooled {
    async fn start() -> Pooled {
        Pooled::lending(SESSIONS).await
    }

    async fn lending(sessions: usize) -> Pooled {
        let options = PostgresOptions { database: "bench".into(), ..PostgresOptions::default() };
        let postgres = Postgres::start(&options, &|_| {}).unwrap();
        let sockets = postgres.socket_directory();
        let port = tenfold_testkit::free_port().unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n\
             bench = host={} port=5432 dbname=bench user=postgres\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {sessions}\n\
             max_client_conn = 200\n",
            sockets.display()
        );
        std::fs::write(&file, settings).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        let mut command = Command::new(tenfold_testkit::tool("pgbouncer"));
        command.arg(&file).current_dir("/");
        // It refuses to be root, and only the user of Postgres gets to that socket.
        let owner = std::fs::metadata(sockets).unwrap();
        if std::fs::metadata(folder.path()).unwrap().uid() == 0 {
            command.uid(owner.uid()).gid(owner.gid());
        }
        let bouncer = Program::start(command).unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{port}/bench");
        let pooled = Pooled { bouncer, postgres, url, _folder: folder };
        for _ in 0..500 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return pooled;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("PgBouncer does not listen:\n{}", pooled.bouncer.said());
    }

    fn settings(&self, pooler: Pooler) -> DatabaseSettings {
        let url = Some(Secret::new(&self.url));
        DatabaseSettings { url, pooler, pool_max: 8, ..DatabaseSettings::default() }
    }

    /// Straight to Postgres.
    async fn batch(&self, sql: &str) {
        let url = self.postgres.url();
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }
}

async fn open(settings: &DatabaseSettings) -> Result<ShardDatabase, Error> {
    let database = Database::open(settings, "test", &Registry::new()).await?;
    Ok(database.on_this_shard())
}

fn patient(shard: &ShardDatabase) -> Db {
    shard.handle(Context::new().with_deadline(Deadline::after(Duration::from_secs(20))))
}

// What `diesel print-schema` would write, with everything public as it does.
mod schema {
    #![allow(unreachable_pub, reason = "diesel's macro makes public modules")]

    #[derive(diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "mood"))]
    pub struct Mood;

    diesel::table! {
        use diesel::sql_types::BigInt;
        use super::Mood;
        counts (id) { id -> BigInt, n -> BigInt, mood -> Mood, }
    }
}
use schema::{Mood, counts};

/// Read and written as the bytes of its word.
#[derive(
    Debug, Clone, PartialEq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
)]
#[diesel(sql_type = Mood)]
struct Word(String);

impl diesel::serialize::ToSql<Mood, diesel::pg::Pg> for Word {
    fn to_sql<'b>(
        &'b self,
        out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
    ) -> diesel::serialize::Result {
        std::io::Write::write_all(out, self.0.as_bytes())?;
        Ok(diesel::serialize::IsNull::No)
    }
}

impl diesel::deserialize::FromSql<Mood, diesel::pg::Pg> for Word {
    fn from_sql(value: diesel::pg::PgValue<'_>) -> diesel::deserialize::Result<Word> {
        Ok(Word(String::from_utf8(value.as_bytes().to_vec())?))
    }
}

const TABLES: &str = "
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE counts (id bigint PRIMARY KEY, n bigint NOT NULL, mood mood NOT NULL);
    INSERT INTO counts SELECT id, 0, 'good' FROM generate_series(0, 9) id;";

#[tokio::test]
async fn without_the_setting_the_error_names_it() {
    let pooled = Pooled::start().await;
    let said = open(&pooled.settings(Pooler::None)).await.unwrap_err().to_string();
    assert!(said.contains("unsupported startup parameter: options"), "{said}");
    assert!(said.contains("database.pooler"), "{said}");
}

#[tokio::test]
async fn many_share_few_sessions_on_every_lane_and_none_is_in_the_others_way() {
    let pooled = Pooled::start().await;
    pooled.batch(TABLES).await;
    // Two services, whose statements would have the same names in the same sessions.
    let mut settings = pooled.settings(Pooler::Transaction);
    // Twenty at once wait for two sessions.
    settings.transaction_budget = Duration::from_secs(10);
    let one = open(&settings).await.unwrap();
    let two = open(&settings).await.unwrap();
    let tasks = (0..40_i64).map(|index| {
        let db = patient(if index % 2 == 0 { &one } else { &two });
        tokio::spawn(async move {
            for round in 0..20 {
                let id = (index + round) % 10;
                let mood = Word(if round % 2 == 0 { "good" } else { "bad" }.to_owned());
                let add = || {
                    diesel::update(counts::table.find(id))
                        .set((counts::n.eq(counts::n + 1), counts::mood.eq(mood.clone())))
                };
                match round % 4 {
                    0 => db.execute(add()).await.map(|_| ())?,
                    1 => db.exclusive().first::<(i64, i64, Word)>(add()).await.map(|_| ())?,
                    2 => {
                        db.transaction("add", async |tx| {
                            tx.execute(add()).await?;
                            tx.first::<(i64, i64, Word)>(counts::table.find(id)).await
                        })
                        .await?;
                    }
                    _ => {
                        db.execute(add()).await?;
                        let boxed = counts::table.filter(counts::n.ge(0)).into_boxed();
                        assert_eq!(db.load::<(i64, i64, Word)>(boxed).await?.len(), 10);
                    }
                }
            }
            Ok::<(), Error>(())
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let sum = diesel::select(diesel::dsl::sql::<BigInt>("(SELECT sum(n)::bigint FROM counts)"));
    assert_eq!(patient(&one).first::<i64>(sum).await.unwrap(), 40 * 20);
    let sessions = "(SELECT count(*) FROM pg_stat_activity WHERE datname = 'bench')";
    let sessions = diesel::select(diesel::dsl::sql::<BigInt>(sessions));
    let sessions: i64 = patient(&one).first(sessions).await.unwrap();
    assert!(sessions <= SESSIONS as i64, "{sessions}");
}

/// COPY takes more than one message, and they all have to come to the same session.
#[tokio::test]
async fn copy_in_both_directions_comes_to_one_session() {
    let pooled = Pooled::start().await;
    pooled.batch(TABLES).await;
    let settings = pooled.settings(Pooler::Transaction);
    let (one, two) = (open(&settings).await.unwrap(), open(&settings).await.unwrap());
    let tasks = (1..=16_i64).map(|task| {
        let db = patient(if task % 2 == 0 { &one } else { &two });
        tokio::spawn(async move {
            for round in 1..=10 {
                let ids = (0..100).map(|n| task * 10_000 + round * 100 + n);
                let mood = || Word("bad".to_owned());
                let rows = ids
                    .clone()
                    .map(|id| (counts::id.eq(id), counts::n.eq(round), counts::mood.eq(mood())));
                let lines = ids.map(|id| format!("{id},{round},good\n").into());
                let broken = [Err(Error::NotFound)];
                let into = "COPY counts FROM STDIN (FORMAT csv)";
                let copied = match round % 3 {
                    0 => db.copy_rows(counts::table, stream::iter(rows)).await?,
                    1 => db.copy_in(into, stream::iter(lines)).await?,
                    _ => {
                        let failing = stream::iter(lines.map(Ok).chain(broken));
                        let failed = db.try_copy_in(into, failing).await.unwrap_err();
                        assert!(matches!(failed, Error::NotFound), "{failed}");
                        100
                    }
                };
                assert_eq!(copied, 100);
                let of_round = "COPY (SELECT id FROM counts WHERE id / 10000 = ";
                let out = format!("{of_round}{task} AND n = {round}) TO STDOUT");
                let lines: Vec<_> = db.copy_out(&out).try_collect().await?;
                let expected = if round % 3 == 2 { 0 } else { 100 };
                assert_eq!(lines.len(), expected);
                // Somebody else's statements go through the same sessions.
                let found = db.load::<(i64, i64, Word)>(counts::table.find(task % 10)).await?;
                assert_eq!(found.len(), 1);
            }
            Ok::<(), Error>(())
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap().unwrap();
    }
    let db = patient(&one);
    assert_eq!(db.first::<i64>(counts::table.count()).await.unwrap(), 10 + 16 * 7 * 100);
    // What COPY has done is committed with its last row, and an error of it is no whole answer.
    let moved = "COPY (DELETE FROM counts WHERE id > 9 RETURNING id) TO STDOUT";
    assert_eq!(db.copy_out(moved).try_collect::<Vec<_>>().await.unwrap().len(), 16 * 7 * 100);
    assert_eq!(db.first::<i64>(counts::table.count()).await.unwrap(), 10);
    let failing = "COPY (SELECT 10 / (5 - n) FROM generate_series(1, 9) n) TO STDOUT";
    assert!(db.copy_out(failing).try_collect::<Vec<_>>().await.is_err());
    let idle = || {
        diesel::select(diesel::dsl::sql::<BigInt>(
            "(SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%')",
        ))
    };
    for _ in 0..500 {
        if db.first::<i64>(idle()).await.unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("a transaction is open still");
}

#[tokio::test]
async fn nothing_is_left_behind_in_a_session_that_others_get() {
    let pooled = Pooled::start().await;
    pooled.batch(TABLES).await;
    let shard = open(&pooled.settings(Pooler::Transaction)).await.unwrap();
    let db = patient(&shard);
    for _ in 0..10 {
        db.first::<(i64, i64, Word)>(counts::table.find(1_i64)).await.unwrap();
    }
    let statements = diesel::select(diesel::dsl::sql::<BigInt>(
        "(SELECT count(*) FROM pg_prepared_statements WHERE name <> '')",
    ));
    let timeout =
        || diesel::select(diesel::dsl::sql::<Text>("current_setting('statement_timeout')"));
    assert_eq!(db.first::<i64>(statements).await.unwrap(), 0);
    assert_eq!(db.first::<String>(timeout()).await.unwrap(), "0");
    assert_eq!(db.exclusive().first::<String>(timeout()).await.unwrap(), "0");
}

/// As with a PgBouncer that carries prepared statements over, which this one is too old for: with
/// one session to lend there is nothing to carry.
#[tokio::test]
async fn where_prepared_statements_are_carried_over_they_have_names() {
    let pooled = Pooled::lending(1).await;
    pooled.batch(TABLES).await;
    let shard = open(&pooled.settings(Pooler::TransactionPrepared)).await.unwrap();
    let db = patient(&shard);
    for _ in 0..3 {
        db.first::<(i64, i64, Word)>(counts::table.find(1_i64)).await.unwrap();
    }
    let statements = diesel::select(diesel::dsl::sql::<BigInt>(
        "(SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%counts%')",
    ));
    assert_eq!(db.first::<i64>(statements).await.unwrap(), 1, "prepared once, under its name");
}

#[tokio::test]
async fn a_type_that_is_newer_than_the_connection_is_known_to_the_next() {
    let pooled = Pooled::start().await;
    let shard = open(&pooled.settings(Pooler::Transaction)).await.unwrap();
    let db = patient(&shard);
    let one = || diesel::select(diesel::dsl::sql::<BigInt>("1::bigint"));
    db.first::<i64>(one()).await.unwrap();
    pooled.batch(TABLES).await;
    // At worst each connection has to find out by failing once.
    let mut row = Err(Error::NotFound);
    for _ in 0..20 {
        row = db.first::<(i64, i64, Word)>(counts::table.find(1_i64)).await;
        if row.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(row.unwrap(), (1, 0, Word("good".to_owned())));
}

#[tokio::test]
async fn a_dropped_statement_and_a_dropped_transaction_leave_nothing_behind() {
    let pooled = Pooled::start().await;
    pooled.batch(TABLES).await;
    let mut settings = pooled.settings(Pooler::Transaction);
    settings.transaction_budget = Duration::from_secs(10);
    let registry = Registry::new();
    let shard = Database::open(&settings, "test", &registry).await.unwrap().on_this_shard();
    let db = patient(&shard);
    // As many as there are sessions: were one of them not cancelled, the next would wait for it.
    for _ in 0..SESSIONS {
        let impatient = db.exclusive().with_deadline(Deadline::after(Duration::from_secs(1)));
        let error = impatient.load::<bool>(sleep_ten_seconds()).await.unwrap_err();
        assert_eq!(error.class(), Class::TooSlow);
        let left = {
            let db = db.clone();
            tokio::spawn(async move {
                db.transaction("leaves", async |tx| {
                    let set = diesel::update(counts::table.find(1_i64)).set(counts::n.eq(100));
                    tx.execute(set).await?;
                    std::future::pending::<Result<(), Error>>().await
                })
                .await
            })
        };
        tokio::time::sleep(Duration::from_millis(200)).await;
        left.abort();
    }
    let patience = Deadline::after(Duration::from_secs(5));
    let add = diesel::update(counts::table.find(1_i64)).set(counts::n.eq(counts::n + 1));
    assert_eq!(db.clone().with_deadline(patience).execute(add).await.unwrap(), 1);
    // They were cancelled, not given up: no connection was made that is not one of those in use.
    let metrics = registry.encode();
    let connects = "tenfold_db_pool_connects_total{outcome=\"success\"} ";
    let connects = metrics.lines().find_map(|line| line.strip_prefix(connects)).unwrap();
    assert!(connects.parse::<f64>().unwrap() <= 3.0, "{connects}");
    let n = counts::table.find(1_i64).select(counts::n);
    assert_eq!(db.first::<i64>(n).await.unwrap(), 1, "what the dropped ones did is undone");
}

#[tokio::test]
async fn a_shared_place_comes_back_after_its_user_has_left() {
    let pooled = Pooled::start().await;
    let mut settings = pooled.settings(Pooler::Transaction);
    settings.shared_in_flight_max = 1;
    let shard = open(&settings).await.unwrap();
    let db = patient(&shard);
    let nap =
        || diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>("pg_sleep(0.3) IS NULL"));
    let impatient = db.clone().with_deadline(Deadline::after(Duration::from_millis(50)));
    impatient.first::<bool>(nap()).await.unwrap_err();
    db.first::<bool>(nap()).await.unwrap();
}

#[tokio::test]
async fn migrations_of_many_at_once_run_once() {
    let pooled = Pooled::start().await;
    let folder = TempDir::new().unwrap();
    let migration = folder.path().join("2026-01-01-000000_slow");
    std::fs::create_dir_all(&migration).unwrap();
    std::fs::write(migration.join("up.sql"), "SELECT pg_sleep(0.5); CREATE TABLE once (n int);")
        .unwrap();
    let mut settings = pooled.settings(Pooler::Transaction);
    settings.pool_max = 2;
    settings.streams_max = 1;
    // Each holds its lock in one session and works in another, and there are two.
    let source = || diesel_migrations::FileBasedMigrations::from_path(folder.path()).unwrap();
    let database = Database::open(&settings, "test", &Registry::new()).await.unwrap();
    let deadline = || Deadline::after(Duration::from_secs(20));
    let ran = database.migrate(&source(), deadline()).await.unwrap();
    assert_eq!(ran.len(), 1);

    // While somebody else has the lock, nobody migrates.
    let url = pooled.postgres.url();
    let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let lock = "SELECT pg_advisory_lock(x'0074656e666f6c64'::bigint)";
    holder.batch_execute(lock).await.unwrap();
    let brief = Deadline::after(Duration::from_millis(500));
    let error = database.migrate(&source(), brief).await.unwrap_err();
    assert!(matches!(error, MigrateError::Locked { .. }), "{error}");
    drop(holder);
    assert_eq!(database.migrate(&source(), deadline()).await.unwrap(), Vec::<String>::new());
}
