//! Several servers: the one that is wanted is found, and when a primary dies its successor is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Bool;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline, Moment};
use tenfold_db::{Class, Database, DatabaseSettings, Db, Error, ShardDatabase, TargetSessionAttrs};
use tenfold_local::{Postgres, PostgresOptions};
use tenfold_telemetry::metrics::Registry;

use crate::kit::{beside, postgres_on_tcp, sleep_ten_seconds, within_a_minute};

diesel::table! {
    notes (id) {
        id -> BigInt,
    }
}

/// A primary, and a standby that follows it and confirms what is committed.
pub(crate) struct Pair {
    pub(crate) primary: Postgres,
    pub(crate) standby: Postgres,
}

impl Pair {
    pub(crate) async fn start() -> Pair {
        let options = PostgresOptions { database: "bench".into(), ..PostgresOptions::default() };
        let primary = Postgres::start(&options, &|_| {}).unwrap();
        let observer = observer(&primary).await;
        observer.batch_execute("CREATE TABLE notes (id bigint PRIMARY KEY)").await.unwrap();
        let options = PostgresOptions { follows: Some(primary.url()), ..options };
        let standby = Postgres::start(&options, &|_| {}).unwrap();
        // From now on what was confirmed is on both; the standby's own settings have no such line.
        for statement in
            ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]
        {
            let done = within_a_minute(statement, observer.batch_execute(statement)).await;
            done.unwrap();
        }
        let synchronous = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        for _ in 0..500 {
            let asked = within_a_minute("the primary", observer.query_one(synchronous, &[])).await;
            if asked.unwrap().get::<_, i64>(0) == 1 {
                return Pair { primary, standby };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the standby does not follow");
    }

    /// Both, the primary first.
    fn settings(&self, target: TargetSessionAttrs) -> DatabaseSettings {
        settings(&[&self.primary, &self.standby], target)
    }
}

fn settings(servers: &[&Postgres], target: TargetSessionAttrs) -> DatabaseSettings {
    let hosts: Vec<_> =
        servers.iter().map(|server| server.socket_directory().to_str().unwrap()).collect();
    let url = format!("postgres:///bench?user=postgres&host={}", hosts.join(","));
    DatabaseSettings {
        url: Some(Secret::new(url)),
        target_session_attrs: Some(target),
        ..DatabaseSettings::default()
    }
}

pub(crate) async fn observer(server: &Postgres) -> tokio_postgres::Client {
    let url = server.url();
    let connect = tokio_postgres::connect(&url, tokio_postgres::NoTls);
    let (client, connection) = within_a_minute("to connect", connect).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn open(settings: &DatabaseSettings) -> Result<ShardDatabase, Error> {
    let registry = Registry::new();
    let open = Database::open(settings, "test", &registry);
    Ok(within_a_minute("to open", open).await?.on_this_shard())
}

fn patient(shard: &ShardDatabase, patience: Duration) -> Db {
    shard.handle(Context::new().with_deadline(Deadline::after(patience)))
}

/// Whether both lanes lead to a standby.
async fn on_standby(shard: &ShardDatabase) -> bool {
    let db = patient(shard, Duration::from_secs(20));
    let ask = || diesel::select(diesel::dsl::sql::<Bool>("pg_is_in_recovery()"));
    let shared: bool = db.first(ask()).await.unwrap();
    let exclusive: bool = db.exclusive().first(ask()).await.unwrap();
    assert_eq!(shared, exclusive);
    shared
}

#[tokio::test]
async fn the_server_that_is_wanted_is_found_wherever_it_stands_in_the_list() {
    use TargetSessionAttrs::{Any, PreferStandby, Primary, ReadOnly, ReadWrite, Standby};

    let pair = Pair::start().await;
    let (primary, standby) = (&pair.primary, &pair.standby);
    for (target, expected) in [
        (ReadWrite, false),
        (Primary, false),
        (ReadOnly, true),
        (Standby, true),
        (PreferStandby, true),
    ] {
        for list in [[primary, standby], [standby, primary]] {
            let shard = open(&settings(&list, target)).await.unwrap();
            assert_eq!(on_standby(&shard).await, expected, "{target:?}");
        }
    }
    for (list, expected) in [([primary, standby], false), ([standby, primary], true)] {
        assert_eq!(on_standby(&open(&settings(&list, Any)).await.unwrap()).await, expected);
    }
    let shard = open(&settings(&[primary], PreferStandby)).await.unwrap();
    assert!(!on_standby(&shard).await, "with no standby a primary will do");

    let error = open(&settings(&[standby], ReadWrite)).await.unwrap_err();
    assert_eq!(error.class(), Class::Unreachable);
    let said = error.to_string();
    let folder = standby.socket_directory().to_str().unwrap();
    assert!(said.contains(folder) && said.contains("is a standby"), "{said}");
    assert!(said.contains("target_session_attrs=read-write"), "{said}");
    let said = open(&settings(&[primary], Standby)).await.unwrap_err().to_string();
    assert!(said.contains("is a primary"), "{said}");
}

#[tokio::test]
async fn a_primary_that_takes_no_writes_is_none_for_writes() {
    let pair = Pair::start().await;
    let observer = observer(&pair.primary).await;
    let read_only = "ALTER DATABASE bench SET default_transaction_read_only = on";
    observer.batch_execute(read_only).await.unwrap();
    let error = open(&pair.settings(TargetSessionAttrs::ReadWrite)).await.unwrap_err().to_string();
    assert!(error.contains("a primary that takes no writes"), "{error}");
    open(&settings(&[&pair.primary], TargetSessionAttrs::Primary)).await.unwrap();
}

#[tokio::test]
async fn all_that_were_tried_are_named_with_what_each_of_them_said() {
    let [one, two] = tenfold_testkit::free_ports().unwrap();
    let url = format!("postgres://me@127.0.0.1:{one},no.such.host.invalid,127.0.0.1:{two}/bench");
    let settings = DatabaseSettings { url: Some(Secret::new(url)), ..DatabaseSettings::default() };
    let said = open(&settings).await.unwrap_err().to_string();
    assert!(said.contains(&format!("127.0.0.1:{one}: ")), "{said}");
    assert!(said.contains(&format!("127.0.0.1:{two}: ")), "{said}");
    assert!(said.contains("refused"), "{said}");
    assert!(said.contains("no.such.host.invalid:5432: its name is not known"), "{said}");
}

#[tokio::test]
async fn a_server_that_says_nothing_does_not_keep_the_next_from_being_tried() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let (postgres, port) = postgres_on_tcp();
    let url = format!("postgres://postgres@{address},127.0.0.1:{port}/bench");
    let mut settings = DatabaseSettings {
        url: Some(Secret::new(url)),
        connect_timeout: Duration::from_secs(60),
        ..DatabaseSettings::default()
    };
    let asked = Moment::now();
    let shard = open(&settings).await.unwrap();
    assert!(!on_standby(&shard).await);
    assert!(Moment::now().since(asked) < Duration::from_secs(20), "not after the limit of one");

    // Alone it is given up when its time is over.
    settings.url = Some(Secret::new(format!("postgres://postgres@{address}/bench")));
    settings.connect_timeout = Duration::from_millis(200);
    let said = open(&settings).await.unwrap_err().to_string();
    assert!(said.contains("no answer within 200 ms"), "{said}");
    drop(postgres);
}

#[tokio::test]
async fn a_standby_that_says_nothing_leaves_time_for_a_primary() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pair = Pair::start().await;
    let folder = pair.primary.socket_directory().to_str().unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!(
        "postgres:///bench?user=postgres&host=127.0.0.1,{folder}&port={port},5432\
         &target_session_attrs=prefer-standby"
    );
    let settings = DatabaseSettings {
        url: Some(Secret::new(url)),
        connect_timeout: Duration::from_secs(4),
        ..DatabaseSettings::default()
    };
    let shard = open(&settings).await.unwrap();
    let db = patient(&shard, Duration::from_secs(20));
    let ask = || diesel::select(diesel::dsl::sql::<Bool>("pg_is_in_recovery()"));
    assert!(!db.exclusive().first::<bool>(ask()).await.unwrap());
    // The shared lane is connected in the background, and says so meanwhile.
    for _ in 0..20 {
        match db.first::<bool>(ask()).await {
            Ok(standby) => return assert!(!standby),
            Err(error) => assert_eq!(error.class(), Class::Unreachable, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the shared lane is never connected");
}

#[tokio::test]
async fn a_cancellation_goes_to_the_server_that_the_connection_leads_to() {
    let pair = Pair::start().await;
    let mut settings = pair.settings(TargetSessionAttrs::Standby);
    settings.pool_max = 2;
    let shard = open(&settings).await.unwrap();
    let impatient = patient(&shard, Duration::from_millis(300)).exclusive();
    let load = impatient.load::<bool>(sleep_ten_seconds());
    within_a_minute("what is impatient", load).await.unwrap_err();
    let observer = observer(&pair.standby).await;
    let running = "SELECT count(*) FROM pg_stat_activity \
                   WHERE application_name = 'test' AND state = 'active'";
    for _ in 0..100 {
        let asked = within_a_minute("the standby", observer.query_one(running, &[])).await;
        if asked.unwrap().get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it still runs on the standby");
}

/// Writes numbers until told to stop, each within its own deadline.
struct Writers {
    stop: Arc<AtomicBool>,
    next: Arc<AtomicI64>,
    tasks: Vec<tokio::task::JoinHandle<Vec<i64>>>,
}

/// How long each write may take.
const PATIENCE: Duration = Duration::from_millis(500);

impl Writers {
    fn start(shard: &ShardDatabase) -> Writers {
        let (stop, next) = (Arc::<AtomicBool>::default(), Arc::<AtomicI64>::default());
        let tasks = (0..6).map(|index| {
            let (shard, stop, next) = (shard.clone(), Arc::clone(&stop), Arc::clone(&next));
            tokio::spawn(async move {
                let mut confirmed = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    let db = patient(&shard, PATIENCE);
                    let asked = Moment::now();
                    let insert = diesel::insert_into(notes::table).values(notes::id.eq(id));
                    let written = if index % 2 == 0 {
                        db.execute(insert).await
                    } else {
                        db.transaction("note", async |tx| tx.execute(insert).await).await
                    };
                    let took = Moment::now().since(asked);
                    // A generous bound on a busy machine, and far below every limit but the
                    // deadline.
                    assert!(took < PATIENCE + Duration::from_secs(2), "hung for {took:?}");
                    match written {
                        Ok(_) => confirmed.push(id),
                        Err(error) => {
                            let class = error.class();
                            assert_ne!(class, Class::Mistake, "{error}");
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
                confirmed
            })
        });
        let tasks = tasks.collect();
        Writers { stop, next, tasks }
    }

    async fn stop(self) -> Vec<i64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut confirmed = Vec::new();
        for task in self.tasks {
            confirmed.extend(task.await.unwrap());
        }
        confirmed
    }
}

#[tokio::test]
async fn writes_go_on_within_five_seconds_of_a_promotion() {
    check_failover(|primary| primary.kill().unwrap()).await;
}

/// As when its machine is gone from the network: nothing is refused, and nothing is answered.
#[tokio::test]
async fn writes_go_on_when_the_former_primary_is_silent() {
    check_failover(|primary| primary.pause().unwrap()).await;
}

async fn check_failover(fail: impl FnOnce(&mut Postgres) + Send + 'static) {
    let pair = Pair::start().await;
    let mut settings = pair.settings(TargetSessionAttrs::ReadWrite);
    settings.pool_max = 8;
    let shard = open(&settings).await.unwrap();
    let writers = Writers::start(&shard);
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Each on a thread of its own: a busy machine takes its time, and the event loop has writers
    // to serve.
    let Pair { mut primary, standby } = pair;
    let _former = beside(move || {
        fail(&mut primary);
        primary
    })
    .await;
    let before = writers.next.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(before > 0);
    let standby = beside(move || {
        standby.promote().unwrap();
        standby
    })
    .await;
    let promoted = Moment::now();
    let probe = -1_i64;
    loop {
        let insert = diesel::insert_into(notes::table).values(notes::id.eq(probe));
        if patient(&shard, PATIENCE).execute(insert).await.is_ok() {
            break;
        }
        let waited = Moment::now().since(promoted);
        assert!(waited < Duration::from_secs(5), "no write for {waited:?} after the promotion");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The exclusive lane as well: somebody is trying for all, and until then all hear so at once.
    loop {
        let insert = diesel::insert_into(notes::table).values(notes::id.eq(probe - 1));
        let db = patient(&shard, Duration::from_secs(5));
        if db.transaction("note", async |tx| tx.execute(insert).await).await.is_ok() {
            break;
        }
        let waited = Moment::now().since(promoted);
        assert!(waited < Duration::from_secs(5), "no transaction for {waited:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let confirmed = writers.stop().await;

    let observer = observer(&standby).await;
    let rows = observer.query("SELECT id FROM notes", &[]).await.unwrap();
    let there: std::collections::HashSet<i64> = rows.iter().map(|row| row.get(0)).collect();
    let lost: Vec<_> = confirmed.iter().filter(|id| !there.contains(id)).collect();
    assert!(lost.is_empty(), "confirmed and lost: {lost:?}");
    assert!(confirmed.iter().any(|id| *id < before), "some were confirmed before");
    assert!(confirmed.iter().any(|id| *id > before), "and some afterwards");
}
