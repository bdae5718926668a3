//! HTTP/2 and TLS, against hyper.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tenfold_loadgen::{Ending, Failure};
use tenfold_testkit::SelfSigned;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::listener::Listener;
use crate::{SECOND, ms, offer, run, scenario};

/// hyper with HTTP/1.1 and HTTP/2: /slow takes a minute, /echo gives the body back, the others
/// say which version they were asked in.
struct Hyper {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _listener: Listener,
}

impl Hyper {
    fn start(tls: Option<&SelfSigned>, lives: Duration) -> Hyper {
        Hyper::start_with(tls, lives, 200)
    }

    /// One that takes so many requests at once on a connection.
    fn start_with(tls: Option<&SelfSigned>, lives: Duration, streams: u32) -> Hyper {
        let tls = tls.map(|signed| {
            let certificate = CertificateDer::from_pem_file(signed.certificate()).unwrap();
            let key = PrivateKeyDer::from_pem_file(signed.key()).unwrap();
            let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
                .unwrap();
            config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            TlsAcceptor::from(Arc::new(config))
        });
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        let listener = Listener::start(move |stream| {
            counted.fetch_add(1, Ordering::Relaxed);
            let tls = tls.clone();
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                builder.http2().max_concurrent_streams(streams);
                let service = service_fn(answer);
                // Connections end as clients end them, and after their time.
                let _ = match tls {
                    Some(tls) => {
                        let Ok(stream) = tls.accept(stream).await else { return };
                        let served = builder.serve_connection(TokioIo::new(stream), service);
                        tokio::time::timeout(lives, served).await
                    }
                    None => {
                        let served = builder.serve_connection(TokioIo::new(stream), service);
                        tokio::time::timeout(lives, served).await
                    }
                };
            });
        });
        Hyper { address: listener.address, connections, _listener: listener }
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.address.port())
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if path == "/slow" {
        tokio::time::sleep(60 * SECOND).await;
    }
    if path == "/takes" {
        tokio::time::sleep(ms(50)).await;
    }
    let version = format!("{:?}", request.version());
    let body = match path.as_str() {
        "/echo" => request
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default(),
        "/large" => Bytes::from(vec![b'x'; 3 << 20]),
        "/busy" => {
            let refused = Response::builder().status(503).header("retry-after", "1");
            return Ok(refused.body(Full::default()).unwrap());
        }
        _ => Bytes::from(version),
    };
    Ok(Response::new(Full::new(body)))
}

const ASKS: &str = r#"
    [[request]]
    class = "version"
    path = "/{{sequence}}"
    headers = { accept = "text/plain" }
    good = { body_contains = "VERSION" }
    [[request]]
    class = "echo"
    method = "POST"
    path = "/echo"
    body = 'number {{sequence}}'
    good = { body_contains = "number " }
    [[request]]
    class = "large"
    weight = 0.1
    path = "/large"
    [client]
"#;

fn asks(version: &str, http: &str) -> String {
    format!("{}http = \"{http}\"\n", ASKS.replace("VERSION", version))
}

#[test]
fn many_requests_share_a_connection() {
    let server = Hyper::start(None, 600 * SECOND);
    let outcome = run(&scenario(&server.url("http"), &asks("HTTP/2.0", "2")), 200);
    assert_eq!(outcome.record.total().count(Ending::Good), 200, "{:?}", outcome.record.failures);
    assert!(server.connections.load(Ordering::Relaxed) <= 4, "a hundred streams each");
}

#[test]
fn what_a_connection_has_no_streams_for_goes_to_another() {
    let server = Hyper::start_with(None, 600 * SECOND, 4);
    let text = "[[request]]\npath = \"/takes\"\n[client]\nhttp = \"2\"\n";
    let total = run(&scenario(&server.url("http"), text), 200).record.total();
    assert_eq!(total.count(Ending::Good), 200);
    // Twenty are there at a time, four on each.
    assert!(server.connections.load(Ordering::Relaxed) >= 5);
    let service_ms = total.service_us().unwrap().value_at_quantile(0.5) / 1000;
    let latency_ms = total.latency_us(Ending::Good).unwrap().value_at_quantile(0.5) / 1000;
    assert!((50..500).contains(&service_ms) && latency_ms < 500, "{service_ms}, {latency_ms}");
}

