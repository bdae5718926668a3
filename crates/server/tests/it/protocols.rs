//! Every way to speak HTTP.

use axum::Router;
use axum::extract::Request;
use axum::routing::get as on_get;
use http_body_util::BodyExt;
use tenfold_testkit::{Client, End, SelfSigned};

use crate::support::{get, http2, start, start_with};

fn routes() -> Router {
    Router::new().route("/hello", on_get(|| async { "hello" })).route(
        "/version",
        on_get(|request: Request| async move { format!("{:?}", request.version()) }),
    )
}

#[tokio::test]
async fn http1_keeps_a_connection_for_many_requests() {
    let server = start(routes());
    let mut client = Client::connect(server.address).await.unwrap();
    for _ in 0..3 {
        client.send("GET /version HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let answer = client.read_response().await.unwrap();
        assert_eq!((answer.status, answer.text()), (200, "HTTP/1.1".to_owned()));
        assert!(answer.header("date").is_some());
    }
    server.until("tenfold_http_connections", 1.0).await;
    client.leave();
    server.until("tenfold_http_connections", 0.0).await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = start(routes());
    let mut client = Client::connect(server.address).await.unwrap();
    let both = "GET /hello HTTP/1.1\r\nhost: a\r\n\r\nGET /version HTTP/1.1\r\nhost: a\r\n\r\n";
    client.send(both).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "hello");
    assert_eq!(client.read_response().await.unwrap().text(), "HTTP/1.1");
}

#[tokio::test]
async fn http10_is_answered_and_closed() {
    let server = start(routes());
    let mut client = Client::connect(server.address).await.unwrap();
    client.send("GET /hello HTTP/1.0\r\n\r\n").await.unwrap();
    let answer = client.read_response().await.unwrap();
    assert_eq!((answer.status, answer.end), (200, End::Complete));
    assert!(client.read_until_closed().await.unwrap().0.is_empty());
}

#[tokio::test]
async fn http2_with_prior_knowledge_multiplexes() {
    let server = start(routes());
    let client = http2(server.address).await;
    let asked = (0..20).map(|_| {
        let mut client = client.clone();
        async move {
            let answer = client.send_request(get("/version")).await.unwrap();
            answer.into_body().collect().await.unwrap().to_bytes()
        }
    });
    for version in futures_util::future::join_all(asked).await {
        assert_eq!(version, "HTTP/2.0");
    }
    server.until("tenfold_http_connections", 1.0).await;
}

#[tokio::test]
async fn tls_speaks_what_the_handshake_agreed_on() {
    let signed = SelfSigned::new().unwrap();
    let server = start_with(routes(), |settings| {
        settings.tls_certificate = Some(signed.certificate());
        settings.tls_key = Some(signed.key());
    });
    let mut client = Client::connect_tls(server.address, &signed, &["http/1.1"]).await.unwrap();
    assert_eq!(client.protocol(), Some("http/1.1"));
    client.send("GET /version HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    assert_eq!(client.read_response().await.unwrap().text(), "HTTP/1.1");

    let tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(signed.client_config(&["h2", "http/1.1"]));
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let tls = connector.connect(name, tcp).await.unwrap();
    assert_eq!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(tls);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(get("/version")).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "HTTP/2.0");
}
