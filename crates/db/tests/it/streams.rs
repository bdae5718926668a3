//! Streams: whole, in constant memory, and harmless when nobody reads them.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use tenfold_config::ByteSize;
use tenfold_db::{Class, Error, Lane, Yields};
use tenfold_overload::Refusal;

use crate::kit::{Bench, Piece, backends, pieces, sales, within_a_minute};

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
    #[diesel(sql_type = sql_types::BigInt)]
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

/// As the body of an answer is left whose client takes nothing.
#[tokio::test]
async fn a_stream_that_is_left_while_it_asks_for_more_holds_no_connection() {
    let bench = Bench::with(|settings| settings.pool_max = 1).await;
    with_many_pieces(&bench).await;
    let mut stream = Box::pin(by_key(&bench));
    for _ in 0..500 {
        stream.next().await.unwrap().unwrap();
    }
    // The second chunk is asked for, and nobody looks after it.
    assert!(stream.next().now_or_never().is_none(), "it has to be waited for");
    let other = bench.exclusive();
    let other = other.first::<Piece>(pieces::table.find(1_i64));
    assert_eq!(within_a_minute("another's statement", other).await.unwrap().id, 1);
    let rest: Vec<Piece> = stream.try_collect().await.unwrap();
    assert_eq!(rest.len(), 19_500);
}

/// Pieces by something else, and what comes of it.
async fn by<Q>(bench: &Bench, chunk: impl FnMut(Option<i64>) -> Q + Send + 'static) -> String
where
    Q: Yields<Piece> + 'static,
{
    let pieces = bench.stream_by_key(chunk, |piece: &Piece| piece.id);
    match pieces.try_collect::<Vec<Piece>>().await {
        Ok(pieces) => format!("{} pieces", pieces.len()),
        Err(error) => {
            assert_eq!(error.class(), Class::Mistake);
            error.to_string()
        }
    }
}

#[tokio::test]
async fn an_order_that_is_no_key_is_refused_at_the_first_chunk() {
    let bench = Bench::start().await;
    with_many_pieces(&bench).await;
    let all = pieces::table;
    let refused = [
        (by(&bench, move |_| all.order(pieces::stock).limit(5)).await, "no unique index has only"),
        (
            by(&bench, move |_| all.order((pieces::stock, pieces::id)).limit(5)).await,
            "no index has them in this order; it has pieces_pkey (id), pieces_name_key (name)",
        ),
        (by(&bench, move |_| all.order(pieces::note).limit(5)).await, "\"note\" of \"pieces\" may"),
        (by(&bench, move |_| all.order(pieces::id)).await, "has no LIMIT"),
        (by(&bench, move |_| all.limit(5)).await, "has no ORDER BY"),
    ];
    for (shown, expected) in &refused {
        assert!(shown.contains(expected), "{shown}");
        assert!(shown.ends_with("Db::stream reads any query, with a connection held meanwhile"));
    }
    assert_eq!(bench.metric("tenfold_db_pool_connections{state=\"used\"}"), 0.0);
}

#[tokio::test]
async fn an_offset_would_leave_out_rows_of_every_chunk_and_is_refused() {
    let bench = Bench::start().await;
    with_many_pieces(&bench).await;
    let refused = by(&bench, |after| {
        let after = after.unwrap_or(i64::MIN);
        pieces::table.filter(pieces::id.gt(after)).order(pieces::id).limit(500).offset(1)
    });
    assert!(refused.await.contains("OFFSET"));
}

#[tokio::test]
async fn a_key_of_two_columns_in_raw_sql_or_put_together_at_run_time() {
    let bench = Bench::start().await;
    with_many_pieces(&bench).await;
    let select = "SELECT id, name, stock, note FROM pieces p WHERE (stock, id) > ($1, $2) \
                  ORDER BY stock, p.id LIMIT 700";
    let stream = || {
        bench.stream_by_key(
            move |after: Option<(i32, i64)>| {
                let (stock, id) = after.unwrap_or((i32::MIN, i64::MIN));
                let query = diesel::sql_query(select).bind::<sql_types::Integer, _>(stock);
                query.bind::<sql_types::BigInt, _>(id)
            },
            |piece: &NamedPiece| (piece.stock, piece.id),
        )
    };
    let missing = stream().try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(missing, Error::UnusableKey { .. }), "{missing}");
    bench.batch("CREATE INDEX ON pieces (stock, id)").await;
    let pieces: Vec<NamedPiece> = stream().try_collect().await.unwrap();
    assert_eq!(pieces.len(), 20_000);
    assert!(pieces.is_sorted_by_key(|piece| (piece.stock, piece.id)));

    let boxed = bench.stream_by_key(
        |after: Option<String>| {
            let query = pieces::table.order(pieces::name).limit(900).into_boxed();
            match after {
                Some(name) => query.filter(pieces::name.gt(name)),
                None => query,
            }
        },
        |piece: &Piece| piece.name.clone(),
    );
    assert_eq!(boxed.count().await, 20_000);
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = pieces, check_for_backend(diesel::pg::Pg))]
struct NamedPiece {
    id: i64,
    #[expect(dead_code, reason = "a row has it")]
    name: String,
    stock: i32,
    #[expect(dead_code, reason = "a row has it")]
    note: Option<String>,
}

