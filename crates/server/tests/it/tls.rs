//! Certificates that are chosen, exchanged and asked for, and handshakes that go wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get as on_get;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tenfold_server::{Caller, ClientCertificates, ServerSettings};
use tenfold_testkit::{Client, get};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{PATIENCE, Running, local, start_with};

fn routes() -> Router {
    let signed = |caller: Caller| async move {
        caller.certificate().map_or_else(Vec::new, |certificate| certificate.to_vec())
    };
    Router::new().route("/", on_get(|| async { "home" })).route("/signed", on_get(signed))
}

/// Somebody whose signature counts.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
struct Signed {
    certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn sign(&self, names: &[&str]) -> Signed {
        self.sign_until(names, 2100)
    }

    fn sign_until(&self, names: &[&str], year: i32) -> Signed {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let signed = params.signed_by(&key, &self.0).unwrap();
        Signed { certificate: signed.der().clone(), pem: signed.pem(), key }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }

    /// A client that trusts it, and shows a certificate if it has one.
    fn client(&self, own: Option<&Signed>) -> Arc<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build().unwrap();
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_webpki_verifier(verifier);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let key = PrivateKeyDer::try_from(own.key.serialize_der()).unwrap();
                builder.with_client_auth_cert(vec![own.certificate.clone()], key).unwrap()
            }
        };
        Arc::new(config)
    }
}

/// A folder with the files of a server.
struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(TempDir::with_prefix("tenfold-tls-").unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file, so that nobody ever sees half of it.
    fn put(&self, name: &str, text: &str) {
        let new = self.path("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }

    fn put_pair(&self, name: &str, signed: &Signed) {
        self.put(&format!("{name}.pem"), &signed.pem);
        self.put(&format!("{name}.key"), &signed.key.serialize_pem());
    }

    fn settings(&self, settings: &mut ServerSettings) {
        settings.tls_certificate = Some(self.path("first.pem"));
        settings.tls_key = Some(self.path("first.key"));
        // Nothing but what a test asks for.
        settings.tls_reload_interval = Duration::from_secs(3600);
    }
}

async fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let tcp = TcpStream::connect(address).await?;
    TlsConnector::from(config.clone()).connect(name, tcp).await
}

/// Asks once over a connection; how its handshake went.
async fn ask(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<HandshakeKind> {
    let stream = connect(address, config, name).await?;
    let kind = stream.get_ref().1.handshake_kind().unwrap();
    let mut client = Client::over(stream);
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
    let answer = client.read_response().await.map_err(std::io::Error::other)?;
    assert_eq!(answer.text(), "home");
    Ok(kind)
}

/// The certificate that a client gets for a name, without checking it.
async fn shown(server: &Running, authority: &Authority, name: &str) -> CertificateDer<'static> {
    let stream = connect(server.address, &authority.client(None), name).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn reloads(outcome: &str) -> String {
    format!("tenfold_tls_reloads_total{{outcome=\"{outcome}\"}}")
}

fn handshakes(outcome: &str) -> String {
    format!("tenfold_tls_handshakes_total{{outcome=\"{outcome}\"}}")
}

#[tokio::test]
async fn the_name_that_a_client_asks_for_chooses_its_certificate() {
    let (authority, files) = (Authority::new(), Files::new());
    let (first, more) = (authority.sign(&["a.example"]), authority.sign(&["*.b.example"]));
    files.put_pair("first", &first);
    files.put_pair("more", &more);
    let server = start_with(routes(), |settings| {
        files.settings(settings);
        settings.tls_more_certificates = vec![files.path("more.pem")];
        settings.tls_more_keys = vec![files.path("more.key")];
    });
    assert_eq!(shown(&server, &authority, "a.example").await, first.certificate);
    assert_eq!(shown(&server, &authority, "www.b.example").await, more.certificate);
    let other = connect(server.address, &authority.client(None), "c.example").await;
    // It gets the first one, and finds that it is not for this name.
    assert!(other.unwrap_err().to_string().contains("not valid for name \"c.example\""));
    server.until(&handshakes("full"), 2.0).await;
    server.until(&handshakes("failed"), 1.0).await;
}

#[tokio::test]
async fn a_client_that_comes_back_goes_on_with_its_session_even_after_an_exchange() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let (authority, files) = (Authority::new(), Files::new());
        files.put_pair("first", &authority.sign(&["localhost"]));
        let server = start_with(routes(), |settings| files.settings(settings));
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        let client = Arc::new(client);
        let kind = ask(server.address, &client, "localhost").await.unwrap();
        assert_eq!(kind, HandshakeKind::Full);
        let kind = ask(server.address, &client, "localhost").await.unwrap();
        assert_eq!(kind, HandshakeKind::Resumed);

        files.put_pair("first", &authority.sign(&["localhost"]));
        server.serving.certificates().unwrap().now();
        server.until(&reloads("changed"), 1.0).await;
        let kind = ask(server.address, &client, "localhost").await.unwrap();
        assert_eq!(kind, HandshakeKind::Resumed);
        server.until(&handshakes("full"), 1.0).await;
        server.until(&handshakes("resumed"), 2.0).await;
    }
}

