//! Rows in, text out; and that no row is asked for before its reader wants it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt};
use http_body_util::BodyExt;

use super::*;

#[derive(Clone, Serialize)]
struct Product {
    id: i64,
    name: &'static str,
    price: Option<f64>,
}

const PRODUCTS: [Product; 2] = [
    Product { id: 1, name: "a \"cup\"", price: Some(2.5) },
    Product { id: 2, name: "a, b", price: None },
];

type Row = Result<Product, BoxError>;

fn rows(products: &'static [Product]) -> impl Stream<Item = Row> {
    stream::iter(products.iter().cloned().map(Ok))
}

async fn text(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn rows_in_each_format() {
    let array = json_array(rows(&PRODUCTS));
    assert_eq!(array.headers()[CONTENT_TYPE], "application/json");
    let expected = "[{\"id\":1,\"name\":\"a \\\"cup\\\"\",\"price\":2.5},\n\
                    {\"id\":2,\"name\":\"a, b\",\"price\":null}]";
    assert_eq!(text(array).await, expected);

    let lines = ndjson(rows(&PRODUCTS));
    assert_eq!(lines.headers()[CONTENT_TYPE], "application/x-ndjson");
    let expected = "{\"id\":1,\"name\":\"a \\\"cup\\\"\",\"price\":2.5}\n\
                    {\"id\":2,\"name\":\"a, b\",\"price\":null}\n";
    assert_eq!(text(lines).await, expected);

    let table = csv(rows(&PRODUCTS));
    assert_eq!(table.headers()[CONTENT_TYPE], "text/csv; charset=utf-8");
    assert_eq!(text(table).await, "id,name,price\n1,\"a \"\"cup\"\"\",2.5\n2,\"a, b\",\n");
}

#[tokio::test]
async fn no_rows() {
    assert_eq!(text(json_array(rows(&[]))).await, "[]");
    assert_eq!(text(ndjson(rows(&[]))).await, "");
    assert_eq!(text(csv(rows(&[]))).await, "");
}

#[tokio::test]
async fn many_rows_come_in_chunks_of_bounded_size() {
    let many = stream::iter((0..100_000).map(|id| Row::Ok(Product { id, ..PRODUCTS[0] })));
    let mut body = json_array(many).into_body();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let chunk = frame.unwrap().into_data().unwrap();
        assert!(chunk.len() < CHUNK_BYTES + 1024, "{}", chunk.len());
        whole.extend_from_slice(&chunk);
    }
    let parsed: Vec<serde_json::Value> = serde_json::from_slice(&whole).unwrap();
    assert_eq!(parsed.len(), 100_000);
}

#[tokio::test]
async fn a_row_is_asked_for_only_when_its_reader_wants_it() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let endless = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Row::Ok(PRODUCTS[0].clone())
    });
    let mut body = ndjson(endless).into_body();
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    body.frame().await.unwrap().unwrap();
    let after_one_chunk = asked.load(Ordering::SeqCst);
    assert!(after_one_chunk * 30 < CHUNK_BYTES + 1024, "{after_one_chunk}");
    tokio::task::yield_now().await;
    assert_eq!(asked.load(Ordering::SeqCst), after_one_chunk);
}

#[tokio::test]
async fn what_there_is_comes_before_a_slow_row() {
    let slow = rows(&PRODUCTS).chain(stream::pending());
    let mut body = ndjson(slow).into_body();
    let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(chunk.iter().filter(|byte| **byte == b'\n').count(), 2);
}

#[tokio::test]
async fn a_row_that_fails_ends_the_body_with_an_error() {
    let failing = rows(&PRODUCTS).chain(stream::iter([Err("the disk is gone".into())]));
    let error = json_array(failing).into_body().collect().await.unwrap_err();
    assert!(error.to_string().contains("the disk is gone"));
}

#[tokio::test]
async fn a_row_that_cannot_be_written_ends_the_body_with_an_error() {
    // JSON has no place for a name that is a list.
    let odd = stream::iter([Result::<_, BoxError>::Ok(BTreeMap::from([([1, 2], 3)]))]);
    assert!(ndjson(odd).into_body().collect().await.is_err());
}
