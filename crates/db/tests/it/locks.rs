//! Statements on the shared lane that wait for locks, many at a time, and what that does to others.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use futures_util::future::join_all;
use tenfold_context::Moment;
use tenfold_db::{Db, Error, Statement};
use tokio::task::JoinHandle;

use crate::kit::{Bench, Piece, piece, pieces, sales, within_a_minute};

/// How long a statement waits for a lock on the shared lane.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// Two may be in flight that wait, one after the other, and the machine may be busy. One after the
/// other, those of the tests would take more than this by far.
const DELAY_MAX: Duration = LOCK_TIMEOUT.saturating_mul(6);

/// As many as there may be on the lane beside the others of a test.
const MANY: i64 = 60;

#[derive(Debug, QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

async fn bench() -> Bench {
    let bench = Bench::with(|settings| {
        settings.shared_slow_after = LOCK_TIMEOUT;
        settings.pool_max = 16;
    })
    .await;
    bench.insert(&[piece(1, "lamp", 5), piece(2, "desk", 0), piece(3, "chair", 0)]).await;
    read(&bench).await.unwrap();
    bench.execute(unrelated()).await.unwrap();
    bench
}

async fn read(db: &Db) -> Result<Piece, Error> {
    db.first::<Piece>(pieces::table.find(1)).await
}

fn more(id: i64) -> impl Statement + use<> {
    diesel::update(pieces::table.find(id)).set(pieces::stock.eq(pieces::stock + 1))
}

/// Another statement: those of one kind are sent elsewhere together, whatever row they change.
fn unrelated() -> impl Statement + use<> {
    diesel::update(pieces::table.find(3)).set(pieces::note.eq("sold"))
}

/// Starts all of them at once.
async fn spawn_all<T: Send + 'static>(
    works: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<JoinHandle<T>> {
    let spawned = works.map(tokio::spawn).collect();
    tokio::task::yield_now().await;
    spawned
}

/// As many updates of the locked row, under way.
async fn updates_of_the_locked_row(bench: &Bench) -> Vec<JoinHandle<Result<u64, Error>>> {
    let updates = (0..MANY).map(|_| {
        let db = bench.patient(Duration::from_secs(60));
        async move { db.execute(more(2)).await }
    });
    spawn_all(updates).await
}

/// Each of them comes to its end, and has changed its row once.
async fn check_updated(bench: &Bench, updates: Vec<JoinHandle<Result<u64, Error>>>) {
    for update in updates {
        assert_eq!(within_a_minute("an update", update).await.unwrap().unwrap(), 1);
    }
    assert_eq!(bench.first::<Piece>(pieces::table.find(2)).await.unwrap().stock, 160, "each once");
}

