//! Bodies made of rows: whole, at the pace of their reader, and visibly broken off when a row fails.

use std::time::Duration;

use axum::BoxError;
use axum::Router;
use axum::routing::get as on_get;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::BodyExt;
use tenfold_server::{csv, json_array, ndjson};
use tenfold_testkit::{Client, End, Response, get};

use crate::support::{self, http2, start};

/// So many rows, and then, after a moment in which they are on their way, an error.
fn failing(rows: u64) -> impl Stream<Item = Result<u64, BoxError>> {
    let fails = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err("the disk is gone".into())
    };
    stream::iter((0..rows).map(Ok)).chain(stream::once(fails))
}

fn routes() -> Router {
    Router::new()
        .route(
            "/whole",
            on_get(|| async { json_array(stream::iter((0..50_000).map(Ok::<u64, BoxError>))) }),
        )
        .route("/broken", on_get(|| async { ndjson(failing(50_000)) }))
        .route("/broken.csv", on_get(|| async { csv(failing(50_000)) }))
        .route("/broken.json", on_get(|| async { json_array(failing(50_000)) }))
        .route("/broken/at/once", on_get(|| async { json_array(failing(0)) }))
}

#[tokio::test]
async fn a_whole_stream_comes_to_its_end() {
    let server = start(routes());
    let answer = get(server.address, "/whole").await.unwrap();
    assert_eq!((answer.status, answer.end), (200, End::Complete));
    assert_eq!(answer.json().as_array().unwrap().len(), 50_000);
    server.until("tenfold_http_in_flight", 0.0).await;
    assert_eq!(server.metric("tenfold_http_abandoned_total{route=\"/whole\"}"), 0.0);
    assert_eq!(server.metric("tenfold_http_bodies_failed_total{route=\"/whole\"}"), 0.0);
}

#[tokio::test]
async fn a_stream_that_fails_is_seen_to_be_incomplete_on_http1() {
    let server = start(routes());
    let answer = get(server.address, "/broken").await.unwrap();
    assert_eq!((answer.status, answer.end), (200, End::Early));
    assert!(!answer.text().contains("disk"));
    server.until("tenfold_http_bodies_failed_total{route=\"/broken\"}", 1.0).await;
}

#[tokio::test]
async fn a_stream_that_fails_is_reset_on_http2_and_leaves_the_others_alone() {
    let server = start(routes());
    let mut client = http2(server.address).await;
    let broken = client.send_request(support::get("/broken")).await.unwrap();
    assert_eq!(broken.status(), 200);
    let whole = client.send_request(support::get("/whole")).await.unwrap();
    assert!(broken.into_body().collect().await.is_err());
    let whole = whole.into_body().collect().await.unwrap().to_bytes();
    assert!(whole.ends_with(b"49999]"));
}

async fn get_accepting(address: std::net::SocketAddr, coding: &str, path: &str) -> Response {
    let mut client = Client::connect(address).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\naccept-encoding: {coding}\r\n\r\n");
    client.send(head).await.unwrap();
    let answer = client.read_response().await;
    let answer = answer.unwrap_or_else(|error| panic!("{coding} {path}: {error}"));
    assert_eq!(answer.header("content-encoding"), Some(coding), "{path}");
    answer
}

/// What a body is in plain, as far as it goes, and whether its coding came to its end.
fn decoded(coding: &str, body: &[u8]) -> (Vec<u8>, std::io::Result<usize>) {
    let mut decoder: Box<dyn std::io::Read + '_> = match coding {
        "gzip" => Box::new(flate2::read::GzDecoder::new(body)),
        "zstd" => Box::new(zstd::stream::read::Decoder::new(body).unwrap()),
        "br" => Box::new(brotli::Decompressor::new(body, 4096)),
        _ => panic!("{coding} is no coding"),
    };
    let mut plain = Vec::new();
    let ended = decoder.read_to_end(&mut plain);
    (plain, ended)
}

const CODINGS: [&str; 3] = ["zstd", "br", "gzip"];

#[tokio::test]
async fn each_format_that_fails_is_seen_to_be_incomplete_encoded_or_not() {
    let server = start(routes());
    for path in ["/broken", "/broken.csv", "/broken.json"] {
        let answer = get(server.address, path).await.unwrap();
        assert_eq!((answer.status, answer.end), (200, End::Early), "{path}");
        for coding in CODINGS {
            let encoded = get_accepting(server.address, coding, path).await;
            assert_eq!((encoded.status, encoded.end), (200, End::Early), "{coding} {path}");
            assert!(encoded.body.len() < answer.body.len() / 2, "{coding} {path}");
            // Who does not look at the end of the body hears of it from the coding.
            let (plain, ended) = decoded(coding, &encoded.body);
            assert!(ended.is_err(), "{coding} {path}: {} bytes", plain.len());
            assert!(answer.body.starts_with(&plain) && !plain.is_empty(), "{coding} {path}");
        }
    }
}

#[tokio::test]
async fn an_encoded_stream_comes_to_its_end() {
    let server = start(routes());
    for coding in CODINGS {
        let answer = get_accepting(server.address, coding, "/whole").await;
        assert_eq!((answer.status, answer.end), (200, End::Complete), "{coding}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        let (plain, ended) = decoded(coding, &answer.body);
        assert_eq!(ended.unwrap(), plain.len(), "{coding}");
        let rows: Vec<u64> = serde_json::from_slice(&plain).unwrap();
        assert!(rows.into_iter().eq(0..50_000), "{coding}");
    }
    server.until("tenfold_http_in_flight", 0.0).await;
    assert_eq!(server.metric("tenfold_http_abandoned_total{route=\"/whole\"}"), 0.0);
}

#[tokio::test]
async fn a_stream_that_fails_at_once_is_a_problem() {
    let server = start(routes());
    let answer = get(server.address, "/broken/at/once").await.unwrap();
    assert_eq!((answer.status, answer.end), (500, End::Complete));
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(!answer.text().contains("disk"));
}
