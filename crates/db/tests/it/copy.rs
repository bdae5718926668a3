//! COPY in both directions: whole or not at all, and at the pace of the slower side.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::{StreamExt, TryStreamExt, stream};
use tenfold_db::{Error, Lane};
use tenfold_overload::Refusal;

use crate::kit::{Bench, Piece, backends, pieces};

#[tokio::test]
async fn copy_takes_all_rows_or_none() {
    let bench = Bench::start().await;
    let sql = "COPY pieces (id, name, stock) FROM STDIN (FORMAT csv)";
    let lines = |count: i64| (0..count).map(|n| format!("{n},piece {n},1\n").into());
    assert_eq!(bench.copy_in(sql, stream::iter(lines(10_000))).await.unwrap(), 10_000);
    let clash = bench.copy_in(sql, stream::iter(lines(10))).await.unwrap_err();
    assert!(clash.postgres().unwrap().is_duplicate());
    let nonsense = bench.copy_in(sql, stream::iter(["what?\n".into()])).await;
    assert!(nonsense.is_err());
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 10_000);
}

#[tokio::test]
async fn copy_that_is_dropped_leaves_nothing() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let db = bench.patient(Duration::from_millis(300));
    let endless = stream::unfold(1_i64, |n| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((format!("{n},piece {n},1\n").into(), n + 1))
    });
    let sql = "COPY pieces (id, name, stock) FROM STDIN (FORMAT csv)";
    let error = db.copy_in(sql, endless).await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error}");
    assert_eq!(bench.exclusive().load::<Piece>(pieces::table).await.unwrap(), []);
}

const INTO_PIECES: &str = "COPY pieces (id, name, stock) FROM STDIN (FORMAT csv)";

/// What an upload has for an error, among others that the handler has.
#[derive(Debug)]
enum Failure {
    Database(Error),
    Upload(&'static str),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Database(error)
    }
}

#[tokio::test]
async fn a_source_that_fails_half_way_leaves_nothing_and_its_error_comes_back() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    // Large enough that Postgres has some of it, and small enough that it all waits on our side.
    for count in [200_000, 1, 0] {
        let lines = (0..count).map(|n| Ok(format!("{n},piece {n},1\n").into()));
        let broken = lines.chain([Err(Failure::Upload("the client left"))]);
        let failed = bench.try_copy_in(INTO_PIECES, stream::iter(broken)).await.unwrap_err();
        assert!(matches!(failed, Failure::Upload("the client left")), "{failed:?}");
        assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 0);
    }
    // The only connection serves again, for rows that are whole as well.
    let whole = (0..10).map(|n| Ok::<_, Failure>(format!("{n},piece {n},1\n").into()));
    assert_eq!(bench.try_copy_in(INTO_PIECES, stream::iter(whole)).await.unwrap(), 10);
    let again = stream::iter([Ok::<_, Failure>("1,piece,1\n".into())]);
    let Failure::Database(clash) = bench.try_copy_in(INTO_PIECES, again).await.unwrap_err() else {
        panic!("no upload has failed")
    };
    assert!(clash.postgres().unwrap().is_duplicate());
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 10);
}

#[tokio::test]
async fn a_future_that_is_dropped_half_way_leaves_nothing() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let (sent, mut half_way) = tokio::sync::mpsc::channel::<()>(1);
    let lines = (0..100_000).map(|n| format!("{n},piece {n},1\n").into());
    let endless = stream::iter(lines).chain(stream::once(async move {
        sent.send(()).await.unwrap();
        std::future::pending().await
    }));
    let db = (*bench).clone();
    let copying = tokio::spawn(async move { db.copy_in(INTO_PIECES, endless).await });
    half_way.recv().await.unwrap();
    copying.abort();
    assert!(copying.await.unwrap_err().is_cancelled());
    bench.until(&backends("active"), 0).await;
    assert_eq!(bench.exclusive().load::<Piece>(pieces::table).await.unwrap(), []);
    let open = "SELECT count(*) FROM pg_locks WHERE relation = 'pieces'::regclass";
    bench.until(open, 0).await;
}