#[tokio::test]
async fn rows_that_show_the_key_to_be_none_end_the_stream() {
    let bench = Bench::start().await;
    with_many_pieces(&bench).await;
    bench
        .batch("INSERT INTO sales (piece_id, quantity) SELECT 7, 1 FROM generate_series(1, 3)")
        .await;
    let joined = bench.stream_by_key(
        |after: Option<i64>| {
            let pieces = pieces::table.inner_join(sales::table).select(pieces::all_columns);
            pieces.filter(pieces::id.gt(after.unwrap_or(0))).order(pieces::id).limit(2)
        },
        |piece: &Piece| piece.id,
    );
    let error = joined.try_collect::<Vec<Piece>>().await.unwrap_err();
    assert!(error.to_string().contains("two rows of a chunk have the same key"), "{error}");

    let again = by(&bench, |_| pieces::table.order(pieces::id).limit(5)).await;
    assert!(again.contains("begins with the row with which the one before it began"), "{again}");
    let or_equal = |after: Option<i64>| {
        pieces::table.filter(pieces::id.ge(after.unwrap_or(0))).order(pieces::id).limit(5)
    };
    let twice = by(&bench, or_equal).await;
    assert!(twice.contains("two rows of a chunk have the same key"), "{twice}");
}

#[tokio::test]
async fn a_view_has_no_key_and_an_alias_has_that_of_its_table() {
    let bench = Bench::start().await;
    with_many_pieces(&bench).await;
    bench.batch("CREATE VIEW all_pieces AS SELECT * FROM pieces").await;
    let view = diesel::sql_query("SELECT * FROM all_pieces ORDER BY id LIMIT 5");
    let refused = bench.stream_by_key(move |_: Option<i64>| view.clone(), |it: &NamedPiece| it.id);
    let error = refused.try_collect::<Vec<_>>().await.map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("\"all_pieces\" is not a table"), "{error}");

    let named = diesel::alias!(pieces as named);
    let aliased = bench.stream_by_key(
        move |after: Option<i64>| {
            let id = named.field(pieces::id);
            named.filter(id.gt(after.unwrap_or(0))).order(id).limit(3_000)
        },
        |piece: &Piece| piece.id,
    );
    assert_eq!(aliased.count().await, 20_000);
}

#[tokio::test]
async fn a_reader_that_is_too_slow_loses_its_connection() {
    let bench = Bench::with(|settings| {
        settings.pool_max = 2;
        settings.streams_max = 1;
        settings.stream_rate_min = ByteSize::kib(1);
        settings.stream_rate_window = Duration::from_millis(300);
    })
    .await;
    let endless = || diesel::sql_query("SELECT generate_series(1, 100000000)::bigint AS id");
    let mut stopped = Box::pin(bench.stream::<Wide, _>(endless()));
    stopped.next().await.unwrap().unwrap();
    // Nobody asks for a row any more, and still it is noticed.
    bench.until(&backends("active"), 0).await;
    assert_eq!(bench.metric("tenfold_db_stream_readers_too_slow_total"), 1.0);
    // The place of a stream is free again too, and one that keeps up keeps its own.
    let mut steady = Box::pin(bench.stream::<Wide, _>(endless()));
    for _ in 0..20 {
        for _ in 0..200 {
            steady.next().await.unwrap().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = stopped.next().await.unwrap().map(|row| row.id).unwrap_err();
    assert!(matches!(error, Error::ReaderTooSlow { .. }), "{error}");
    assert!(stopped.next().await.is_none());
}

#[tokio::test]
async fn a_slow_postgres_is_not_the_readers_fault() {
    let bench = Bench::with(|settings| {
        settings.stream_rate_min = ByteSize::mib(1);
        settings.stream_rate_window = Duration::from_millis(100);
    })
    .await;
    let slow = diesel::sql_query(
        "SELECT n::bigint AS id FROM generate_series(1, 4) n WHERE pg_sleep(0.2 + n * 0) IS NOT NULL",
    );
    assert_eq!(bench.stream::<Wide, _>(slow).try_collect::<Vec<_>>().await.unwrap().len(), 4);
}