#[tokio::test]
async fn certificates_are_exchanged_under_load_and_no_handshake_fails() {
    const EXCHANGES: usize = 20;
    let (authority, files) = (Authority::new(), Files::new());
    files.put_pair("first", &authority.sign(&["localhost"]));
    let server = start_with(routes(), |settings| {
        files.settings(settings);
        settings.tls_reload_interval = Duration::from_millis(10);
    });
    let (over, shaken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let crowd: Vec<_> = (0..8)
        .map(|number| {
            let (over, shaken) = (over.clone(), shaken.clone());
            let (address, same) = (server.address, authority.client(None));
            // Half of them come back with their sessions, half begin anew each time.
            let roots = authority.roots();
            tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let client = if number % 2 == 0 { same.clone() } else { anew(&roots) };
                    ask(address, &client, "localhost").await.unwrap();
                    shaken.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for exchange in 1..=EXCHANGES {
        // The key comes after the certificate: whoever looks in between keeps the old pair.
        let signed = authority.sign(&["localhost"]);
        files.put("first.pem", &signed.pem);
        tokio::time::sleep(Duration::from_millis(exchange as u64 % 20)).await;
        files.put("first.key", &signed.key.serialize_pem());
        server.until(&reloads("changed"), exchange as f64).await;
        assert_eq!(shown(&server, &authority, "localhost").await, signed.certificate);
        let before = shaken.load(Ordering::Relaxed);
        let goes_on = async {
            while shaken.load(Ordering::Relaxed) < before + 8 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, goes_on).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for client in crowd {
        client.await.unwrap();
    }
    for outcome in ["failed", "late", "displaced"] {
        assert_eq!(server.metric(&handshakes(outcome)), 0.0, "{outcome}");
    }
    assert!(server.metric(&handshakes("full")) >= 8.0 * EXCHANGES as f64 / 2.0);
    assert!(server.metric(&handshakes("resumed")) > 0.0);
}

fn anew(roots: &RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    Arc::new(config)
}

#[tokio::test]
async fn new_files_that_are_no_good_change_nothing_and_are_taken_once_they_are() {
    let (authority, files) = (Authority::new(), Files::new());
    let good = authority.sign(&["localhost"]);
    files.put_pair("first", &good);
    let server = start_with(routes(), |settings| files.settings(settings));
    let reload = server.serving.certificates().unwrap();
    let other = authority.sign(&["localhost"]);
    let bad: [(&str, &str); 3] =
        [("first.key", "no key"), ("first.pem", &other.pem), ("first.pem", "")];
    for (count, (name, text)) in bad.into_iter().enumerate() {
        files.put(name, text);
        reload.now();
        server.until(&reloads("failed"), count as f64 + 1.0).await;
        assert_eq!(shown(&server, &authority, "localhost").await, good.certificate);
    }
    std::fs::remove_file(files.path("first.pem")).unwrap();
    reload.now();
    server.until(&reloads("failed"), 4.0).await;
    files.put_pair("first", &authority.sign_until(&["localhost"], 2020));
    reload.now();
    server.until(&reloads("failed"), 5.0).await;
    files.put_pair("first", &other);
    reload.now();
    server.until(&reloads("changed"), 1.0).await;
    assert_eq!(shown(&server, &authority, "localhost").await, other.certificate);
    reload.now();
    server.until(&reloads("unchanged"), 1.0).await;
    // 2100-01-01.
    let expires = "tenfold_tls_certificate_expires_timestamp_seconds";
    assert_eq!(server.metric(expires), 4_102_444_800.0);
}

#[tokio::test]
async fn a_link_that_points_elsewhere_is_a_change() {
    let (authority, files) = (Authority::new(), Files::new());
    let (old, new) = (authority.sign(&["localhost"]), authority.sign(&["localhost"]));
    files.put_pair("old", &old);
    files.put_pair("new-pair", &new);
    let link = |to: &str, name: &str| {
        let path = files.path("link");
        std::os::unix::fs::symlink(files.path(to), &path).unwrap();
        std::fs::rename(path, files.path(name)).unwrap();
    };
    link("old.pem", "first.pem");
    link("old.key", "first.key");
    let server = start_with(routes(), |settings| {
        files.settings(settings);
        settings.tls_reload_interval = Duration::from_millis(10);
    });
    assert_eq!(shown(&server, &authority, "localhost").await, old.certificate);
    link("new-pair.pem", "first.pem");
    link("new-pair.key", "first.key");
    server.until(&reloads("changed"), 1.0).await;
    assert_eq!(shown(&server, &authority, "localhost").await, new.certificate);
}

/// A server that asks for certificates of clients, which `clients` signs.
fn asking(
    files: &Files,
    authority: &Authority,
    clients: &Authority,
    wish: ClientCertificates,
) -> Running {
    files.put_pair("first", &authority.sign(&["localhost"]));
    files.put("clients.pem", &clients.0.pem());
    start_with(routes(), |settings| {
        files.settings(settings);
        settings.tls_clients = wish;
        settings.tls_client_authorities = Some(files.path("clients.pem"));
    })
}

#[tokio::test]
async fn a_client_without_a_good_certificate_is_not_let_in_where_one_is_required() {
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let server = asking(&files, &authority, &clients, ClientCertificates::Required);
    let good = authority.client(Some(&clients.sign(&["client"])));
    ask(server.address, &good, "localhost").await.unwrap();
    ask(server.address, &authority.client(None), "localhost").await.unwrap_err();
    let stranger = authority.client(Some(&Authority::new().sign(&["client"])));
    ask(server.address, &stranger, "localhost").await.unwrap_err();
    server.until(&handshakes("full"), 1.0).await;
    server.until(&handshakes("failed"), 2.0).await;
}

#[tokio::test]
async fn a_client_may_show_none_where_one_is_optional_but_no_bad_one() {
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let server = asking(&files, &authority, &clients, ClientCertificates::Optional);
    let own = clients.sign(&["client"]);
    let good = authority.client(Some(&own));
    ask(server.address, &good, "localhost").await.unwrap();
    // A handler sees it, whether it was shown now or when the session was begun.
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let client =
            if kind == HandshakeKind::Full { &authority.client(Some(&own)) } else { &good };
        let stream = connect(server.address, client, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
        let mut client = Client::over(stream);
        client.send("GET /signed HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert_eq!(client.read_response().await.unwrap().body, own.certificate.as_ref());
    }
    ask(server.address, &authority.client(None), "localhost").await.unwrap();
    let stranger = authority.client(Some(&Authority::new().sign(&["client"])));
    ask(server.address, &stranger, "localhost").await.unwrap_err();
}

#[tokio::test]
async fn a_session_ends_with_the_trust_on_which_it_was_begun() {
    let (authority, clients, files) = (Authority::new(), Authority::new(), Files::new());
    let server = asking(&files, &authority, &clients, ClientCertificates::Required);
    let client = authority.client(Some(&clients.sign(&["client"])));
    ask(server.address, &client, "localhost").await.unwrap();
    let kind = ask(server.address, &client, "localhost").await.unwrap();
    assert_eq!(kind, HandshakeKind::Resumed);
    let others = Authority::new();
    files.put("clients.pem", &others.0.pem());
    server.serving.certificates().unwrap().now();
    server.until(&reloads("changed"), 1.0).await;
    ask(server.address, &client, "localhost").await.unwrap_err();
    let known = authority.client(Some(&others.sign(&["client"])));
    ask(server.address, &known, "localhost").await.unwrap();
}

/// The first message of a handshake, and nothing after it.
async fn stall_after_hello(address: SocketAddr, config: &Arc<ClientConfig>) -> TcpStream {
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(config.clone(), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&hello).await.unwrap();
    stream
}

#[tokio::test]
async fn clients_that_say_nothing_or_stall_hold_up_no_other() {
    let (authority, files) = (Authority::new(), Files::new());
    files.put_pair("first", &authority.sign(&["localhost"]));
    let server = start_with(routes(), |settings| {
        files.settings(settings);
        settings.tls_handshakes_max = 4;
        settings.first_request_timeout = Duration::from_secs(3600);
    });
    let client = authority.client(None);
    let mut silent = Vec::new();
    for number in 0..40 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 0 {
            // Half of a record's head.
            stream.write_all(b"\x16\x03").await.unwrap();
        }
        silent.push(stream);
    }
    for _ in 0..10 {
        silent.push(stall_after_hello(server.address, &client).await);
    }
    server.until(&handshakes("displaced"), 6.0).await;
    for _ in 0..8 {
        ask(server.address, &client, "localhost").await.unwrap();
    }
    // The first who asked took the place of one that stalls, and left it free for the others.
    server.until(&handshakes("displaced"), 7.0).await;
    // Those who say nothing at all have no place that could be needed. The server may yet have to
    // notice that the last who asked has left.
    server.until("tenfold_http_connections", 43.0).await;
    drop(silent);
}

#[tokio::test]
async fn a_stalled_handshake_ends_in_time() {
    let (authority, files) = (Authority::new(), Files::new());
    files.put_pair("first", &authority.sign(&["localhost"]));
    let server = start_with(routes(), |settings| {
        files.settings(settings);
        settings.first_request_timeout = Duration::from_millis(60);
    });
    let _stalled = stall_after_hello(server.address, &authority.client(None)).await;
    let _silent = TcpStream::connect(server.address).await.unwrap();
    server.until(&handshakes("late"), 2.0).await;
    server.until("tenfold_http_connections", 0.0).await;
}

#[tokio::test]
async fn cleartext_is_sent_to_https_if_it_asks_for_a_host_of_ours() {
    let (authority, files) = (Authority::new(), Files::new());
    files.put_pair("first", &authority.sign(&["localhost"]));
    let server = start_with(routes(), |settings| {
        files.settings(settings);
        settings.redirect_listen = Some(local());
        settings.redirect_port = 8443.try_into().unwrap();
    });
    let address = server.serving.redirect_address().unwrap();
    let mut client = Client::connect(address).await.unwrap();
    client.send("GET /a?b HTTP/1.1\r\nhost: localhost:80\r\n\r\n").await.unwrap();
    let sent = client.read_response().await.unwrap();
    assert_eq!(sent.status, 308);
    assert_eq!(sent.header("location"), Some("https://localhost:8443/a?b"));
    let other = get(address, "/").await.unwrap();
    assert_eq!((other.status, other.header("location")), (421, None));
    server.until("tenfold_http_redirects_total{status=\"308\"}", 1.0).await;
    server.until("tenfold_http_redirects_total{status=\"421\"}", 1.0).await;
    assert_eq!(server.drain().await.cut, 0);
    assert!(TcpStream::connect(address).await.is_err());
}

/// What a file is for is checked where the settings are read, with words of its own.
#[test]
fn settings_that_make_no_sense_together_are_named() {
    let said = |adjust: &dyn Fn(&mut ServerSettings)| {
        let mut settings = ServerSettings { listen: local(), ..ServerSettings::default() };
        adjust(&mut settings);
        let log = tenfold_telemetry::log::LogSettings::default();
        let registry = tenfold_telemetry::metrics::Registry::new();
        tenfold_server::Server::bind(&settings, &log, &registry).unwrap_err().to_string()
    };
    let (authority, files) = (Authority::new(), Files::new());
    files.put_pair("first", &authority.sign(&["localhost"]));
    let text = said(&|settings| settings.redirect_listen = Some(local()));
    assert!(text.starts_with("server.redirect_listen is set and server.tls_certificate is not"));
    let text = said(&|settings| {
        files.settings(settings);
        settings.tls_more_certificates = vec![files.path("first.pem")];
    });
    assert!(
        text.starts_with("server.tls_more_certificates has 1 files and server.tls_more_keys has 0")
    );
    let text = said(&|settings| {
        files.settings(settings);
        settings.tls_clients = ClientCertificates::Required;
    });
    assert!(text.contains("\"required\" and server.tls_client_authorities is not set"), "{text}");
    let text = said(&|settings| {
        files.settings(settings);
        settings.tls_client_authorities = Some(files.path("first.pem"));
    });
    assert!(text.contains("server.tls_clients is \"none\""), "{text}");
    let text = said(&|settings| {
        files.settings(settings);
        settings.tls_clients = ClientCertificates::Required;
        settings.tls_client_authorities = Some(files.path("first.key"));
    });
    assert!(text.contains("first.key holds no certificate"), "{text}");
}
