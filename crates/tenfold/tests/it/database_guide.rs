//! The shop of the database guide, on a Postgres of its own: what is shown does what is said.

mod shop;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tenfold::config::Layers;
use tenfold::known_settings;
use tenfold::telemetry::metrics::Registry;
use tenfold_testkit::{Client, Response};

async fn post(address: SocketAddr, path: &str, body: &Value) -> Response {
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut client = Client::connect(address).await.unwrap();
    client.send(request).await.unwrap();
    client.read_response().await.unwrap()
}

fn product(sku: &str, price_cents: i32, stock: i32) -> Value {
    json!({"sku": sku, "name": format!("name of {sku}"), "price_cents": price_cents, "stock": stock})
}

#[tokio::test]
async fn the_shop_does_what_the_guide_says() {
    let flags = ["server.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"];
    let config = known_settings().load(&Layers::new().flags(flags)).unwrap();
    let shop = shop::service().embedded_database();
    let running = shop.start(&config, &Registry::new()).await.unwrap();
    let address = running.address();
    let get = async |path: &str| {
        let response = tenfold_testkit::get(address, path).await.unwrap();
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response
    };
    let post = async |path: &str, body: Value| post(address, path, &body).await;

    // Rows in bulk, and again.
    let two = json!([product("A1", 500, 3), product("A2", 1_500, 7)]);
    assert_eq!(post("/products/import", two.clone()).await.json(), json!([1, 2]));
    let again = post("/products/import", two.clone()).await;
    assert_eq!(
        (again.status, again.json()["type"].clone()),
        (409, json!("/problems/already_exists"))
    );
    let upserted = post("/products/upsert", json!([product("A1", 600, 3), product("B1", 50, 20)]));
    assert_eq!(upserted.await.status, 204);
    let twice = json!([product("A1", 1, 1), product("A1", 2, 2)]);
    let twice = post("/products/upsert", twice).await;
    assert_eq!((twice.status, twice.json()["type"].clone()), (422, json!("/problems/repeated")));
    let some = json!([product("A1", 1, 1), product("C1", 1, 1)]);
    assert_eq!(post("/products/what-can-be", some).await.json(), json!(1));
    assert_eq!(post("/products/copy", json!([product("D1", 9, 9)])).await.json(), json!(1));
    assert_eq!(post("/products", product("D1", 9, 9)).await.json()["type"], "/problems/sku_taken");
    let refused = post("/products", product("E1", 9, -1)).await;
    assert_eq!(refused.status, 422, "{}", refused.text());

    // Reads.
    assert_eq!(get("/products/1").await.json()["price_cents"], 600);
    assert_eq!(get("/products/1/quick").await.json()["sku"], "A1");
    assert_eq!(tenfold_testkit::get(address, "/products/99").await.unwrap().status, 404);
    assert_eq!(get("/products/cheap").await.json().as_array().unwrap().len(), 4);
    let found = get("/products?name=of%20a&price_max=1000").await.json();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let bands = get("/products/by-price").await.json();
    assert_eq!(bands, json!([{"euros": 6, "count": 1}, {"euros": 15, "count": 1}]));

    // Transactions.
    let bought = post("/orders", json!({"product_id": 1, "quantity": 3})).await;
    assert_eq!(bought.status, 201, "{}", bought.text());
    let sold_out = post("/orders", json!({"product_id": 1, "quantity": 1})).await;
    assert_eq!(sold_out.json()["type"], "/problems/sold_out");
    assert_eq!(get("/products/sold").await.json()[0], json!(["name of A1", 3]));
    assert_eq!(get("/products/bestsellers").await.json(), json!([1]));
    let token = bought.header("x-written").unwrap();
    let request = format!(
        "GET /orders/{} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\nx-written: {token}\r\n\r\n",
        bought.json()
    );
    let mut client = Client::connect(address).await.unwrap();
    client.send(request).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().json(), json!([1, 3]));
    assert_eq!(post("/restock", json!(null)).await.json(), json!(4));

    // Streams.
    let ndjson = get("/export.ndjson").await.text();
    assert_eq!(ndjson.lines().count(), 5);
    assert_eq!(get("/export.json").await.json().as_array().unwrap().len(), 5);
    for path in ["/export.csv", "/copy.csv"] {
        let csv = get(path).await.text();
        assert_eq!(csv.lines().count(), 6);
        assert_eq!(csv.lines().next(), Some("id,sku,name,price_cents,stock,note"));
    }

    // An upload comes in whole or not at all.
    let upload = async |lines: &str, announced: usize| {
        let request = format!(
            "POST /products/upload HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\
             content-length: {announced}\r\n\r\n{lines}"
        );
        let mut client = Client::connect(address).await.unwrap();
        client.send(request).await.unwrap();
        if announced > lines.len() {
            client.stop_sending().await.unwrap();
        }
        client.read_response().await
    };
    let lines = "F1,name of F1,1,1\nG1,name of G1,1,1\n";
    if let Ok(answer) = upload(lines, lines.len() + 1).await {
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    assert_eq!(get("/export.ndjson").await.text().lines().count(), 5);
    assert_eq!(upload(lines, lines.len()).await.unwrap().json(), json!(2));
    assert_eq!(get("/export.ndjson").await.text().lines().count(), 7);
    running.stop().await;
}
