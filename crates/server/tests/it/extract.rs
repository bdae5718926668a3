//! Handlers' arguments, and what they say of input that does not fit.

use axum::Router;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tenfold_server::{Db, Json, Offload, Path, Query, Result};
use tenfold_testkit::{Response, request};

use crate::support::{Running, start};

#[derive(Deserialize, Serialize)]
struct Order {
    product: i64,
    quantity: u8,
}

#[derive(Deserialize)]
struct Page {
    limit: u16,
}

fn routes() -> Router {
    Router::new()
        .route("/orders", post(|Json(order): Json<Order>| async { Json(order) }))
        .route("/products/{id}", get(|Path(id): Path<i64>| async move { id.to_string() }))
        .route(
            "/shops/{shop}/products/{id}",
            get(|Path((shop, id)): Path<(String, i64)>| async move { format!("{shop} {id}") }),
        )
        .route("/products", get(|Query(page): Query<Page>| async move { page.limit.to_string() }))
        .route("/offload", get(offloaded))
        .route("/database", get(|_: Db| async {}))
}

async fn offloaded(offload: Offload) -> Result<String> {
    let thread = offload.run(|| std::thread::current().name().map(str::to_owned)).await?;
    Ok(thread.unwrap_or_default())
}

async fn order(server: &Running, content_type: &str, body: &str) -> Response {
    let headers = [("content-type", content_type)];
    request(server.address, "POST", "/orders", &headers, body.as_bytes()).await.unwrap()
}

async fn get_from(server: &Running, path: &str) -> Response {
    request(server.address, "GET", path, &[], b"").await.unwrap()
}

fn field(answer: &Response) -> String {
    assert_eq!(answer.status, 422, "{}", answer.text());
    answer.json()["errors"][0]["field"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn json_in_and_out() {
    let server = start(routes());
    let answer = order(&server, "application/json", r#"{"product": 1, "quantity": 2}"#).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text(), r#"{"product":1,"quantity":2}"#);
}

#[tokio::test]
async fn a_body_that_does_not_fit_says_what_is_wrong() {
    let server = start(routes());
    let wrong = order(&server, "application/json", r#"{"product": 1, "quantity": "two"}"#).await;
    assert_eq!(field(&wrong), "quantity");
    let broken = order(&server, "application/json", r#"{"product": 1,"#).await;
    assert_eq!(broken.status, 400);
    assert!(broken.json()["detail"].as_str().unwrap().contains("line 1 column"));
    assert_eq!(order(&server, "text/plain", "{}").await.status, 415);
    let large = format!(r#"{{"product": 1, "quantity": {}1}}"#, " ".repeat(3 << 20));
    let large = order(&server, "application/json", &large).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn a_path_or_a_parameter_that_does_not_fit_is_named() {
    let server = start(routes());
    assert_eq!(get_from(&server, "/products/7").await.text(), "7");
    assert_eq!(field(&get_from(&server, "/products/seven").await), "id");
    assert_eq!(field(&get_from(&server, "/shops/a/products/seven").await), "id");
    assert_eq!(get_from(&server, "/shops/a/products/7").await.text(), "a 7");
    assert_eq!(get_from(&server, "/products?limit=5").await.text(), "5");
    assert_eq!(field(&get_from(&server, "/products?limit=many").await), "limit");
    assert_eq!(field(&get_from(&server, "/products").await), "limit");
    assert_eq!(get_from(&server, "/products/%ff").await.status, 400);
}

#[tokio::test]
async fn offloaded_work_runs_elsewhere() {
    let server = start(routes());
    let answer = get_from(&server, "/offload").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().starts_with("shard"), "{}", answer.text());
}

#[tokio::test]
async fn a_service_without_a_database_has_none_to_give() {
    let server = start(routes());
    let answer = get_from(&server, "/database").await;
    assert_eq!((answer.status, &answer.json()["type"]), (500, &"/problems/internal".into()));
}
