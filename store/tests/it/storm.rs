//! Postgres freezes, dies and comes back while the store sells: nobody waits for longer than was
//! promised, the store sells again as soon as Postgres is there, and the books are right.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use diesel::prelude::*;
use serde_json::{Value, json};
use tenfold::context::Moment;
use tenfold_local::{Postgres, PostgresOptions};
use tenfold_testkit::{get, request};
use tokio::task::JoinHandle;

use crate::support::Store;

diesel::table! {
    products (id) {
        id -> BigInt,
        stock -> Integer,
    }
}

diesel::table! {
    orders (id) {
        id -> BigInt,
        product_id -> BigInt,
        quantity -> Integer,
    }
}

/// More than are ordered meanwhile: each is ordered once, so that one that is sold twice was sold
/// by us and not by the customers.
const PRODUCTS: u32 = 20_000;

/// All but this one, of which there are few, and which everybody wants.
const SCARCE: i64 = 1;

const BUYERS: usize = 12;
const READERS: usize = 8;

/// What each of them waits before the next request: a few hundred per second in all.
const PAUSE: Duration = Duration::from_millis(30);

/// The deadline of a request. Postgres is frozen for five times as long.
const DEADLINE: &str = "server.request_timeout=1s";

/// When a request is called a hang: its deadline, and what a busy machine may take for the rest.
const HANG: Duration = Duration::from_secs(3);

const FROZEN: Duration = Duration::from_secs(5);

/// Long enough that all pauses between attempts to connect are as long as they ever are.
const DOWN: Duration = Duration::from_secs(3);

/// What was promised: from the moment when Postgres lets in a bare connection.
const BACK_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn postgres_freezes_dies_and_comes_back_under_load() {
    let options = PostgresOptions { database: "store".into(), ..PostgresOptions::default() };
    let mut postgres = Postgres::start(&options, &|_| {}).unwrap();
    let url = format!("database.url={}", postgres.url());
    let store = Store::open(PRODUCTS, &[&url, DEADLINE]).await;
    store.set_stock(SCARCE, 40).await;
    let before = stock(&store).await;

    // What blocks here blocks neither the customers, which are on other threads, nor the store.
    let customers = Customers::start(store.address());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let frozen = Moment::now();
    postgres.pause().unwrap();
    tokio::time::sleep(FROZEN).await;
    postgres.kill().unwrap();
    tokio::time::sleep(DOWN).await;
    let started = Moment::now();
    // Returns as soon as a connection of its own has been let in.
    postgres.start_again().unwrap();
    let back = Moment::now();
    tokio::time::sleep(BACK_MAX + Duration::from_secs(2)).await;
    let answers = customers.stop().await;

    let longest = answers.iter().max_by_key(|answer| answer.took).unwrap();
    assert!(longest.took < HANG, "past its deadline: {longest:?}");
    check_codes(&answers);
    for status in [200, 201] {
        let good = |answer: &&Answer| answer.status == status;
        assert!(
            answers.iter().filter(good).any(|answer| answer.asked < frozen),
            "before: {status}"
        );
        let again = answers.iter().filter(good).map(Answer::answered).filter(|at| *at >= started);
        let first = again.min().unwrap_or_else(|| panic!("never again {status}"));
        assert!(first < back + BACK_MAX, "{status} only {:?} after Postgres", first.since(back));
    }
    let late = |answer: &&Answer| answer.asked >= back + BACK_MAX;
    let still = answers.iter().filter(late).find(|answer| answer.code == "database_unreachable");
    assert!(still.is_none(), "not every shard is back on every lane: {still:?}");
    check_books(&store, &before, &answers).await;
}

/// Each answer is one of those that tell a customer what to do.
fn check_codes(answers: &[Answer]) {
    for answer in answers {
        let known = match answer.status {
            200 | 201 => answer.code.is_empty(),
            409 => answer.code == "sold_out",
            503 | 504 => !answer.code.is_empty(),
            // A connection broke under it.
            500 => answer.code == "outcome_unknown",
            _ => false,
        };
        assert!(known, "{answer:?}");
    }
}