#[test]
fn tls_is_agreed_on_in_either_protocol() {
    let signed = SelfSigned::new().unwrap();
    let server = Hyper::start(Some(&signed), 600 * SECOND);
    for (version, http) in [("HTTP/1.1", "1.1"), ("HTTP/2.0", "2")] {
        let mut scenario = scenario(&server.url("https"), &asks(version, http));
        scenario.behaviour.ca_file = Some(signed.certificate());
        let outcome = run(&scenario, 100);
        assert_eq!(
            outcome.record.total().count(Ending::Good),
            100,
            "{:?}",
            outcome.record.failures
        );
        scenario.behaviour.ca_file = None;
        scenario.behaviour.insecure = true;
        assert_eq!(run(&scenario, 20).record.total().count(Ending::Good), 20);
    }
}

#[test]
fn a_certificate_that_nobody_trusts_is_refused() {
    let (signed, other) = (SelfSigned::new().unwrap(), SelfSigned::new().unwrap());
    let server = Hyper::start(Some(&signed), 600 * SECOND);
    let mut scenario = scenario(&server.url("https"), "[[request]]\npath = \"/\"\n");
    scenario.behaviour.ca_file = Some(other.certificate());
    let record = run(&scenario, 10).record;
    assert_eq!(record.failures(Failure::Handshake), 10);
    let causes = record.causes.ranked();
    let [cause] = causes.as_slice() else { panic!("{causes:?}") };
    assert_eq!((cause.failure.as_str(), cause.count), ("handshake", 10));
    assert!(cause.words.starts_with("TLS: invalid peer certificate: "), "{cause:?}");
    scenario.behaviour.ca_file = Some(signed.key());
    let load = tenfold_loadgen::Schedule::constant(1.0, SECOND);
    let error = tenfold_loadgen::Run::open(&scenario, load).run().unwrap_err().to_string();
    assert!(error.contains("key.pem: there is no certificate in it"), "{error}");
}

#[test]
fn who_does_not_speak_http2_is_no_server_of_it() {
    let server = crate::server::Server::start(10, |_| crate::server::Reply::ok(""));
    let record = offer(&server.url(), "[client]\nhttp = \"2\"\ntimeout = \"500ms\"\n", 10).record;
    let total = record.total();
    assert_eq!(total.count(Ending::Failed) + total.count(Ending::TimedOut), 10);
    let causes = record.causes.ranked();
    let said: u64 = causes.iter().map(|cause| cause.count).sum();
    assert_eq!(said, record.failures(Failure::Handshake), "{causes:?}");
    assert!(causes.iter().all(|cause| cause.words.starts_with("HTTP/2: ")), "{causes:?}");
}

#[test]
fn a_stream_that_is_given_up_does_not_take_the_others_along() {
    let server = Hyper::start(None, 600 * SECOND);
    let text = "[[request]]\nclass = \"slow\"\npath = \"/slow\"\n\
                [[request]]\nclass = \"fast\"\npath = \"/\"\n\
                [client]\nhttp = \"2\"\ntimeout = \"400ms\"\n";
    let record = run(&scenario(&server.url("http"), text), 100).record;
    let (slow, fast) = (record.class(0), record.class(1));
    assert_eq!(slow.count(Ending::TimedOut), slow.intended);
    assert!(fast.count(Ending::Good) > fast.intended / 2, "{}", fast.count(Ending::Good));
    assert_eq!(fast.count(Ending::Failed), 0);
}

#[test]
fn a_connection_that_is_lost_is_replaced() {
    let server = Hyper::start(None, ms(100));
    let text = "[[request]]\npath = \"/\"\n[client]\nhttp = \"2\"\n";
    let record = run(&scenario(&server.url("http"), text), 100).record;
    assert!(server.connections.load(Ordering::Relaxed) >= 3);
    assert!(record.total().count(Ending::Good) >= 80, "{:?}", record.failures);
    // Those who met a connection that was gone had not been sent on it.
    assert_eq!(record.resent, 0);
}

#[test]
fn refusals_are_seen_in_http2_too() {
    let server = Hyper::start(None, 600 * SECOND);
    let text = "[[request]]\npath = \"/busy\"\n[client]\nhttp = \"2\"\n";
    let total = run(&scenario(&server.url("http"), text), 20).record.total();
    assert_eq!(total.count(Ending::Refused), 20);
}