/// The longest time that something took, done over and over for so long.
async fn longest<T>(lasts: Duration, work: impl AsyncFn() -> Result<T, Error>) -> Duration {
    let (begun, mut longest) = (Moment::now(), Duration::ZERO);
    while Moment::now().since(begun) < lasts {
        let asked = Moment::now();
        within_a_minute("a statement that waits for no lock", work()).await.unwrap();
        longest = longest.max(Moment::now().since(asked));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    longest
}

/// Nobody waits for much longer than for one or two that wait for a lock.
async fn check_others(bench: &Bench) {
    let new = std::cell::Cell::new(0);
    let unknown = async || {
        new.set(new.get() + 1);
        let sql = format!("SELECT id, {} AS new FROM pieces WHERE id = 1", new.get());
        let rows = bench.load::<Row>(diesel::sql_query(sql)).await;
        rows.map(|rows| assert_eq!(rows[0].id, 1))
    };
    let lasts = LOCK_TIMEOUT * 8;
    let (read, write, unknown) = tokio::join!(
        longest(lasts, async || read(bench).await),
        longest(lasts, async || bench.execute(unrelated()).await),
        longest(lasts, unknown)
    );
    for (what, delay) in [("read", read), ("write", write), ("new statement", unknown)] {
        assert!(delay < DELAY_MAX, "a {what} waited for {delay:?}");
    }
}

#[tokio::test]
async fn updates_of_a_locked_row_hold_up_others_hardly_longer_than_one_does() {
    let bench = bench().await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; UPDATE pieces SET stock = 100 WHERE id = 2").await.unwrap();
    let updates = updates_of_the_locked_row(&bench).await;
    check_others(&bench).await;
    locker.batch_execute("COMMIT").await.unwrap();
    check_updated(&bench, updates).await;
}

#[tokio::test]
async fn those_who_wait_for_a_lock_leave_half_of_the_pool_to_others() {
    let bench = bench().await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; UPDATE pieces SET stock = 100 WHERE id = 2").await.unwrap();
    let updates = updates_of_the_locked_row(&bench).await;
    // All of them have been sent elsewhere, and wait there, some for a connection.
    let waiting = || bench.metric("tenfold_db_pool_connections{state=\"waited_for\"}");
    within_a_minute("those without a connection", async {
        while waiting() < (MANY - 8) as f64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let others = (0..8).map(|_| {
        let db = bench.patient(Duration::from_secs(60));
        async move {
            db.transaction("looks", async |tx| tx.first::<Piece>(pieces::table.find(1)).await).await
        }
    });
    for other in join_all(others).await {
        assert_eq!(other.unwrap().id, 1);
    }
    assert_eq!(waiting(), (MANY - 8) as f64, "they have not come between");
    locker.batch_execute("COMMIT").await.unwrap();
    check_updated(&bench, updates).await;
}

#[tokio::test]
async fn nor_do_updates_of_which_each_is_another_statement() {
    let bench = bench().await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; UPDATE pieces SET stock = 100 WHERE id = 2").await.unwrap();
    let updates = (0..MANY).map(|number| {
        let db = bench.patient(Duration::from_secs(60));
        let sql = format!("UPDATE pieces SET stock = stock + 1 + 0 * {number} WHERE id = 2");
        async move { db.execute(diesel::sql_query(sql)).await }
    });
    let updates = spawn_all(updates).await;
    check_others(&bench).await;
    locker.batch_execute("COMMIT").await.unwrap();
    check_updated(&bench, updates).await;
}

#[tokio::test]
async fn nor_do_statements_to_be_prepared_on_a_locked_table() {
    let bench = bench().await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; ALTER TABLE sales ADD COLUMN note text").await.unwrap();
    // A boxed query is kept by its text: so many statements, each to be prepared.
    let reads = (1..=40).map(|count| {
        let db = bench.patient(Duration::from_secs(60));
        async move {
            let mut ids = sales::table.select(sales::id).into_boxed::<diesel::pg::Pg>();
            for number in 0..count {
                ids = ids.filter(sales::id.ne(number));
            }
            db.load::<i64>(ids).await
        }
    });
    let reads = spawn_all(reads).await;
    check_others(&bench).await;
    locker.batch_execute("COMMIT").await.unwrap();
    for read in reads {
        assert!(within_a_minute("a read", read).await.unwrap().unwrap().is_empty());
    }
}

#[tokio::test]
async fn nor_do_reads_of_a_locked_table() {
    let bench = bench().await;
    let ids = || sales::table.select(sales::id);
    bench.load::<i64>(ids()).await.unwrap();
    bench.optional::<i64>(ids().limit(1)).await.unwrap();
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; LOCK TABLE sales").await.unwrap();
    let reads = (0..MANY).map(|number| {
        let db = bench.patient(Duration::from_secs(60));
        async move {
            if number % 2 == 0 {
                db.load::<i64>(ids()).await.map(|ids| ids.len())
            } else {
                db.optional::<i64>(ids().limit(1)).await.map(|_| 0)
            }
        }
    });
    let reads = spawn_all(reads).await;
    // Those that are under way behind them now leave that connection with them.
    let behind = join_all((0..3).map(|_| async {
        let asked = Moment::now();
        read(&bench).await.unwrap();
        Moment::now().since(asked)
    }));
    for delay in behind.await {
        assert!(delay < DELAY_MAX, "a read behind them waited for {delay:?}");
    }
    check_others(&bench).await;
    locker.batch_execute("COMMIT").await.unwrap();
    for read in reads {
        assert_eq!(within_a_minute("a read", read).await.unwrap().unwrap(), 0);
    }
    let moved = bench.metric("tenfold_db_statements_again_total{reason=\"moved\"}");
    assert!(moved >= 3.0, "{moved}");
}

#[tokio::test]
async fn turns_of_callers_who_have_left_are_not_lost() {
    let bench = bench().await;
    let locker = bench.observer().await;
    locker.batch_execute("BEGIN; UPDATE pieces SET stock = 0 WHERE id = 2").await.unwrap();
    let impatient = bench.patient(Duration::from_millis(20));
    for left in join_all((0..10).map(|_| impatient.execute(more(2)))).await {
        left.unwrap_err();
    }
    for _ in 0..5 {
        let update = bench.execute(unrelated());
        assert_eq!(within_a_minute("an update", update).await.unwrap(), 1);
    }
    locker.batch_execute("COMMIT").await.unwrap();
}
