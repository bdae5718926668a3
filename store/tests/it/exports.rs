//! The whole catalog in three formats, for readers of every speed.

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
