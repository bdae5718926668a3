//! Selling: what an order answers, and that ten thousand customers at once get exactly the
//! pieces that there are.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Store, assert_problem};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_takes_its_pieces_at_the_price_of_the_moment() {
    let store = Store::open(2, &[]).await;
    let product = store.get_json("/products/1").await;

    let response = store.order(1, 3).await;
    assert_eq!(response.status, 201, "{}", response.text());
    let order = response.json();
    assert_eq!(response.header("location"), Some(&*format!("/orders/{}", order["id"])));
    assert_eq!(order["product_id"], 1);
    assert_eq!(order["quantity"], 3);
    assert_eq!(order["price_cents"], product["price_cents"]);

    assert_eq!(store.get_json(&format!("/orders/{}", order["id"])).await, order);
    let left = product["stock"].as_i64().unwrap() - 3;
    assert_eq!(store.get_json("/products/1").await["stock"], left);

    assert_problem(&store.get("/orders/999").await, 404, "not_found", None);
    assert_problem(&store.get("/orders/last").await, 422, "invalid", Some("id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_sold() {
    let store = Store::open(2, &[]).await;
    store.set_stock(1, 3).await;

    assert_problem(&store.order(1, 4).await, 409, "sold_out", None);
    assert_eq!(store.get_json("/products/1").await["stock"], 3, "nothing is sold by half");
    assert_eq!(store.order(1, 3).await.status, 201);
    let sold_out = store.order(1, 1).await;
    assert_problem(&sold_out, 409, "sold_out", None);
    assert!(sold_out.text().contains("product 1 is sold out"), "{}", sold_out.text());

    assert_problem(&store.order(3, 1).await, 404, "unknown_product", None);
    assert_problem(&store.order(-1, 1).await, 404, "unknown_product", None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_order_says_which_field() {
    let store = Store::open(1, &[]).await;
    for (body, field) in [
        (json!({"product_id": 1, "quantity": 0}), "quantity"),
        (json!({"product_id": 1, "quantity": 11}), "quantity"),
        (json!({"product_id": 1, "quantity": "1"}), "quantity"),
        (json!({"product_id": 1}), "quantity"),
        (json!({"product_id": "1", "quantity": 1}), "product_id"),
        (json!({"quantity": 1}), "product_id"),
        (json!({"product_id": 1, "quantity": 1, "price_cents": 1}), "price_cents"),
    ] {
        let response = store.post("/orders", &body).await;
        assert_problem(&response, 422, "invalid", Some(field));
    }
    let stock = store.get_json("/products/1").await["stock"].clone();
    assert_eq!(stock, 4035, "none of them took anything");
}

const CUSTOMERS: usize = 10_000;
const CONNECTIONS: usize = 100;
const PIECES: i32 = 100;

/// Ten thousand orders at once for a hundred pieces, over HTTP. Whoever is refused for now
/// (503: nothing has begun) comes again when the answer says, until it is decided.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_customers_buy_exactly_the_hundred_pieces() {
    // The machine of a test may be so busy that a commit takes longer than the usual budget,
    // and an order over its budget is a 504 that nobody should send again blindly.
    let settings = ["database.transaction_budget=20s", "server.request_timeout=60s"];
    let store = Store::open(1, &settings).await;
    store.set_stock(1, PIECES).await;

    let mut customers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let connection = connect(store.address()).await;
        for _ in 0..CUSTOMERS / CONNECTIONS {
            customers.spawn(buy_one(connection.clone()));
        }
    }
    let answers = customers.join_all().await;

    let count = |status| answers.iter().filter(|answer| **answer == status).count();
    assert_eq!(count(StatusCode::CREATED), PIECES as usize);
    assert_eq!(count(StatusCode::CONFLICT), CUSTOMERS - PIECES as usize);

    let product = store.get_json("/products/1").await;
    assert_eq!(product["stock"], 0);
    let report = store.get_json("/report").await;
    let sold: i64 = report["bands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|band| band["orders"].as_i64().unwrap())
        .sum();
    assert_eq!(sold, i64::from(PIECES), "an order for each piece");
}

async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let socket = TcpStream::connect(address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(socket));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

/// One customer, who does not give up before the answer is final.
async fn buy_one(mut connection: SendRequest<Full<Bytes>>) -> StatusCode {
    loop {
        let order = json!({"product_id": 1, "quantity": 1}).to_string();
        let request = Request::post("http://store/orders")
            .header("content-type", "application/json")
            .body(Full::from(order))
            .unwrap();
        let response = connection.send_request(request).await.unwrap();
        let status = response.status();
        let retry_after = response.headers().get("retry-after").cloned();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = retry_after.expect("a refusal says when").to_str().unwrap().parse();
                tokio::time::sleep(Duration::from_secs(seconds.unwrap())).await;
            }
            StatusCode::CREATED | StatusCode::CONFLICT => return status,
            other => panic!("{other}: {}", String::from_utf8_lossy(&body)),
        }
    }
}
