//! A store for a test, and what tests do with it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use store::catalog::{self, Catalog};
use tenfold::config::Layers;
use tenfold::context::{Context, Deadline};
use tenfold::db::Db;
use tenfold::telemetry::metrics::Registry;
use tenfold::{Running, known_settings};
use tenfold_testkit::{Client, Response};

/// Long enough for any catalog of a test on a busy machine.
const LOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// A store that runs in this process, with a Postgres that is gone when it is dropped.
pub(crate) struct Store {
    running: Running,
}

impl Store {
    /// A store with that many products and these settings (`section.key=value`).
    pub(crate) async fn open(products: u32, settings: &[&str]) -> Store {
        let ports = ["server.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"];
        let flags = ports.iter().chain(settings).copied();
        let config = known_settings().load(&Layers::new().flags(flags)).unwrap();
        let running = store::service().start(&config, &Registry::new()).await.unwrap();
        let store = Store { running };
        let loaded =
            store.ask(async move |db| catalog::load(&db, Catalog::new(1, products), |_| ()).await);
        assert_eq!(loaded.await.unwrap(), u64::from(products));
        store
    }

    /// Does something with the database beside the service, on the service's own event loop.
    pub(crate) async fn ask<T, W, F>(&self, work: W) -> T
    where
        T: Send + 'static,
        W: FnOnce(Db) -> F + Send + 'static,
        F: Future<Output = T> + Send,
    {
        let database = self.running.database().expect("the store has one").clone();
        let asked = self.running.shards()[0].run(async move {
            let context = Context::new().with_deadline(Deadline::after(LOAD_TIMEOUT));
            work(database.on_this_shard().handle(context)).await
        });
        asked.await.unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.running.admin_address()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        tenfold_testkit::get(self.address(), path).await.unwrap()
    }

    /// The JSON of an answer that has to be a success.
    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.text());
        response.json()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: store\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut client = Client::connect(self.address()).await.unwrap();
        client.send(request).await.unwrap();
        client.read_response().await.unwrap()
    }

    pub(crate) async fn order(&self, product_id: i64, quantity: i64) -> Response {
        self.post("/orders", &json!({"product_id": product_id, "quantity": quantity})).await
    }

    /// Puts that many pieces of a product on the shelf.
    pub(crate) async fn set_stock(&self, product_id: i64, stock: i32) {
        let set = format!("UPDATE products SET stock = {stock} WHERE id = {product_id}");
        let touched =
            self.ask(async move |db| db.exclusive().execute(diesel::sql_query(set)).await);
        assert_eq!(touched.await.unwrap(), 1);
    }
}

/// Checks that an answer is a problem of that status and code, and names that field if it is
/// about one.
pub(crate) fn assert_problem(response: &Response, status: u16, code: &str, field: Option<&str>) {
    let said = response.text();
    assert_eq!(response.status, status, "{said}");
    assert_eq!(response.header("content-type"), Some("application/problem+json"), "{said}");
    let problem = response.json();
    assert_eq!(problem["type"], format!("/problems/{code}"), "{said}");
    let named = problem["errors"][0]["field"].as_str();
    assert_eq!(named, field, "{said}");
}
