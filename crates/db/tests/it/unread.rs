//! Answers on the shared lane whose reader does not read: its future lies there, begun and not
//! polled.

use std::time::Duration;

use diesel::prelude::*;
use futures_util::{FutureExt, StreamExt, stream};
use tenfold_db::{Class, Error};

use crate::kit::{Bench, Piece, pieces, within_a_minute};

/// With so many pieces of a hundred bytes and more each.
async fn bench(count: usize) -> Bench {
    let bench = Bench::start().await;
    // Prepared, so that it is sent when it is polled for the first time.
    bench.load::<Piece>(pieces::table).await.unwrap();
    bench.load::<Piece>(pieces::table.filter(pieces::id.between(0, 0))).await.unwrap();
    bench
        .batch(&format!(
            "INSERT INTO pieces SELECT n, 'piece ' || n, 0, repeat('x', 100)
             FROM generate_series(1, {count}) n"
        ))
        .await;
    bench.first::<Piece>(pieces::table.find(1)).await.unwrap();
    bench
}

/// Reads and writes over the same connection, which nothing holds up: far sooner than it would be
/// given up.
async fn check_others(bench: &Bench) {
    let impatient = bench.patient(Duration::from_secs(4));
    for id in 1..=10 {
        assert_eq!(impatient.first::<Piece>(pieces::table.find(id)).await.unwrap().id, id);
        let more = diesel::update(pieces::table.find(id)).set(pieces::stock.eq(1));
        assert_eq!(impatient.execute(more).await.unwrap(), 1);
    }
    assert_eq!(bench.metric("tenfold_db_statements_again_total{reason=\"connection_lost\"}"), 0.0);
}

#[tokio::test]
async fn one_that_is_not_polled_holds_up_nobody_and_is_read_later() {
    // More than the socket and the driver take, and less than may lie there.
    let bench = bench(20_000).await;
    let mut load = Box::pin(bench.load::<Piece>(pieces::table));
    assert!((&mut load).now_or_never().is_none(), "it has begun");
    check_others(&bench).await;
    assert_eq!(within_a_minute("the answer", load).await.unwrap().len(), 20_000);
}

#[tokio::test]
async fn more_than_may_lie_there_is_thrown_away_and_said_so() {
    let bench = bench(100_000).await;
    let mut load = Box::pin(bench.load::<Piece>(pieces::table));
    assert!((&mut load).now_or_never().is_none(), "it has begun");
    check_others(&bench).await;
    // For longer than it is waited for.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let error = within_a_minute("the answer", load).await.unwrap_err();
    assert!(matches!(error, Error::Unread { .. }), "{error}");
    assert_eq!(error.class(), Class::TooSlow);
    // Who reads may have as much as he likes.
    assert_eq!(bench.load::<Piece>(pieces::table).await.unwrap().len(), 100_000);
}

/// The usual way to have several under way: the others are polled only while one is waited for.
#[tokio::test]
async fn those_in_a_buffer_hold_up_nobody_while_one_of_them_is_worked_at() {
    let bench = bench(6_000).await;
    let chunks = stream::iter(0..3_i64).map(|chunk| {
        let ids = chunk * 2_000 + 1..=chunk * 2_000 + 2_000;
        bench.load::<Piece>(pieces::table.filter(pieces::id.between(*ids.start(), *ids.end())))
    });
    let mut chunks = Box::pin(chunks.buffered(3));
    while let Some(chunk) = chunks.next().await {
        assert_eq!(chunk.unwrap().len(), 2_000);
        check_others(&bench).await;
    }
}

#[tokio::test]
async fn one_that_is_left_half_read_holds_up_nobody() {
    let bench = bench(100_000).await;
    for _ in 0..5 {
        let mut load = Box::pin(bench.load::<Piece>(pieces::table));
        assert!((&mut load).now_or_never().is_none(), "it has begun");
        tokio::task::yield_now().await;
        drop(load);
        check_others(&bench).await;
    }
    assert_eq!(bench.shard.shared_lane().inside, 0);
}
