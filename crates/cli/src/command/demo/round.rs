//! The first round: one request of each kind, and what came back.

use std::net::SocketAddr;

use http::{Method, StatusCode};

use super::client::{self, Answer};
use super::{counted, grouped, print};

/// How the first round went.
#[derive(Debug)]
pub(super) struct Round {
    failed: usize,
}

/// A request of the round and what makes its answer a good one.
struct Step {
    method: Method,
    path: &'static str,
    body: &'static str,
    /// The answers that can be good ones.
    expected: &'static [StatusCode],
    /// What the answer holds, if it holds what it should.
    look: fn(&Answer) -> Option<String>,
}

const STEPS: [Step; 5] = [
    Step {
        method: Method::GET,
        path: "/products?limit=50",
        body: "",
        expected: &[StatusCode::OK],
        look: |answer| some_of(answer, "\"sku\"", "product"),
    },
    Step {
        method: Method::GET,
        path: "/products/search?words=lamp",
        body: "",
        expected: &[StatusCode::OK],
        look: |answer| Some(counted(occurrences(answer, "\"sku\""), "hit")),
    },
    Step {
        method: Method::POST,
        path: "/orders",
        body: r#"{"product_id": 1, "quantity": 1}"#,
        // In a shop that has been open for long there may be none left, and it has to say so.
        expected: &[StatusCode::CREATED, StatusCode::CONFLICT],
        look: |answer| match answer.status {
            StatusCode::CONFLICT => sold_out(answer),
            _ => some_of(answer, "\"placed_at\"", "order"),
        },
    },
    Step {
        method: Method::GET,
        path: "/products/1/label.png?size=640",
        body: "",
        expected: &[StatusCode::OK],
        look: |answer| answer.head.starts_with(b"\x89PNG").then(|| "a PNG".to_owned()),
    },
    Step {
        method: Method::GET,
        path: "/export.ndjson",
        body: "",
        expected: &[StatusCode::OK],
        look: |answer| {
            let products = || format!("{} products", grouped(answer.lines));
            (answer.lines > 0).then(products)
        },
    },
];

impl Round {
    /// Sends the requests one after the other and prints a line about each.
    pub(super) async fn send(address: SocketAddr) -> Round {
        let mut failed = 0;
        for step in &STEPS {
            let sent = client::send(address, step.method.clone(), step.path, step.body).await;
            let request = format!("{:<5}{:<32}", step.method.as_str(), step.path);
            match sent.as_ref().map(|answer| step.verdict(answer)) {
                Ok(Ok(line)) => print(&format!("  {request}{line}")),
                Ok(Err(line)) => {
                    failed += 1;
                    print(&format!("  {request}{line}"));
                }
                Err(problem) => {
                    failed += 1;
                    print(&format!("  {request}failed: {problem}"));
                }
            }
        }
        Round { failed }
    }

    pub(super) fn is_good(&self) -> bool {
        self.failed == 0
    }
}

impl Step {
    fn verdict(&self, answer: &Answer) -> Result<String, String> {
        let figures = format!(
            "{}  {:>9.1} ms  {:>10} ",
            answer.status.as_u16(),
            answer.took.as_secs_f64() * 1e3,
            size(answer.bytes)
        );
        let looked = self.expected.contains(&answer.status).then(|| (self.look)(answer)).flatten();
        match looked {
            Some(found) => Ok(format!("{figures} {found}")),
            None => {
                let head = String::from_utf8_lossy(&answer.head);
                let head: String = head.chars().take(200).collect();
                Err(format!("{figures} not as expected: {head}"))
            }
        }
    }
}

fn sold_out(answer: &Answer) -> Option<String> {
    (occurrences(answer, "/sold_out\"") > 0).then(|| "sold out".to_owned())
}

fn some_of(answer: &Answer, mark: &str, thing: &str) -> Option<String> {
    let count = occurrences(answer, mark);
    (count > 0).then(|| counted(count, thing))
}

fn occurrences(answer: &Answer, mark: &str) -> usize {
    String::from_utf8_lossy(&answer.head).matches(mark).count()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{} B", grouped(bytes)),
        10_000..10_000_000 => format!("{} kB", grouped(bytes / 1_000)),
        _ => format!("{} MB", grouped(bytes / 1_000_000)),
    }
}
