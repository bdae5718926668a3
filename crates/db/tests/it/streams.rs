//! Streams: whole, in constant memory, and harmless when nobody reads them.

use std::time::Duration;

use diesel::prelude::*;
use futures_util::{StreamExt, TryStreamExt};
use tenfold_db::{Error, Lane};
use tenfold_overload::Refusal;

use crate::kit::{Bench, Piece, backends, pieces};

async fn with_many_pieces(bench: &Bench) {
    bench
        .batch("INSERT INTO pieces SELECT n, 'piece ' || n, n % 100, repeat('x', 100) FROM generate_series(1, 20000) n")
        .await;
}

fn by_key(bench: &Bench) -> impl futures_util::Stream<Item = tenfold_db::Result<Piece>> + use<> {
    bench.stream_by_key(
        |after: Option<i64>| {
            pieces::table
                .filter(pieces::id.gt(after.unwrap_or(i64::MIN)))
                .order(pieces::id)
                .limit(500)
        },
        |piece: &Piece| piece.id,
    )
}

#[tokio::test]
async fn every_row_comes_once_and_in_order() {
    let bench = Bench::start().await;
    with_many_pieces(&bench).await;
    let one_statement = bench.stream::<Piece, _>(pieces::table.order(pieces::id));
    let ids: Vec<i64> = one_statement.map_ok(|piece| piece.id).try_collect().await.unwrap();
    assert!(ids.iter().copied().eq(1..=20_000));
    let ids: Vec<i64> = by_key(&bench).map_ok(|piece| piece.id).try_collect().await.unwrap();
    assert!(ids.iter().copied().eq(1..=20_000));
}

#[tokio::test]
async fn an_empty_answer_is_an_empty_stream() {
    let bench = Bench::start().await;
    assert_eq!(bench.stream::<Piece, _>(pieces::table).count().await, 0);
    assert_eq!(by_key(&bench).count().await, 0);
}

#[tokio::test]
async fn a_stream_in_chunks_that_nobody_reads_holds_nothing() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    with_many_pieces(&bench).await;
    let mut stalled: Vec<_> = (0..50).map(|_| Box::pin(by_key(&bench))).collect();
    for stream in &mut stalled {
        stream.next().await.unwrap().unwrap();
    }
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"used\"}"), 0.0);
    let impatient = bench.patient(Duration::from_secs(2)).exclusive();
    assert!(impatient.first::<Piece>(pieces::table.find(1)).await.is_ok());
}

#[tokio::test]
async fn streams_of_one_statement_leave_connections_to_others() {
    let bench = Bench::with(|settings| {
        settings.pool_max = 3;
        settings.streams_max = 2;
    })
    .await;
    with_many_pieces(&bench).await;
    let start = async || {
        let mut stream = Box::pin(bench.stream::<Piece, _>(pieces::table));
        stream.next().await.unwrap().unwrap();
        stream
    };
    let (_one, two) = (start().await, start().await);
    let impatient = bench.patient(Duration::from_millis(100));
    let refused = Box::pin(impatient.stream::<Piece, _>(pieces::table)).next().await.unwrap();
    assert!(matches!(
        refused.unwrap_err(),
        Error::Refused { lane: Lane::Stream, refusal: Refusal::Late { .. } }
    ));
    assert!(bench.exclusive().first::<Piece>(pieces::table.find(1)).await.is_ok());
    drop(two);
    let _three = start().await;
}

#[tokio::test]
async fn a_stream_dropped_in_the_middle_is_cancelled() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    let endless = diesel::sql_query(
        "SELECT generate_series(1, 100000000)::bigint AS id, repeat('x', 1000) AS name",
    );
    let mut stream = Box::pin(bench.stream::<Wide, _>(endless));
    assert_eq!(stream.next().await.unwrap().unwrap().id, 1);
    bench.until(&backends("active"), 1).await;
    drop(stream);
    bench.until(&backends("active"), 0).await;
    let found = diesel::sql_query("SELECT 7::bigint AS id");
    assert_eq!(bench.exclusive().first::<Wide>(found).await.unwrap().id, 7);
}

#[derive(QueryableByName)]
struct Wide {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    id: i64,
}

#[tokio::test]
async fn a_row_that_fails_ends_the_stream_with_an_error() {
    let bench = Bench::start().await;
    let failing =
        diesel::sql_query("SELECT (10 / (5 - n))::bigint AS id FROM generate_series(1, 9) n");
    let rows: Vec<_> = bench.stream::<Wide, _>(failing).collect().await;
    assert!(rows.last().unwrap().is_err());
    assert!(rows[..rows.len() - 1].iter().all(Result::is_ok));
    assert!(bench.first::<Wide>(diesel::sql_query("SELECT 1::bigint AS id")).await.is_ok());
}

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
