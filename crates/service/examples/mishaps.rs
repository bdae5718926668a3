//! A service whose routes go wrong on purpose: what the tests of this crate run, and a way to see
//! with one's own eyes what happens then.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::routing::get;

fn main() -> ExitCode {
    tenfold_service::service("mishaps").version("1.2.3").routes(routes).run()
}

fn routes() -> Router {
    Router::new()
        .route("/", get(async || "all is well"))
        .route("/panic", get(panics))
        .route("/task-panics", get(task_panics))
        .route("/waits", get(waits))
        .route("/blocks", get(blocks))
}

async fn panics() {
    panic!("on purpose");
}

/// Nobody waits for the task, so nobody hears of its end but the log.
async fn task_panics() {
    tokio::spawn(async { panic!("in a task, on purpose") });
}

/// Never answers by itself, but gives way at each deadline.
async fn waits() {
    std::future::pending::<()>().await;
}

/// What no handler should do: it keeps the whole shard from doing anything else.
async fn blocks() {
    std::thread::sleep(Duration::from_secs(600));
}