#[tokio::test]
async fn what_is_no_copy_in_is_stopped_and_leaves_the_pool_whole() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let endless = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000000)) TO STDOUT";
    // The word is there, and means something else: the driver is told by Postgres.
    let both = &endless.replace(" FROM", " AS stdin FROM");
    for sql in [endless, both, "BEGIN", "", "COPY nothing FROM STDIN", "COPY pieces FROM 'file'"] {
        let answer = bench.copy_in(sql, stream::empty()).await;
        assert!(answer.is_err(), "{sql}: {answer:?}");
    }
    bench.until(&backends("active"), 0).await;
    assert_eq!(bench.copy_in(INTO_PIECES, stream::empty()).await.unwrap(), 0);
}

const ALL: &str = "COPY (SELECT id, name FROM pieces ORDER BY id) TO STDOUT (FORMAT csv, HEADER)";

async fn with_pieces(bench: &Bench, count: u32) {
    let insert = "INSERT INTO pieces SELECT n, 'piece \"' || n || '\"', 1, repeat('x', 100)";
    bench.batch(&format!("{insert} FROM generate_series(1, {count}) n")).await;
}

#[tokio::test]
async fn copy_gives_all_rows_in_their_format() {
    let bench = Bench::with(|settings| settings.pool_max = 2).await;
    with_pieces(&bench, 20_000).await;
    let text: BytesMut = bench.copy_out(ALL).try_collect().await.unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(text.starts_with("id,name\n1,\"piece \"\"1\"\"\"\n2,"), "{}", &text[..60]);
    assert_eq!(text.lines().count(), 20_001);
    assert_eq!(bench.metric("tenfold_db_pool_returned_total{state=\"clean\"}"), 2.0);
    let nothing = "COPY (SELECT 1 WHERE false) TO STDOUT";
    assert_eq!(bench.copy_out(nothing).count().await, 0);
}

#[tokio::test]
async fn what_is_no_copy_out_is_refused_and_leaves_the_connection_whole() {
    let bench = Bench::with(|settings| {
        settings.pool_max = 2;
        settings.streams_max = 1;
    })
    .await;
    for sql in ["BEGIN", "SELECT 1", "", "COPY nothing TO STDOUT", "COPY pieces FROM STDIN"] {
        let rows: Vec<_> = bench.copy_out(sql).collect().await;
        assert!(matches!(rows[..], [Err(_)]), "{sql}: {rows:?}");
    }
    bench.until(&backends("idle in transaction"), 0).await;
    assert_eq!(bench.copy_out(ALL).count().await, 1, "the header");
}

#[tokio::test]
async fn a_row_that_fails_ends_copy_with_an_error() {
    let bench = Bench::start().await;
    let failing = "COPY (SELECT 10 / (5 - n) FROM generate_series(1, 9) n) TO STDOUT";
    let rows: Vec<_> = bench.copy_out(failing).collect().await;
    assert_eq!(rows.len(), 5);
    assert!(rows[..4].iter().all(Result::is_ok));
    assert_eq!(rows[4].as_ref().unwrap_err().postgres().unwrap().code(), "22012");
}

#[tokio::test]
async fn copy_that_nobody_reads_holds_its_place_and_is_cancelled_when_it_is_left() {
    let bench = Bench::with(|settings| {
        settings.pool_max = 2;
        settings.streams_max = 1;
    })
    .await;
    let endless = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000000)) TO STDOUT";
    let mut left = Box::pin(bench.copy_out(endless));
    left.next().await.unwrap().unwrap();
    bench.until(&backends("active"), 1).await;
    let impatient = bench.patient(Duration::from_millis(100));
    let refused = Box::pin(impatient.copy_out(endless)).next().await.unwrap();
    assert!(matches!(
        refused.unwrap_err(),
        Error::Refused { lane: Lane::Stream, refusal: Refusal::Late { .. } }
    ));
    drop(left);
    bench.until(&backends("active"), 0).await;
    assert_eq!(bench.copy_out(ALL).count().await, 1);
}
