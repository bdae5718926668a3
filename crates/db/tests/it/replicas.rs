//! Reads that may be a little old are served by a replica as long as it is known to be fresh
//! enough, and by the primary otherwise.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use futures_util::TryStreamExt;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Class, Database, DatabaseSettings, Db, Error, Lsn, ReplicaReads};
use tenfold_local::{Machine, Postgres, PostgresOptions};
use tenfold_telemetry::metrics::Registry;

use crate::servers::{Pair, notes, observer};

const INTERVAL: Duration = Duration::from_millis(50);

/// Much longer than it takes to hear that the replica is fresh, on a busy machine too.
const LAG_MAX: Duration = Duration::from_secs(2);

/// A lag that is never exceeded here.
const ANY_LAG: Duration = Duration::from_secs(600);

/// A service that knows a primary and a list of replicas.
struct Service {
    db: Db,
    registry: Registry,
    // Ends last.
    database: Database,
}

impl Service {
    async fn open(primary: &Postgres, replicas: &[&Postgres]) -> Service {
        let folder = |server: &&Postgres| server.socket_directory().to_str().unwrap().to_owned();
        let folders: Vec<_> = replicas.iter().map(folder).collect();
        let replicas = format!("postgres:///bench?user=postgres&host={}", folders.join(","));
        let settings = DatabaseSettings {
            url: Some(Secret::new(primary.url())),
            replica_url: Some(Secret::new(replicas)),
            replica_check_interval: INTERVAL,
            transaction_budget: Duration::from_secs(20),
            ..DatabaseSettings::default()
        };
        let registry = Registry::new();
        let database = Database::open(&settings, "test", &registry).await.unwrap();
        let context = Context::new().with_deadline(Deadline::after(Duration::from_secs(60)));
        let db = database.on_this_shard().handle(context);
        Service { db, registry, database }
    }