/// Every order that was confirmed is there, none is there twice, none that was refused is there,
/// and what is missing from the shelves is what was sold.
async fn check_books(store: &Store, before: &HashMap<i64, i32>, answers: &[Answer]) {
    let sold: Vec<(i64, i64, i32)> = store
        .ask(async move |db| {
            let all = orders::table.select((orders::id, orders::product_id, orders::quantity));
            db.exclusive().load(all).await.unwrap()
        })
        .await;
    let by_id: HashMap<i64, (i64, i32)> =
        sold.iter().map(|&(id, product, quantity)| (id, (product, quantity))).collect();
    let mut confirmed = HashSet::new();
    for answer in answers.iter().filter(|answer| answer.status == 201) {
        let id = answer.order.expect("it was an order");
        assert!(confirmed.insert(id), "two customers have order {id}");
        assert_eq!(by_id.get(&id), Some(&(answer.product, 1)), "confirmed and lost: {answer:?}");
    }

    let mut pieces: HashMap<i64, i32> = HashMap::new();
    for (_, product, quantity) in &sold {
        *pieces.entry(*product).or_default() += quantity;
    }
    let twice = pieces.iter().find(|(product, sold)| **product != SCARCE && **sold > 1);
    assert_eq!(twice, None, "ordered once and sold twice");
    for answer in answers.iter().filter(|answer| answer.is_order && answer.status == 503) {
        let is_sold = answer.product != SCARCE && pieces.contains_key(&answer.product);
        assert!(!is_sold, "refused and sold: {answer:?}");
    }
    for (product, left) in stock(store).await {
        let sold = pieces.get(&product).copied().unwrap_or_default();
        assert!(left >= 0, "{left} left of product {product}");
        assert_eq!(left, before[&product] - sold, "product {product}");
    }
}

async fn stock(store: &Store) -> HashMap<i64, i32> {
    let stock: Vec<(i64, i32)> = store
        .ask(async move |db| {
            let all = products::table.select(products::all_columns);
            db.exclusive().load(all).await.unwrap()
        })
        .await;
    stock.into_iter().collect()
}

/// What one of them heard.
#[derive(Debug)]
struct Answer {
    asked: Moment,
    took: Duration,
    is_order: bool,
    product: i64,
    status: u16,
    /// Of the problem, if it was one.
    code: String,
    /// The number of an order that was confirmed.
    order: Option<i64>,
}

impl Answer {
    fn answered(&self) -> Moment {
        self.asked + self.took
    }
}

/// Those who read and buy until they are told to stop.
struct Customers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Answer>>>,
}

impl Customers {
    fn start(address: SocketAddr) -> Customers {
        let (stop, next) = (Arc::<AtomicBool>::default(), Arc::new(AtomicU32::new(2)));
        let tasks = (0..BUYERS + READERS).map(|index| {
            let (stop, next) = (Arc::clone(&stop), Arc::clone(&next));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for round in 1_u32.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let answer = if index < READERS {
                        read(address, i64::from(round)).await
                    } else if round.is_multiple_of(8) {
                        buy(address, SCARCE).await
                    } else {
                        let product = next.fetch_add(1, Ordering::Relaxed);
                        assert!(product <= PRODUCTS, "more products are needed");
                        buy(address, i64::from(product)).await
                    };
                    answers.push(answer);
                    tokio::time::sleep(PAUSE).await;
                }
                answers
            })
        });
        let tasks = tasks.collect();
        Customers { stop, tasks }
    }

    async fn stop(self) -> Vec<Answer> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = Vec::new();
        for task in self.tasks {
            answers.extend(task.await.unwrap());
        }
        answers
    }
}

async fn read(address: SocketAddr, product: i64) -> Answer {
    let asked = Moment::now();
    let response = get(address, &format!("/products/{product}")).await.unwrap();
    answer(asked, product, false, response.status, &response.body)
}

async fn buy(address: SocketAddr, product: i64) -> Answer {
    let order = json!({"product_id": product, "quantity": 1}).to_string();
    let json = [("content-type", "application/json")];
    let asked = Moment::now();
    let response = request(address, "POST", "/orders", &json, order.as_bytes()).await.unwrap();
    answer(asked, product, true, response.status, &response.body)
}

fn answer(asked: Moment, product: i64, is_order: bool, status: u16, body: &[u8]) -> Answer {
    let took = Moment::now().since(asked);
    let body: Value = serde_json::from_slice(body).unwrap();
    let code =
        body["type"].as_str().unwrap_or_default().trim_start_matches("/problems/").to_owned();
    let order = body["id"].as_i64().filter(|_| status == 201);
    Answer { asked, took, is_order, product, status, code, order }
}
