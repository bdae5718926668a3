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

#[tokio::test]
async fn what_has_its_form_already_is_left_as_it_is() {
    let pieces = ["id\n", "1\n", "", "2\n"].map(|piece| Ok::<_, BoxError>(piece.into()));
    let response = raw(stream::iter(pieces), "text/csv");
    assert_eq!(response.headers()[CONTENT_TYPE], "text/csv");
    assert_eq!(text(response).await, "id\n1\n2\n");
}

/// The answer as it is sent to a client that accepts this.
async fn begun(response: Response, accepted: &'static str) -> Result<Response, Error> {
    assert!(is_rows(&response));
    begin(response, Some(HeaderValue::from_static(accepted))).await
}

#[tokio::test]
async fn the_client_gets_the_coding_that_it_accepts() {
    for (accepted, coding) in [("gzip", Some("gzip")), ("br", Some("br")), ("x", None)] {
        let response = begun(ndjson(rows(&PRODUCTS)), accepted).await.unwrap();
        assert_eq!(response.headers()[VARY], "accept-encoding");
        let said = response.headers().get(CONTENT_ENCODING).map(|it| it.to_str().unwrap());
        assert_eq!(said, coding);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.starts_with(b"{\"id\":1"), coding.is_none());
    }
    let mut encoded = ndjson(rows(&PRODUCTS));
    encoded.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("own"));
    let encoded = begun(encoded, "gzip").await.unwrap();
    assert_eq!(encoded.headers()[CONTENT_ENCODING], "own", "the handler has encoded it already");
}

#[tokio::test]
async fn what_there_is_comes_before_a_slow_row_encoded_too() {
    let slow = rows(&PRODUCTS).chain(stream::pending());
    let mut body = begun(ndjson(slow), "gzip").await.unwrap().into_body();
    let mut coded = Vec::new();
    let mut read = String::new();
    while !read.ends_with("null}\n") {
        coded.extend_from_slice(&body.frame().await.unwrap().unwrap().into_data().unwrap());
        read.clear();
        // The end is missing, and that is an error.
        let _ =
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*coded), &mut read);
    }
    assert_eq!(read.lines().count(), 2);
}

#[tokio::test]
async fn a_row_that_fails_ends_an_encoded_body_with_an_error() {
    let many = stream::repeat_with(|| Row::Ok(PRODUCTS[0].clone())).take(100_000);
    let failing = many.chain(stream::iter([Err("the disk is gone".into())]));
    let mut body = begun(json_array(failing), "zstd").await.unwrap().into_body();
    let mut last = body.frame().await;
    assert!(last.as_ref().unwrap().is_ok());
    while let Some(Ok(_)) = last {
        last = body.frame().await;
    }
    let error = last.unwrap().unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn what_fails_before_the_first_row_is_an_answer_of_its_own() {
    let failing = |error: BoxError| json_array(stream::iter([Row::Err(error)]));
    let not_found = tenfold_db::Error::NotFound;
    assert_eq!(begun(failing(not_found.into()), "").await.unwrap_err().status(), 404);
    let own = Error::problem(http::StatusCode::CONFLICT, "sold_out", "all pieces are sold");
    assert_eq!(begun(failing(own.into()), "").await.unwrap_err().code(), "sold_out");
    assert_eq!(begun(failing("the disk is gone".into()), "").await.unwrap_err().status(), 500);
}
