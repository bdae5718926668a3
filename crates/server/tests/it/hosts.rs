//! Requests for hosts that the service does not answer for.

use axum::Router;
use axum::routing::get as on_get;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tenfold_testkit::{Client, Response};

use crate::support::{Running, http2, limited, start_with};

fn server(hosts: &[&str]) -> Running {
    let router = Router::new().route("/", on_get(|| async { "home" }));
    start_with(router, |settings| {
        settings.allowed_hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
    })
}

async fn ask(client: &mut Client, target: &str, host: &str) -> Response {
    client.send(format!("GET {target} HTTP/1.1\r\n{host}\r\n")).await.unwrap();
    client.read_response().await.unwrap()
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected_and_its_connection_goes_on() {
    let server = server(&["example.org", "*.example.net"]);
    let mut client = Client::connect(server.address).await.unwrap();
    for (target, host) in [
        ("/", "host: example.org\r\n"),
        ("/", "host: EXAMPLE.ORG:8080\r\n"),
        ("/", "host: a.b.example.net\r\n"),
        ("http://example.org/", "host: example.org\r\n"),
    ] {
        assert_eq!(ask(&mut client, target, host).await.text(), "home", "{target} {host}");
    }
    let others = [
        ("/", "host: evil.example\r\n"),
        ("/", "host: example.net\r\n"),
        ("/nothing", "host: example.org.evil.example\r\n"),
        ("http://evil.example/", "host: example.org\r\n"),
        ("http://example.org/", "host: evil.example\r\n"),
    ];
    for (target, host) in others {
        let answer = ask(&mut client, target, host).await;
        assert_eq!(answer.status, 421, "{target} {host}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.json()["type"], "/problems/misdirected");
    }
    assert_eq!(ask(&mut client, "/", "host: example.org\r\n").await.text(), "home");
    server.until(&limited("allowed_hosts"), others.len() as f64).await;
}

#[tokio::test]
async fn http2_names_its_host_in_the_target() {
    let server = server(&["example.org"]);
    let mut client = http2(server.address).await;
    for (authority, status) in [("example.org:443", 200), ("evil.example", 421)] {
        let request = http::Request::get(format!("http://{authority}/"));
        let answer = client.send_request(request.body(Full::<Bytes>::default()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), status, "{authority}");
    }
    let both = http::Request::get("http://example.org/").header("host", "evil.example");
    let answer = client.send_request(both.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 421);
    let problem = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(problem.starts_with(b"{\"type\":\"/problems/misdirected\""), "{problem:?}");
    server.until(&limited("allowed_hosts"), 2.0).await;
}

#[tokio::test]
async fn without_a_list_every_host_is_ours_and_none_is_one_too() {
    for (hosts, status) in [(&[][..], 200), (&["example.org"], 421)] {
        let server = server(hosts);
        let mut client = Client::connect(server.address).await.unwrap();
        client.send("GET / HTTP/1.0\r\n\r\n").await.unwrap();
        assert_eq!(client.read_response().await.unwrap().status, status);
        let mut client = Client::connect(server.address).await.unwrap();
        assert_eq!(ask(&mut client, "/", "host: evil.example\r\n").await.status, status);
    }
}
