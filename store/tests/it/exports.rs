//! The whole catalog in three formats, for readers of every speed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tenfold_testkit::{Client, End};

use crate::support::Store;

const PRODUCTS: u32 = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn every_format_holds_every_product_once_and_in_order() {
    let store = Store::open(PRODUCTS, &[]).await;
    let export = async |path: &str, content_type: &str| {
        let response = store.get(path).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-type"), Some(content_type));
        assert_eq!(response.end, End::Complete, "{path}");
        response
    };

    let json = export("/export.json", "application/json").await.json();
    let json = json.as_array().unwrap();
    let ids: Vec<i64> = json.iter().map(|product| product["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=i64::from(PRODUCTS)).collect::<Vec<i64>>());
    assert_eq!(json[0], store.get_json("/products/1").await);

    let ndjson = export("/export.ndjson", "application/x-ndjson").await.text();
    assert!(ndjson.ends_with('\n'));
    let lines = ndjson.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(lines.eq(json.iter().cloned()), "the same products as in the array");

    let text = export("/export.csv", "text/csv; charset=utf-8").await.body;
    let mut csv = csv::Reader::from_reader(&*text);
    let columns = ["id", "sku", "name", "description", "price_cents", "stock", "created_at"];
    assert_eq!(csv.headers().unwrap(), &columns[..]);
    let mut rows = 0;
    for (row, product) in csv.records().zip(json) {
        for (column, value) in columns.iter().zip(&row.unwrap()) {
            let expected = &product[column];
            let expected = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
            assert_eq!(value, expected);
        }
        rows += 1;
    }
    assert_eq!(rows, PRODUCTS);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_catalog_is_an_empty_export() {
    let store = Store::open(0, &[]).await;
    assert_eq!(store.get("/export.json").await.text(), "[]");
    assert_eq!(store.get("/export.ndjson").await.text(), "");
    assert_eq!(store.get("/export.csv").await.text(), "");
}

/// With two connections in the pool, two that hold one hold up everybody.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_stop_reading_keep_no_connection_from_others() {
    let store = Store::open(PRODUCTS, &["database.pool_max=2", "database.streams_max=1"]).await;
    let mut readers = Vec::new();
    for _ in 0..20 {
        let mut reader =
            Client::connect_with_receive_buffer(store.address(), 32 * 1024).await.unwrap();
        reader.send("GET /export.json HTTP/1.1\r\nhost: store\r\n\r\n").await.unwrap();
        assert_eq!(reader.read_head().await.unwrap().status, 200);
        readers.push(reader);
    }

    assert_eq!(store.order(1, 1).await.status, 201);
    store.get_json("/report").await;
    assert_eq!(store.get("/export.ndjson").await.text().lines().count(), PRODUCTS as usize);

    // And whoever goes on reading gets the rest.
    let mut reader = readers.swap_remove(0);
    let mut length = 0;
    let mut last = Vec::new();
    while !last.ends_with(b"0\r\n\r\n") {
        let some = reader.read_some(1 << 20).await.unwrap();
        assert!(!some.is_empty(), "cut off after {length} bytes");
        length += some.len();
        last.extend_from_slice(&some);
        last.drain(..last.len().saturating_sub(5));
    }
    assert!(length > 4_000_000, "{length} bytes are not the whole catalog");
}

/// Rows of the store's table without what its search needs, which would take minutes.
async fn fill(store: &Store, products: u32) {
    let sql = [
        "ALTER TABLE products DROP COLUMN search".to_owned(),
        format!(
            "INSERT INTO products (sku, name, description, price_cents, stock)
             SELECT 'sku ' || n, 'product ' || n, repeat('as good as it gets ', 10), 100, 10
             FROM generate_series(1, {products}) n"
        ),
    ];
    for sql in sql {
        let done = store.ask(async move |db| db.exclusive().execute(diesel::sql_query(sql)).await);
        done.await.unwrap();
    }
}

/// Asks for the whole catalog, over a connection that keeps little of it.
async fn ask_for_export(address: SocketAddr) -> Client {
    let mut reader = Client::connect_with_receive_buffer(address, 32 * 1024).await.unwrap();
    reader.send("GET /export.json HTTP/1.1\r\nhost: store\r\n\r\n").await.unwrap();
    assert_eq!(reader.read_head().await.unwrap().status, 200);
    reader
}

/// The most memory that this process has had since it was asked the last time, in MiB. Linux only.
fn memory_mib_max() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
    // See proc(5): the peak is what there is now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kib / 1024.0
}

/// Service, readers and all else of this test together.
#[tokio::test(flavor = "multi_thread")]
async fn a_million_products_take_no_memory_to_speak_of_and_hold_nobody_up() {
    const MILLION: u32 = 1_000_000;
    const GROWTH_MIB_MAX: f64 = 32.0;

    let store = Store::open(0, &["database.pool_max=4", "database.streams_max=1"]).await;
    fill(&store, MILLION).await;
    store.get_json("/products/1").await;
    memory_mib_max();
    let before = memory_mib_max();

    let mut fast = ask_for_export(store.address()).await;
    let (mut rows, mut last) = (0, Vec::new());
    while !last.ends_with(b"\r\n0\r\n\r\n") {
        let some = fast.read_some(1 << 16).await.unwrap();
        assert!(!some.is_empty(), "cut off after {rows} rows");
        rows += some.iter().filter(|byte| **byte == b'}').count();
        last.extend_from_slice(&some[some.len().saturating_sub(7)..]);
        last.drain(..last.len().saturating_sub(7));
    }
    assert_eq!(rows, MILLION as usize);
    let grown = memory_mib_max() - before;
    assert!(grown <= GROWTH_MIB_MAX, "a fast reader took {grown} MiB");

    let mut steady = ask_for_export(store.address()).await;
    for _ in 0..20 {
        let mut taken = 0;
        while taken < 100_000 {
            taken += steady.read_some(100_000 - taken).await.unwrap().len();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let grown = memory_mib_max() - before;
    assert!(grown <= GROWTH_MIB_MAX, "a reader of 1 MB/s took {grown} MiB");
    drop(steady);

    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(ask_for_export(store.address()).await);
    }
    for turn in 0..20 {
        for reader in &mut slow {
            assert!(!reader.read_some(4096).await.unwrap().is_empty());
        }
        // Far above what a read takes, far below what waiting for a reader would.
        let read = tokio::time::timeout(Duration::from_secs(2), store.get("/products/7"));
        assert_eq!(read.await.unwrap().status, 200, "in turn {turn}");
    }
    let grown = memory_mib_max() - before;
    assert!(grown <= GROWTH_MIB_MAX, "50 slow readers took {grown} MiB");

    slow.into_iter().for_each(Client::abort);
    let others = async {
        assert_eq!(store.order(1, 1).await.status, 201);
        assert_eq!(store.get("/products/7").await.status, 200);
    };
    tokio::time::timeout(Duration::from_secs(2), others).await.unwrap();
}
