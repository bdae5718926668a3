//! Who the client is when a load balancer stands in between.

use axum::Router;
use axum::routing::get as on_get;
use tenfold_server::{Caller, ForwardedBy, ServerSettings};
use tenfold_testkit::{Client, SelfSigned, request};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Running, start_with};

fn behind(networks: &[&str], adjust: impl FnOnce(&mut ServerSettings)) -> Running {
    let routes = Router::new()
        .route("/who", on_get(|caller: Caller| async move { caller.address().to_string() }));
    start_with(routes, |settings| {
        settings.proxies = networks.iter().map(|network| network.parse().unwrap()).collect();
        adjust(settings);
    })
}

/// A PROXY header for 192.0.2.1.
const HEADER: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\x7f\x00\x00\x01\xff\xff\x01\xbb";

const ASK: &str = "GET /who HTTP/1.1\r\nhost: a\r\n\r\n";

fn headers(outcome: &str) -> String {
    format!("tenfold_proxy_headers_total{{outcome=\"{outcome}\"}}")
}

#[tokio::test]
async fn a_header_of_a_request_counts_from_a_trusted_proxy_alone() {
    for (networks, expected) in
        [(&["127.0.0.0/8"][..], "192.0.2.7"), (&["10.0.0.0/8"], "127.0.0.1")]
    {
        let server =
            behind(networks, |settings| settings.proxy_header = ForwardedBy::XForwardedFor);
        let sent = [("x-forwarded-for", "192.0.2.7")];
        let answer = request(server.address, "GET", "/who", &sent, b"").await.unwrap();
        assert_eq!(answer.text(), expected);
    }
    let server = behind(&["127.0.0.1"], |settings| settings.proxy_header = ForwardedBy::Forwarded);
    let sent = [("forwarded", "for=192.0.2.7"), ("x-forwarded-for", "192.0.2.8")];
    let answer = request(server.address, "GET", "/who", &sent, b"").await.unwrap();
    assert_eq!(answer.text(), "192.0.2.7");
}

#[tokio::test]
async fn a_proxy_header_introduces_the_client_in_cleartext_and_before_tls() {
    let server = behind(&["127.0.0.1"], |settings| settings.proxy_protocol = true);
    let mut client = Client::connect(server.address).await.unwrap();
    client.send(HEADER).await.unwrap();
    for _ in 0..2 {
        client.send(ASK).await.unwrap();
        assert_eq!(client.read_response().await.unwrap().text(), "192.0.2.1");
    }
    let mut itself = Client::connect(server.address).await.unwrap();
    itself.send(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00").await.unwrap();
    itself.send(ASK).await.unwrap();
    assert_eq!(itself.read_response().await.unwrap().text(), "127.0.0.1");
    server.until(&headers("client"), 1.0).await;
    server.until(&headers("itself"), 1.0).await;

    let signed = SelfSigned::new().unwrap();
    let server = behind(&["127.0.0.1"], |settings| {
        settings.proxy_protocol = true;
        settings.tls_certificate = Some(signed.certificate());
        settings.tls_key = Some(signed.key());
    });
    let mut tcp = TcpStream::connect(server.address).await.unwrap();
    tcp.write_all(HEADER).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(signed.client_config(&["http/1.1"]));
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut client = Client::over(connector.connect(name, tcp).await.unwrap());
    client.send(ASK).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "192.0.2.1");
}

