//! COPY in both directions: whole or not at all, and at the pace of the slower side.

use std::time::Duration;

use bytes::BytesMut;
use futures_util::{StreamExt, TryStreamExt};
use tenfold_db::{Error, Lane};
use tenfold_overload::Refusal;

use crate::kit::{Bench, Piece, backends, pieces};

#[tokio::test]
async fn copy_takes_all_rows_or_none() {
    let bench = Bench::start().await;
    let sql = "COPY pieces (id, name, stock) FROM STDIN (FORMAT csv)";
    let lines = |count: i64| (0..count).map(|n| format!("{n},piece {n},1\n").into());
    assert_eq!(
        bench.copy_in(sql, futures_util::stream::iter(lines(10_000))).await.unwrap(),
        10_000
    );
    let clash = bench.copy_in(sql, futures_util::stream::iter(lines(10))).await.unwrap_err();
    assert!(clash.postgres().unwrap().is_duplicate());
    let nonsense = bench.copy_in(sql, futures_util::stream::iter(["what?\n".into()])).await;
    assert!(nonsense.is_err());
    assert_eq!(bench.number("SELECT count(*) FROM pieces").await, 10_000);
}

#[tokio::test]
async fn copy_that_is_dropped_leaves_nothing() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let db = bench.patient(Duration::from_millis(300));
    let endless = futures_util::stream::unfold(1_i64, |n| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((format!("{n},piece {n},1\n").into(), n + 1))
    });
    let sql = "COPY pieces (id, name, stock) FROM STDIN (FORMAT csv)";
    let error = db.copy_in(sql, endless).await.unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error}");
    assert_eq!(bench.exclusive().load::<Piece>(pieces::table).await.unwrap(), []);
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
