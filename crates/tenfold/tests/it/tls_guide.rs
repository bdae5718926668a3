//! The guide to TLS as a service that runs: its handler, and its settings as they stand there.

use axum::Router;
use axum::routing::get;
use tenfold::config::Layers;
use tenfold::server::ServerSettings;
use tenfold::telemetry::metrics::Registry;
use tenfold_testkit::{Client, SelfSigned};

const GUIDE: &str = include_str!("../../../../docs/guides/tls.md");

async fn order(caller: tenfold::Caller) -> &'static str {
    match caller.certificate() {
        Some(_signed) => "a partner",
        None => "anybody",
    }
}

#[test]
fn the_settings_of_the_guide_are_taken() {
    let settings = GUIDE.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0;
    let folder = SelfSigned::new().unwrap();
    let file = folder.folder().join("tenfold.toml");
    std::fs::write(&file, settings).unwrap();
    let config = tenfold::known_settings().load(&Layers::new().file(file)).unwrap();
    let server = config.get::<ServerSettings>();
    assert_eq!(server.tls_more_certificates.len(), server.tls_more_keys.len());
    assert!(server.tls_client_authorities.is_some() && server.redirect_listen.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_sees_whether_a_certificate_was_shown() {
    let signed = SelfSigned::new().unwrap();
    let files = [
        format!("server.tls_certificate={}", signed.certificate().display()),
        format!("server.tls_key={}", signed.key().display()),
        format!("server.tls_client_authorities={}", signed.certificate().display()),
        "server.tls_clients=optional".to_owned(),
        "server.listen=127.0.0.1:0".to_owned(),
        "admin.listen=127.0.0.1:0".to_owned(),
    ];
    let config = tenfold::known_settings().load(&Layers::new().flags(files)).unwrap();
    let service = tenfold::service("partners").routes(|| Router::new().route("/", get(order)));
    let running = service.start(&config, &Registry::new()).await.unwrap();
    let address = running.address();
    let mut anybody = Client::connect_tls(address, &signed, &["http/1.1"]).await.unwrap();
    anybody.send("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(anybody.read_response().await.unwrap().text(), "anybody");
    drop(anybody);
    assert!(running.stop().await.is_clean());
}
