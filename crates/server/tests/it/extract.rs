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

/// The same with what axum has for it: what it says in plain text gets the form of the rest.
fn axums_own() -> Router {
    use axum::Extension;
    use axum::extract::rejection::PathRejection;
    use axum::extract::ws::WebSocketUpgrade;
    use axum::extract::{Form, Json, NestedPath, Path, Query, RawPathParams};

    #[derive(Deserialize)]
    struct Sale {
        #[expect(dead_code, reason = "only its shape matters")]
        lines: Vec<Order>,
    }
    Router::new()
        .route("/sales", post(|_: Json<Sale>| async {}))
        .route("/orders", post(|_: Form<Order>| async {}).get(|_: Form<Order>| async {}))
        .route("/text", post(|_: String| async {}))
        .route("/products/{id}", get(|_: Path<i64>| async {}))
        .route("/named/{id}", get(|_: Path<std::collections::HashMap<String, i64>>| async {}))
        .route("/shops/{shop}/products/{id}", get(|_: Path<(String, i64)>| async {}))
        .route("/raw/{id}", get(|_: RawPathParams| async {}))
        .route("/misbuilt/{a}/{b}", get(|_: Path<i64>| async {}))
        .route("/products", get(|_: Query<Page>| async {}))
        .route("/socket", get(|_: WebSocketUpgrade| async {}))
        .route("/extension", get(|_: Extension<u128>| async {}))
        .route("/nested", get(|_: NestedPath| async {}))
        .route(
            "/caught/{id}",
            get(|path: Result<Path<i64>, PathRejection>| async move {
                path.map(drop).map_err(|_| (http::StatusCode::GONE, "it was never here"))
            }),
        )
}

#[tokio::test]
async fn what_axums_extractors_do_not_take_is_a_problem_too() {
    const JSON: &str = "application/json";
    const FORM: &str = "application/x-www-form-urlencoded";
    let server = start(axums_own());
    // Status, type, and the field or a part of what is said.
    let cases = [
        (
            "POST /sales",
            JSON,
            r#"{"lines": [{"product": 1, "quantity": 300}]}"#,
            "422 invalid lines[0].quantity",
        ),
        ("POST /sales", JSON, r#"{"lines": [{"product": 1}]}"#, "422 invalid lines[0].quantity"),
        ("POST /sales", JSON, "{}", "422 invalid lines"),
        ("POST /sales", JSON, "7", "422 invalid body"),
        ("POST /sales", JSON, "{", "400 malformed EOF while parsing"),
        ("POST /sales", FORM, "{}", "415 unsupported_media_type application/json"),
        ("POST /orders", FORM, "product=1&quantity=many", "422 invalid quantity"),
        ("POST /orders", FORM, "product=1", "422 invalid quantity"),
        ("POST /orders", JSON, "{}", "415 unsupported_media_type x-www-form-urlencoded"),
        ("GET /orders?product=1&quantity=many", "", "", "422 invalid quantity"),
        ("POST /text", "", "\u{ff}", "200"),
        ("GET /products/seven", "", "", "422 invalid path"),
        ("GET /named/seven", "", "", "422 invalid id"),
        ("GET /shops/a/products/seven", "", "", "422 invalid path"),
        ("GET /products/%ff", "", "", "400 malformed UTF-8"),
        ("GET /raw/%ff", "", "", "400 malformed UTF-8"),
        ("GET /products?limit=many", "", "", "422 invalid limit"),
        ("GET /products", "", "", "422 invalid limit"),
        ("GET /socket", "", "", "400 malformed Connection header"),
        // What is a mistake of the service says nothing of it.
        ("GET /misbuilt/1/2", "", "", "500 internal our own fault"),
        ("GET /extension", "", "", "500 internal our own fault"),
        ("GET /nested", "", "", "500 internal our own fault"),
    ];
    let mut unexpected = String::new();
    for (ask, content_type, body, expected) in cases {
        let (method, path) = ask.split_once(' ').unwrap();
        let headers: &[_] =
            if content_type.is_empty() { &[] } else { &[("content-type", content_type)] };
        let answer = request(server.address, method, path, headers, body.as_bytes()).await.unwrap();
        let said = said(&answer);
        let mut parts = expected.splitn(3, ' ');
        let begin = [parts.next().unwrap(), parts.next().unwrap_or_default()].join(" ");
        if !(said.starts_with(begin.trim_end()) && said.contains(parts.next().unwrap_or_default()))
        {
            unexpected += &format!("{ask} {body}: {said} and not {expected}\n");
        }
    }
    assert!(unexpected.is_empty(), "{unexpected}");
    let raw = request(server.address, "POST", "/text", &[], b"\xff").await.unwrap();
    assert!(said(&raw).starts_with("400 malformed "), "{}", said(&raw));
    let large = request(server.address, "POST", "/text", &[], &vec![b'x'; 3 << 20]).await.unwrap();
    assert!(said(&large).starts_with("413 body_too_large "), "{}", said(&large));
    // What a handler says in its own words stays as it is.
    let own = get_from(&server, "/caught/seven").await;
    assert_eq!((own.status, own.text().as_str()), (410, "it was never here"));
}

/// Status, type, and the field that is wrong or else what is said.
fn said(answer: &Response) -> String {
    if answer.status == 200 {
        return "200".to_owned();
    }
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{}",
        answer.text()
    );
    let problem = answer.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&problem["type"]).replace("/problems/", "");
    let field = text(&problem["errors"][0]["field"]);
    format!(
        "{} {kind} {}",
        answer.status,
        if field.is_empty() { text(&problem["detail"]) } else { field }
    )
}

#[tokio::test]
async fn what_axum_quotes_is_short() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let router = Router::new().route("/", post(|_: axum::extract::Json<Nothing>| async {}));
    let server = start(router);
    let body = format!("{{\"{}\": 1}}", "é".repeat(500_000));
    let headers = [("content-type", "application/json")];
    let answer = request(server.address, "POST", "/", &headers, body.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 422);
    assert!(
        answer.body.len() < 2_000 && answer.text().contains("unknown field"),
        "{}",
        answer.text()
    );
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