    /// Waits until reads go to a replica, or do not; a test that fails here has failed.
    async fn until_on_standby(&self, expected: bool, reads: impl Fn(&Db) -> ReplicaReads) {
        for _ in 0..500 {
            if is_standby(&reads(&self.db)).await == expected {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not after ten seconds: {}", self.registry.encode());
    }

    async fn write(&self, id: i64) -> Lsn {
        let insert = diesel::insert_into(notes::table).values(notes::id.eq(id));
        self.db.execute(insert).await.unwrap();
        self.db.lsn().await.unwrap()
    }

    fn metric(&self, series: &str) -> f64 {
        let text = self.registry.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }
}

/// Who serves it: a read that fails on the way to a replica that has just died does not count.
async fn is_standby(reads: &ReplicaReads) -> bool {
    let ask = diesel::select(diesel::dsl::sql::<Bool>("pg_is_in_recovery()"));
    match reads.first(ask).await {
        Ok(standby) => standby,
        Err(Error::ConnectionLost { .. } | Error::Unreachable { .. }) => true,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn reads_go_to_a_replica_while_it_follows_and_to_the_primary_while_it_does_not() {
    let pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    service.until_on_standby(true, |db| db.replica(LAG_MAX)).await;
    assert!(is_standby(&service.db.replica(LAG_MAX).exclusive()).await);
    assert!(!is_standby(&service.db.replica(Duration::ZERO)).await, "nothing is that fresh");

    // Nobody writes: it does not age, whatever the time of its last transaction.
    tokio::time::sleep(LAG_MAX + LAG_MAX / 2).await;
    assert!(is_standby(&service.db.replica(LAG_MAX)).await);
    // At the end of a file of the log, where its position stands before a head and the
    // primary's behind it, it does not either.
    let primary = observer(&pair.primary).await;
    primary.batch_execute("SELECT pg_switch_wal()").await.unwrap();
    tokio::time::sleep(LAG_MAX + LAG_MAX / 2).await;
    assert!(is_standby(&service.db.replica(LAG_MAX)).await);

    let standby = observer(&pair.standby).await;
    standby.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
    service.write(1).await;
    service.until_on_standby(false, |db| db.replica(LAG_MAX)).await;
    assert!(is_standby(&service.db.replica(ANY_LAG)).await, "who asks for less gets it still");
    standby.batch_execute("SELECT pg_wal_replay_resume()").await.unwrap();
    service.until_on_standby(true, |db| db.replica(LAG_MAX)).await;

    let reads =
        |by| service.metric(&format!("tenfold_db_replica_reads_total{{served_by=\"{by}\"}}"));
    assert!(reads("replica") >= 5.0 && reads("primary") >= 2.0);
    service.database.close();
}

#[tokio::test]
async fn who_has_written_reads_that_with_the_token_and_not_without_it() {
    let pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    service.until_on_standby(true, |db| db.replica(ANY_LAG)).await;
    let before = service.db.lsn().await.unwrap();
    let standby = observer(&pair.standby).await;
    standby.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
    let token = service.write(7).await;
    assert!(token > before);
    // As it travels.
    let token: Lsn = token.to_string().parse().unwrap();
    let note = || notes::table.find(7).select(notes::id);
    let reads = service.db.replica(ANY_LAG);
    assert_eq!(reads.optional::<i64>(note()).await.unwrap(), None, "the replica has not seen it");
    assert_eq!(reads.after(token).optional::<i64>(note()).await.unwrap(), Some(7));
    assert!(!is_standby(&reads.after(token)).await);
    assert!(!is_standby(&reads.after(token).after(before)).await, "the later of two counts");
    assert!(is_standby(&reads.after(before)).await);

    standby.batch_execute("SELECT pg_wal_replay_resume()").await.unwrap();
    service.until_on_standby(true, |db| db.replica(ANY_LAG).after(token)).await;
    let seen = service.db.replica(ANY_LAG).after(token).first::<i64>(note()).await;
    assert_eq!(seen.unwrap(), 7);
}

#[tokio::test]
async fn what_was_confirmed_without_being_flushed_stands_before_the_token() {
    let pair = Pair::start().await;
    let database = "ALTER DATABASE bench SET synchronous_commit = off";
    observer(&pair.primary).await.batch_execute(database).await.unwrap();
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    service.until_on_standby(true, |db| db.replica(ANY_LAG)).await;
    for id in 0..200 {
        let token = service.write(id).await;
        let note = notes::table.find(id).select(notes::id);
        let seen = service.db.replica(ANY_LAG).after(token).optional::<i64>(note).await.unwrap();
        assert_eq!(seen, Some(id));
    }
}

#[tokio::test]
async fn a_replica_that_dies_leaves_its_reads_to_the_primary_and_takes_them_again_later() {
    let mut pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    service.until_on_standby(true, |db| db.replica(ANY_LAG)).await;
    pair.standby.kill().unwrap();
    service.until_on_standby(false, |db| db.replica(ANY_LAG)).await;
    assert!(!is_standby(&service.db.replica(ANY_LAG).exclusive()).await);
    pair.standby.start_again().unwrap();
    service.until_on_standby(true, |db| db.replica(ANY_LAG)).await;
}

/// A read that says who served it, after a while.
fn slow_is_standby() -> impl tenfold_db::Yields<bool> {
    diesel::select(diesel::dsl::sql::<Bool>(
        "(SELECT pg_is_in_recovery() FROM (SELECT pg_sleep(CASE WHEN pg_is_in_recovery() \
          THEN 30 ELSE 0 END)) AS nap)",
    ))
}

const READING: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE application_name = 'test' AND state = 'active'";

async fn until_reading(standby: &tokio_postgres::Client) {
    for _ in 0..500 {
        if standby.query_one(READING, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody reads on the standby");
}

#[tokio::test]
async fn a_read_under_way_on_a_replica_that_is_lost_is_read_on_the_primary() {
    let mut pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE application_name = 'test'";
    let standby = observer(&pair.standby).await;
    let begin = Deadline::after(Duration::from_secs(25));
    for way in ["shared", "exclusive", "load", "stream", "transaction", "died"] {
        service.until_on_standby(true, |db| db.replica(ANY_LAG)).await;
        let reads = service.db.clone().with_deadline(begin).replica(ANY_LAG);
        let read = async {
            match way {
                "exclusive" => reads.exclusive().first::<bool>(slow_is_standby()).await,
                "load" => reads.load(slow_is_standby()).await.map(|rows: Vec<bool>| rows[0]),
                "stream" => {
                    let rows = reads.stream::<bool, _>(slow_is_standby());
                    rows.try_collect::<Vec<_>>().await.map(|rows| rows[0])
                }
                "transaction" => {
                    let read = async |tx: tenfold_db::Transaction| {
                        tx.first::<bool>(slow_is_standby()).await
                    };
                    reads.transaction("reads", read).await
                }
                _ => reads.first::<bool>(slow_is_standby()).await,
            }
        };
        let (answer, ()) = tokio::join!(read, async {
            until_reading(&standby).await;
            if way == "died" {
                pair.standby.kill().unwrap();
            } else {
                standby.query_one(kill, &[]).await.unwrap();
            }
        });
        assert!(!answer.unwrap(), "{way}: nobody but the primary can have answered");
    }
    let again = service.metric("tenfold_db_statements_again_total{reason=\"replica_lost\"}");
    // Those that only looked who serves may have been under way as well.
    assert!(again >= 6.0, "{again}");
    service.database.close();
}

#[tokio::test]
async fn a_stream_that_has_given_a_row_is_not_begun_again_and_one_by_key_goes_on() {
    let mut pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    observer(&pair.primary)
        .await
        .batch_execute("INSERT INTO notes SELECT generate_series(1, 50000)")
        .await
        .unwrap();
    let token = service.db.lsn().await.unwrap();
    let standby = observer(&pair.standby).await;
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE application_name = 'test'";
    let reads = |db: &Db| db.replica(ANY_LAG).after(token);
    service.until_on_standby(true, reads).await;
    let ids = notes::table.select(notes::id);
    let mut rows = Box::pin(reads(&service.db).stream::<i64, _>(ids));
    rows.try_next().await.unwrap().unwrap();
    standby.query_one(kill, &[]).await.unwrap();
    let ended = rows.try_for_each(async |_| Ok(())).await.unwrap_err();
    assert!(matches!(ended.class(), Class::Unknown | Class::Unreachable), "{ended}");

    service.until_on_standby(true, reads).await;
    let chunk = |after: Option<i64>| {
        let ids = notes::table.select(notes::id).order(notes::id).limit(1_000);
        ids.filter(notes::id.gt(after.unwrap_or(0)))
    };
    let mut rows = Box::pin(reads(&service.db).stream_by_key::<i64, _, _, _, _>(chunk, |id| *id));
    let mut seen = Vec::new();
    while let Some(id) = rows.try_next().await.unwrap() {
        if id == 2_500 {
            pair.standby.kill().unwrap();
        }
        seen.push(id);
    }
    assert_eq!(seen, (1..=50_000).collect::<Vec<_>>());
}

/// As when its machine is gone: its connections are there, and nothing comes over them.
#[tokio::test]
async fn a_replica_that_is_silent_falls_out_when_it_may_be_too_old() {
    let mut pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    service.until_on_standby(true, |db| db.replica(LAG_MAX)).await;
    pair.standby.pause().unwrap();
    tokio::time::sleep(LAG_MAX + INTERVAL * 4).await;
    assert!(!is_standby(&service.db.replica(LAG_MAX)).await);
    pair.standby.resume();
    service.until_on_standby(true, |db| db.replica(LAG_MAX)).await;
}

#[tokio::test]
async fn only_a_standby_of_this_cluster_takes_reads() {
    let pair = Pair::start().await;
    // The usual servers are copies of one, and so of one cluster, says Postgres.
    let cache = tempfile::tempdir().unwrap();
    let machine = Machine { cache: cache.path().to_owned(), ..Machine::this() };
    let options =
        PostgresOptions { database: "bench".into(), machine, ..PostgresOptions::default() };
    let stranger = Postgres::start(&options, &|_| {}).unwrap();
    let follower = PostgresOptions { follows: Some(stranger.url()), ..options };
    let follower = Postgres::start(&follower, &|_| {}).unwrap();
    let others = [&pair.primary, &stranger, &follower];
    let service = Service::open(&pair.primary, &others).await;
    tokio::time::sleep(INTERVAL * 20).await;
    assert!(!is_standby(&service.db.replica(ANY_LAG)).await);
    for other in others {
        let folder = other.socket_directory().display();
        let lag = format!("tenfold_db_replica_lag_seconds{{replica=\"{folder}:5432\"}}");
        assert_eq!(service.metric(&lag), f64::INFINITY);
    }
    let service = Service::open(&pair.primary, &[&pair.primary, &follower, &pair.standby]).await;
    service.until_on_standby(true, |db| db.replica(ANY_LAG)).await;
}

#[tokio::test]
async fn streams_and_transactions_are_served_too_and_cannot_write() {
    let pair = Pair::start().await;
    let service = Service::open(&pair.primary, &[&pair.standby]).await;
    let token = service.write(1).await;
    let reads = |db: &Db| db.replica(ANY_LAG).after(token);
    service.until_on_standby(true, reads).await;
    let reads = reads(&service.db);
    let ids = notes::table.select(notes::id);
    let ids: Vec<i64> = reads.stream::<i64, _>(ids).try_collect().await.unwrap();
    assert_eq!(ids, [1]);
    let chunk = |after: Option<i64>| {
        let ids = notes::table.select(notes::id).order(notes::id).limit(10);
        ids.filter(notes::id.gt(after.unwrap_or(0)))
    };
    let rows = reads.stream_by_key::<i64, _, _, _, _>(chunk, |id| *id);
    assert_eq!(rows.try_collect::<Vec<_>>().await.unwrap(), [1]);
    let ids = || notes::table.select(notes::id);
    let found = reads.transaction("look", async |tx| tx.load::<i64>(ids()).await).await;
    assert_eq!(found.unwrap(), [1]);
    // Whoever serves it: on the primary, too, it is known at once that this is a mistake.
    for reads in [reads, service.db.replica(Duration::ZERO)] {
        let insert = || diesel::insert_into(notes::table).values(notes::id.eq(2));
        let error = reads.transaction("write", async |tx| tx.execute(insert()).await).await;
        let error = error.unwrap_err();
        assert_eq!(error.postgres().map(tenfold_db::PostgresError::code), Some("25006"), "{error}");
    }
}

#[tokio::test]
async fn a_service_without_replicas_asks_the_primary() {
    let bench = crate::kit::Bench::start().await;
    assert!(!is_standby(&bench.replica(ANY_LAG)).await);
    let token = bench.lsn().await.unwrap();
    assert!(!is_standby(&bench.replica(ANY_LAG).after(token)).await);
}
