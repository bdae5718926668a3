//! The smallest server, to aim load and attacks at: `cargo run --release -p tenfold-server
//! --example hello -- 127.0.0.1:8080`. `/` says hello, `/echo` gives back what it is sent,
//! `/large` is a megabyte, `/metrics` says what became of it all.

use std::error::Error;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use tenfold_runtime::{Offload, RuntimeSettings, Shards};
use tenfold_server::{App, Resources, Server, ServerSettings};
use tenfold_telemetry::log::LogSettings;
use tenfold_telemetry::metrics::Registry;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let registry = Registry::new();
    let runtime = RuntimeSettings::default();
    let shards = Shards::start(&runtime, &registry)?;
    let offload = Offload::start(&runtime, &registry)?;
    let mut settings = ServerSettings::default();
    if let Some(listen) = std::env::args().nth(1) {
        settings.listen = listen.parse()?;
    }
    // All of the load comes from one address.
    settings.connections_max = 20_000;
    settings.connections_per_address_max = settings.connections_max;
    let server = Server::bind(&settings, &LogSettings::default(), &registry)?;
    println!("listening on {}", server.local_address());

    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let metrics = registry.clone();
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: Bytes| async move { body }))
        .route("/large", get(move || std::future::ready(large.clone())))
        .route("/metrics", get(move || std::future::ready(metrics.encode())));
    let app = move |_shard| App {
        router: router.clone(),
        resources: Resources { database: None, offload: offload.clone() },
    };
    let _serving = server.serve(shards.handles(), app)?;
    // Until it is killed: nothing here is worth a drain.
    std::future::pending().await
}
