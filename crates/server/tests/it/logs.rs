//! One line per request, under its name.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get as on_get;
use tenfold_server::{Error, Result};
use tenfold_telemetry::log::{self, LogSettings, LogTarget};
use tenfold_testkit::request;

use crate::support::start;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

async fn fails() -> Result<()> {
    Err(Error::internal("the disk is gone"))
}

/// The log is the process's own, hence one test for all that is logged.
#[tokio::test]
async fn a_request_and_its_failure_are_logged_under_its_name() {
    let lines = Lines::default();
    let target = LogTarget::Writer(Box::new(lines.clone()));
    let guard = log::start(&LogSettings::default(), "store", target).unwrap();
    let server = start(Router::new().route("/orders/{id}", on_get(fails)));
    let headers = [("x-request-id", "abc")];
    request(server.address, "GET", "/orders/7?token=secret", &headers, b"").await.unwrap();
    server.until("tenfold_http_in_flight", 0.0).await;
    drop(guard);

    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let of_request: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["reqId"] == "abc")
        .collect();
    let [failure, access] = &of_request[..] else { panic!("{text}") };
    assert_eq!((&failure["level"], &failure["route"]), (&50.into(), &"/orders/{id}".into()));
    assert_eq!(failure["err"]["message"], "the disk is gone");
    assert_eq!((&access["level"], &access["msg"]), (&30.into(), &"request completed".into()));
    assert_eq!((&access["method"], &access["statusCode"]), (&"GET".into(), &500.into()));
    assert_eq!((&access["url"], &access["route"]), (&"/orders/7".into(), &"/orders/{id}".into()));
    assert!(access["responseTime"].is_f64());
    assert_eq!(access["remoteAddress"], "127.0.0.1");
    assert!(!text.contains("secret"), "{text}");
}
