//! A COMMIT whose answer does not come: an error of its own, never tried again, whether it has
//! happened or not.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use tenfold_config::Secret;
use tenfold_context::{Context, Deadline};
use tenfold_db::{Class, Database, Db, Error};
use tenfold_testkit::{Proxy, Side, Upstream};

use crate::kit::{Bench, backends, piece, pieces};

/// A database behind a network that misbehaves when told to.
struct Proxied {
    proxy: Proxy,
    database: Database,
    db: Db,
    /// How often the work ran.
    begun: AtomicU32,
}

async fn proxied(bench: &Bench, patience: Duration) -> Proxied {
    let socket = bench.postgres.socket_directory().join(".s.PGSQL.5432");
    let proxy = Proxy::start(Upstream::Unix(socket)).await.unwrap();
    let mut settings = bench.settings.clone();
    let url = format!("postgres://postgres@{}/bench", proxy.address());
    settings.url = Some(Secret::new(url));
    let database = Database::open(&settings, "test", &bench.registry).await.unwrap();
    let shard = database.on_this_shard();
    let within = |patience| Context::new().with_deadline(Deadline::after(patience));
    // What a new connection says would be taken for what is to be cut.
    let first = shard.handle(within(Duration::from_secs(20)));
    first.first::<i64>(pieces::table.count()).await.unwrap();
    let db = shard.handle(within(patience));
    Proxied { proxy, database, db, begun: AtomicU32::new(0) }
}

impl Proxied {
    /// A transaction that does `last` after its last statement, when only COMMIT is left.
    async fn insert(&self, last: impl Fn()) -> Error {
        let outcome: Result<(), Error> = self
            .db
            .transaction("insert", async |tx| {
                self.begun.fetch_add(1, Ordering::SeqCst);
                tx.execute(diesel::insert_into(pieces::table).values(piece(1, "lamp", 1))).await?;
                last();
                Ok(())
            })
            .await;
        outcome.unwrap_err()
    }

    /// It is the error that it should be, says why, and nothing was tried twice.
    fn check(&self, error: &Error, why: &str) {
        assert!(matches!(error, Error::CommitUnknown { transaction: "insert", .. }), "{error}");
        assert_eq!(error.class(), Class::Unknown);
        let text = error.to_string();
        assert!(
            text.starts_with("nobody knows whether transaction \"insert\" has happened"),
            "{text}"
        );
        assert!(text.contains(why) && !text.contains("rolled back"), "{text}");
        assert_eq!(self.begun.load(Ordering::SeqCst), 1);
    }
}

async fn bench() -> Bench {
    Bench::with(|settings| settings.transaction_budget = Duration::from_secs(10)).await
}

const COUNT: &str = "SELECT count(*) FROM pieces";

#[tokio::test]
async fn cut_after_it_arrived_it_has_happened() {
    let bench = bench().await;
    let proxied = proxied(&bench, Duration::from_secs(20)).await;
    let failing = proxied.insert(|| proxied.proxy.stall(Side::ToClient));
    let cutting = async {
        bench.until(COUNT, 1).await;
        proxied.proxy.cut();
    };
    let (error, ()) = tokio::join!(failing, cutting);
    proxied.proxy.resume(Side::ToClient);
    proxied.check(&error, "the connection to Postgres broke");
    assert_eq!(bench.number(COUNT).await, 1);
    // The next one gets a connection that works.
    let found = proxied.db.exclusive().load::<i64>(pieces::table.select(pieces::id)).await;
    assert_eq!(found.unwrap(), [1]);
}

#[tokio::test]
async fn cut_before_it_arrived_it_has_not_happened() {
    let bench = bench().await;
    let proxied = proxied(&bench, Duration::from_secs(20)).await;
    // Of the message that says COMMIT a part arrives.
    let error = proxied.insert(|| proxied.proxy.cut_after(Side::ToServer, 3)).await;
    proxied.check(&error, "the connection to Postgres broke");
    bench.until(&backends("idle in transaction"), 0).await;
    assert_eq!(bench.number(COUNT).await, 0);
}

#[tokio::test]
async fn unanswered_at_the_deadline_it_says_that() {
    let bench = bench().await;
    let proxied = proxied(&bench, Duration::from_secs(2)).await;
    let error = proxied.insert(|| proxied.proxy.stall(Side::ToClient)).await;
    proxied.check(&error, "Postgres had not answered it when the deadline passed");
    assert_eq!(bench.number(COUNT).await, 1, "it had arrived");
    proxied.proxy.resume(Side::ToClient);
    // The connection cannot have been cleaned in time or was: in use it is not for ever.
    for _ in 0..500 {
        if bench.metric("tenfold_db_pool_connections{state=\"used\"}") == 0.0 {
            proxied.database.close();
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the connection is in use still");
}

#[tokio::test]
async fn a_slow_commit_is_waited_for_beyond_the_budget() {
    let bench = bench().await;
    // Checked at COMMIT, and slow.
    bench
        .batch(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
               $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;
             CREATE CONSTRAINT TRIGGER dawdles AFTER INSERT ON pieces
               DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION dawdle()",
        )
        .await;
    let begin = bench.begin("slow").budget(Duration::from_millis(250));
    let insert = diesel::insert_into(pieces::table).values(piece(1, "lamp", 1));
    let outcome: Result<u64, Error> = begin.run(async |tx| tx.execute(insert.clone()).await).await;
    assert_eq!(outcome.unwrap(), 1);
    assert_eq!(bench.number(COUNT).await, 1);
}
