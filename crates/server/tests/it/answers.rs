//! Failures become problems that say what went wrong.

use axum::Router;
use axum::routing::{get as on_get, post};
use http_body_util::BodyExt;
use tenfold_testkit::{Client, Response, get, request};

use crate::support::{self, http2, start, start_with};

fn routes() -> Router {
    Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/products/{id}", on_get(|| async { "a product" }).put(|| async { "changed" }))
        .route("/upload", post(|body: bytes::Bytes| async move { body.len().to_string() }))
        .route("/panic", on_get(panics))
        .route("/slow", on_get(std::future::pending::<()>))
}

async fn panics() -> &'static str {
    panic!("on purpose")
}

fn problem(answer: &Response) -> (u16, String) {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let json = answer.json();
    assert_eq!(json["status"], answer.status);
    assert_eq!(json["request_id"].as_str(), answer.header("x-request-id"));
    (answer.status, json["type"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn what_is_not_there_and_what_is_not_allowed_are_problems() {
    let server = start(routes());
    let nowhere = get(server.address, "/nowhere").await.unwrap();
    assert_eq!(problem(&nowhere), (404, "/problems/not_found".to_owned()));

    let forbidden = request(server.address, "DELETE", "/products/1", &[], b"").await.unwrap();
    assert_eq!(problem(&forbidden), (405, "/problems/method_not_allowed".to_owned()));
    assert_eq!(forbidden.header("allow"), Some("GET,HEAD,PUT"));
}

#[tokio::test]
async fn head_is_get_without_its_body() {
    let server = start(routes());
    let mut client = Client::connect(server.address).await.unwrap();
    for path in ["/", "/nowhere"] {
        client.send(format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await.unwrap();
        let head = client.read_head().await.unwrap();
        assert!(head.header("content-length").unwrap().parse::<u64>().unwrap() > 0);
    }
    // Had there been a body, this answer would not be one.
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "home");
    server.until(&requests("/", "HEAD", 200), 1.0).await;
    assert_eq!(server.metric("tenfold_http_abandoned_total{route=\"/\"}"), 0.0);
}

#[tokio::test]
async fn a_panic_costs_its_own_request_only() {
    let server = start(routes());
    let mut client = http2(server.address).await;
    let slow = tokio::spawn(client.clone().send_request(support::get("/")));
    let answer = client.send_request(support::get("/panic")).await.unwrap();
    assert_eq!(answer.status(), 500);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("on purpose"), "{body:?}");
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    let after = client.send_request(support::get("/")).await.unwrap();
    assert_eq!(after.status(), 200);
}

#[tokio::test]
async fn a_request_ends_at_its_deadline() {
    let server = start_with(routes(), |settings| {
        settings.request_timeout = std::time::Duration::from_millis(50);
    });
    let late = get(server.address, "/slow").await.unwrap();
    assert_eq!(problem(&late), (504, "/problems/deadline_passed".to_owned()));
    server.until(&requests("/slow", "GET", 504), 1.0).await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_announced_or_not() {
    let server = start_with(routes(), |settings| {
        settings.body_max = tenfold_config::ByteSize::kib(1);
    });
    let just_right = request(server.address, "POST", "/upload", &[], &[b'x'; 1024]).await.unwrap();
    assert_eq!((just_right.status, just_right.text()), (200, "1024".to_owned()));

    let announced = request(server.address, "POST", "/upload", &[], &[b'x'; 1025]).await.unwrap();
    assert_eq!(problem(&announced), (413, "/problems/body_too_large".to_owned()));

    let mut client = Client::connect(server.address).await.unwrap();
    let chunk = "x".repeat(1025);
    let chunked = format!(
        "POST /upload HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n401\r\n{chunk}\r\n0\r\n\r\n"
    );
    client.send(chunked).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status, 413);
}

#[tokio::test]
async fn a_larger_body_than_axum_allows_is_a_matter_of_the_settings() {
    let server = start_with(routes(), |settings| {
        settings.body_max = tenfold_config::ByteSize::mib(4);
    });
    let body = vec![b'x'; 3 << 20];
    let answer = request(server.address, "POST", "/upload", &[], &body).await.unwrap();
    assert_eq!((answer.status, answer.text()), (200, body.len().to_string()));
}

#[tokio::test]
async fn a_request_id_is_taken_if_it_is_sound_and_replaced_if_not() {
    let server = start(routes());
    let id = |given: &'static str| async move {
        let headers = [("x-request-id", given)];
        let answer = request(server.address, "GET", "/", &headers, b"").await.unwrap();
        answer.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(id("abc-1").await, "abc-1");
    for unsound in ["a b", "<script>", ""] {
        let ours = id(unsound).await;
        assert_eq!(ours.len(), 16, "{ours}");
    }
}

#[tokio::test]
async fn what_callers_invent_is_no_label() {
    let server = start(routes());
    for number in 0..50 {
        get(server.address, &format!("/nowhere/{number}")).await.unwrap();
        get(server.address, &format!("/products/{number}")).await.unwrap();
        let method = format!("BREW{number}");
        request(server.address, &method, "/products/1", &[], b"").await.unwrap();
    }
    server.until(&requests("unmatched", "GET", 404), 50.0).await;
    server.until(&requests("/products/{id}", "GET", 200), 50.0).await;
    server.until(&requests("/products/{id}", "other", 501), 50.0).await;
    let text = server.registry.encode();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("tenfold_http_requests_total{")).count(),
        3
    );
    server.registry.check().unwrap();
}

pub(crate) fn requests(route: &str, method: &str, status: u16) -> String {
    format!(
        "tenfold_http_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}"
    )
}
