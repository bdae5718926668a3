//! A drain while everybody asks: whatever was begun is answered, in every way to speak HTTP.
//!
//! `TENFOLD_TEST_DRAINS` says how often; the more often, the more likely is it that something
//! happens just between two other things.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event, Sse};
use axum::routing::get as on_get;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tenfold_config::environment;
use tenfold_server::Readiness;
use tenfold_testkit::{Client, End, SelfSigned};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{PATIENCE, get, start_on};

/// How many clients of each kind.
const CROWD: usize = 4;

/// How long each crowd asks before the drain begins.
const BEFORE: Duration = Duration::from_millis(150);

fn routes() -> Router {
    Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/rows", on_get(rows))
        .route("/events", on_get(events))
}

const ROWS: usize = 20;

/// An answer that takes its time.
async fn rows() -> Body {
    Body::from_stream(stream::unfold(0, |row| async move {
        tokio::time::sleep(Duration::from_millis(10)).await;
        (row < ROWS).then(|| (Ok::<_, Infallible>(Bytes::from_static(b"row\n")), row + 1))
    }))
}

/// An answer that has no end.
async fn events() -> Sse<impl futures_util::Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        Some((Ok(Event::default().data("tick")), ()))
    }))
}

/// What all clients share.
#[derive(Clone)]
struct Crowd {
    address: SocketAddr,
    tls: Option<Arc<SelfSigned>>,
    readiness: Readiness,
    answered: Arc<AtomicU64>,
}

impl Crowd {
    /// A load balancer opens no connection to somebody who is not ready.
    fn goes_on(&self) -> bool {
        self.readiness.not_ready_because().is_none()
    }

    async fn http1(&self) -> Client {
        match &self.tls {
            None => Client::connect(self.address).await.unwrap(),
            Some(signed) => Client::connect_tls(self.address, signed, &["http/1.1"]).await.unwrap(),
        }
    }

    async fn http2(&self) -> SendRequest<Full<Bytes>> {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let Some(signed) = &self.tls else {
            let (sender, connection) = builder.handshake(TokioIo::new(tcp)).await.unwrap();
            tokio::spawn(connection);
            return sender;
        };
        let connector = tokio_rustls::TlsConnector::from(signed.client_config(&["h2"]));
        let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
        let tls = connector.connect(name, tcp).await.unwrap();
        let (sender, connection) = builder.handshake(TokioIo::new(tls)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    /// Asks again and again over a connection that is kept, until the answer says that it was the
    /// last; then over another one.
    async fn ask_over_http1(self, path: &'static str) {
        while self.goes_on() {
            let mut client = self.http1().await;
            loop {
                client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await.unwrap();
                let answer = client.read_response().await.unwrap();
                assert_eq!((answer.status, answer.end), (200, End::Complete), "{path}");
                check(path, &answer.body);
                self.answered.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection") == Some("close") {
                    break;
                }
            }
        }
    }

    /// The same over HTTP/2, where a connection says by itself that it takes no more.
    async fn ask_over_http2(self, path: &'static str) {
        while self.goes_on() {
            let mut client = self.http2().await;
            while client.ready().await.is_ok() {
                let response = match client.try_send_request(get(path)).await {
                    Ok(response) => response,
                    Err(mut failed) => match failed.take_message() {
                        // It was never sent: whoever asks elsewhere has lost nothing.
                        Some(_unsent) => break,
                        None => panic!("{path}: {:?}", failed.into_error()),
                    },
                };
                assert_eq!(response.status(), 200);
                let body = response.into_body().collect().await;
                check(path, &body.unwrap_or_else(|error| panic!("{path}: {error:?}")).to_bytes());
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn check(path: &str, body: &[u8]) {
    match path {
        "/" => assert_eq!(body, b"home"),
        "/rows" => assert_eq!(body.len(), 4 * ROWS),
        _ => assert!(body.is_empty() || body.ends_with(b"data: tick\n\n"), "half an event"),
    }
}

async fn drain_once(tls: Option<Arc<SelfSigned>>) {
    let server = start_on(2, routes(), |settings| {
        settings.drain_delay = Duration::from_millis(50);
        settings.drain_events_timeout = Duration::from_millis(100);
        if let Some(signed) = &tls {
            settings.tls_certificate = Some(signed.certificate());
            settings.tls_key = Some(signed.key());
        }
    });
    let readiness = Readiness::starting();
    readiness.set_ready();
    let crowd = |answered: &Arc<AtomicU64>| Crowd {
        address: server.address,
        tls: tls.clone(),
        readiness: readiness.clone(),
        answered: answered.clone(),
    };
    let mut clients = JoinSet::new();
    let mut counts = Vec::new();
    for path in ["/", "/rows", "/events"] {
        let (http1, http2) = (Arc::default(), Arc::default());
        for _ in 0..CROWD {
            clients.spawn(crowd(&http1).ask_over_http1(path));
            clients.spawn(crowd(&http2).ask_over_http2(path));
        }
        counts.extend([(path, "HTTP/1.1", http1), (path, "HTTP/2", http2)]);
    }
    tokio::time::sleep(BEFORE).await;
    let registry = server.registry.clone();
    let report = server.serving.drain(&readiness).await;
    assert_eq!(report.cut, 0);
    let ended = async {
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
    for (path, version, answered) in counts {
        assert!(answered.load(Ordering::Relaxed) >= CROWD as u64, "{path} over {version}");
    }
    let text = registry.encode();
    let failed = ["tenfold_http_abandoned_total", "tenfold_http_bodies_failed_total"];
    let failed = |line: &&str| failed.iter().any(|name| line.starts_with(name));
    for line in text.lines().filter(failed) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    drop(server.shards);
}

fn drains() -> usize {
    environment::var("TENFOLD_TEST_DRAINS").map_or(2, |count| count.parse().unwrap())
}

#[tokio::test]
async fn no_request_fails_in_a_drain_under_load() {
    for _ in 0..drains() {
        drain_once(None).await;
    }
}

#[tokio::test]
async fn no_request_fails_in_a_drain_under_load_over_tls() {
    let signed = Arc::new(SelfSigned::new().unwrap());
    for _ in 0..drains() {
        drain_once(Some(signed.clone())).await;
    }
}
