//! SIGHUP has a service read its certificates again; one that has none is ended by it.

use tenfold_testkit::{Client, SelfSigned};

use crate::support::Service;

#[tokio::test]
async fn a_hangup_has_the_certificates_read_again() {
    let (old, new) = (SelfSigned::new().unwrap(), SelfSigned::new().unwrap());
    let certificate = format!("server.tls_certificate={}", old.certificate().display());
    let key = format!("server.tls_key={}", old.key().display());
    let settings = [certificate.as_str(), key.as_str(), "server.tls_reload_interval=1h"];
    let mut service = Service::start(&settings).await;
    Client::connect_tls(service.address, &old, &["http/1.1"]).await.unwrap();
    // Whoever trusts the new one alone does not trust the old one.
    Client::connect_tls(service.address, &new, &["http/1.1"]).await.err().unwrap();
    std::fs::copy(new.certificate(), old.certificate()).unwrap();
    service.program.signal("HUP");
    service.program.says("certificates not exchanged: the old ones stay").await;
    Client::connect_tls(service.address, &old, &["http/1.1"]).await.unwrap();
    std::fs::copy(new.key(), old.key()).unwrap();
    service.program.signal("HUP");
    service.program.says("certificates exchanged").await;
    Client::connect_tls(service.address, &new, &["http/1.1"]).await.unwrap();
    service.program.signal("TERM");
    assert_eq!(service.program.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_service_without_certificates_is_ended_by_a_hangup_like_every_program() {
    use std::os::unix::process::ExitStatusExt;

    let service = Service::start(&[]).await;
    service.program.signal("HUP");
    assert_eq!(service.program.end().await.status.signal(), Some(1));
}
