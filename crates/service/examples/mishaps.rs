//! A service whose routes go wrong on purpose: what the tests of this crate run, and a way to see
//! with one's own eyes what happens then.

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
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
        .route("/takes-its-time", get(takes_its_time))
        .route("/blocks", get(blocks))
        .route("/kills-its-shard", get(kills_its_shard))
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

/// Long enough for something else to happen meanwhile.
async fn takes_its_time() -> &'static str {
    tokio::time::sleep(Duration::from_secs(2)).await;
    "at last"
}

/// What no handler should do: it keeps the whole shard from doing anything else.
async fn blocks() {
    std::thread::sleep(Duration::from_secs(600));
}

/// No panic of a handler ends a shard, and none of a task. One in a waker does that somebody has
/// written by hand: it is the event loop itself that calls it.
async fn kills_its_shard() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Panics>) {
            panic!("in a waker, on purpose");
        }
    }
    let waker = Waker::from(Arc::new(Panics));
    let mut soon = pin!(tokio::time::sleep(Duration::from_millis(1)));
    let _not_yet = soon.as_mut().poll(&mut Context::from_waker(&waker));
    std::future::pending::<()>().await;
}