#[tokio::test]
async fn a_trusted_proxy_without_a_good_header_is_closed_and_counted() {
    let server = behind(&["127.0.0.1"], |settings| settings.proxy_protocol = true);
    let mut none = Client::connect(server.address).await.unwrap();
    none.send(ASK).await.unwrap();
    assert!(none.read_until_closed().await.unwrap().0.is_empty());
    let mut wrong = Client::connect(server.address).await.unwrap();
    wrong.send(b"\r\n\r\n\0\r\nQUIT\n\x21\x31\x00\x00").await.unwrap();
    assert!(wrong.read_until_closed().await.unwrap().0.is_empty());
    server.until(&headers("wrong"), 2.0).await;
    let half = Client::connect(server.address).await.unwrap();
    half.leave();
    server.until(&headers("ended"), 1.0).await;
    server.until("tenfold_http_limited_total{reason=\"proxy\"}", 3.0).await;
    server.until("tenfold_http_connections", 0.0).await;

    let server = behind(&["127.0.0.1"], |settings| {
        settings.proxy_protocol = true;
        settings.first_request_timeout = std::time::Duration::from_millis(60);
    });
    let mut silent = Client::connect(server.address).await.unwrap();
    assert!(silent.read_until_closed().await.unwrap().0.is_empty());
    server.until(&headers("late"), 1.0).await;
}

#[tokio::test]
async fn a_stranger_cannot_introduce_himself() {
    let server = behind(&["10.0.0.0/8"], |settings| settings.proxy_protocol = true);
    let mut direct = Client::connect(server.address).await.unwrap();
    direct.send(ASK).await.unwrap();
    assert_eq!(direct.read_response().await.unwrap().text(), "127.0.0.1");
    let mut stranger = Client::connect(server.address).await.unwrap();
    stranger.send(HEADER).await.unwrap();
    stranger.send(ASK).await.unwrap();
    assert_eq!(stranger.read_response().await.unwrap().status, 400);
    assert_eq!(server.metric(&headers("client")), 0.0);
}

#[tokio::test]
async fn who_is_introduced_is_counted_by_his_own_address_and_the_proxy_is_not() {
    let server = behind(&["127.0.0.1"], |settings| {
        settings.proxy_protocol = true;
        settings.connections_per_address_max = 2;
    });
    // More than an address may have, from the proxy's: each from another client.
    let mut clients = Vec::new();
    for number in 1..=4 {
        let mut header = HEADER.to_vec();
        header[19] = number;
        let mut client = Client::connect(server.address).await.unwrap();
        client.send(&header).await.unwrap();
        client.send(ASK).await.unwrap();
        assert_eq!(client.read_response().await.unwrap().text(), format!("192.0.2.{number}"));
        clients.push(client);
    }
    // The first of them has one already: one more, and no other.
    let mut second = Client::connect(server.address).await.unwrap();
    second.send(HEADER).await.unwrap();
    second.send(ASK).await.unwrap();
    assert_eq!(second.read_response().await.unwrap().text(), "192.0.2.1");
    let mut third = Client::connect(server.address).await.unwrap();
    third.send(HEADER).await.unwrap();
    assert!(third.read_until_closed().await.unwrap().0.is_empty());
    let refused = "tenfold_http_limited_total{reason=\"connections_per_address_max\"}";
    server.until(refused, 1.0).await;
    // One leaves, and makes room.
    second.leave();
    server.until("tenfold_http_connections", 4.0).await;
    let mut again = Client::connect(server.address).await.unwrap();
    again.send(HEADER).await.unwrap();
    again.send(ASK).await.unwrap();
    assert_eq!(again.read_response().await.unwrap().text(), "192.0.2.1");
}

#[test]
fn a_network_that_is_none_is_refused_at_the_start_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenfold.toml");
    let mut known = tenfold_config::Known::new();
    known.section::<ServerSettings>();
    let load = |proxies: &str| {
        std::fs::write(&file, format!("[server]\n\nproxies = {proxies}\n")).unwrap();
        let layers = tenfold_config::Layers::new().file(&file);
        known.load(&layers).map(|config| config.get::<ServerSettings>().proxies)
    };
    for wrong in [r#"["10.0.0.0/8", "10.1.0.0/8"]"#, r#"["10.0.0.0/33"]"#, r#""balancer""#] {
        let said = load(wrong).unwrap_err().to_string();
        assert!(said.contains("tenfold.toml:3: `server.proxies` is "), "{said}");
        assert!(said.contains("each a network with nothing after its prefix"), "{said}");
    }
    assert_eq!(load(r#"["10.0.0.0/8", "::1"]"#).unwrap().len(), 2);
}
