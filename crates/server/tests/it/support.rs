//! A server for a test, and what tests ask it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::MethodRouter;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tenfold_runtime::{Offload, RuntimeSettings, Shards};
use tenfold_server::{App, DrainReport, Readiness, Resources, Server, ServerSettings, Serving};
use tenfold_telemetry::log::LogSettings;
use tenfold_telemetry::metrics::Registry;
use tokio::sync::Semaphore;

/// Generous: it guards against a hang, and no test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port, with one shard, so that everything meets everything.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) serving: Serving,
    pub(crate) shards: Shards,
}

pub(crate) fn start(router: Router) -> Running {
    start_with(router, |_| {})
}

pub(crate) fn start_with(router: Router, adjust: impl FnOnce(&mut ServerSettings)) -> Running {
    start_on(1, router, adjust)
}

pub(crate) fn start_on(
    shards: usize,
    router: Router,
    adjust: impl FnOnce(&mut ServerSettings),
) -> Running {
    let registry = Registry::new();
    let runtime = RuntimeSettings { shards, offload_threads: 1, ..RuntimeSettings::default() };
    let shards = Shards::start(&runtime, &registry).unwrap();
    let offload = Offload::start(&runtime, &registry).unwrap();
    let mut settings = ServerSettings { listen: local(), ..ServerSettings::default() };
    adjust(&mut settings);
    let server = Server::bind(&settings, &LogSettings::default(), &registry).unwrap();
    let address = server.local_address();
    let app = move |_shard| App {
        router: router.clone(),
        resources: Resources { database: None, offload: offload.clone() },
    };
    let serving = server.serve(shards.handles(), app).unwrap();
    Running { address, registry, serving, shards }
}

impl Running {
    /// The value of the series that is called so in the text format; 0 if there is none yet.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.registry.encode();
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a series has this value.
    pub(crate) async fn until(&self, series: &str, value: f64) {
        let reached = async {
            while self.metric(series) != value {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, reached).await.is_err() {
            panic!("{series} is {} and not {value}", self.metric(series));
        }
    }

    pub(crate) async fn drain(self) -> DrainReport {
        self.serving.drain(&Readiness::starting()).await
    }
}

/// The series that counts what was refused or ended for that reason.
pub(crate) fn limited(reason: &str) -> String {
    format!("tenfold_http_limited_total{{reason=\"{reason}\"}}")
}

/// A free port on loopback.
pub(crate) fn local() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// An HTTP/2 client with prior knowledge.
pub(crate) async fn http2(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn get(path: &str) -> http::Request<Full<Bytes>> {
    http::Request::get(format!("http://localhost{path}")).body(Full::default()).unwrap()
}

/// Permits for [`waits`], of which there are none yet.
pub(crate) fn no_permits() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// A handler that answers `done` once for each permit.
pub(crate) fn waits(permits: &Arc<Semaphore>) -> MethodRouter {
    let permits = permits.clone();
    axum::routing::get(move || {
        let permits = permits.clone();
        async move {
            permits.acquire().await.unwrap().forget();
            "done"
        }
    })
}
