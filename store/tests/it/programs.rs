//! The real programs that people use beside a service understand this one.

use std::process::Command;
use std::time::Duration;

use tenfold_testkit::{Output, run, tool};

use crate::support::Store;

/// Long enough on a busy machine; who needs longer hangs.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(60);

async fn program(name: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(tool(name));
    command.args(arguments);
    run(command, input.as_bytes(), PROGRAM_TIMEOUT).await.unwrap()
}

#[tokio::test]
async fn curl_speaks_http2_without_asking_first() {
    let store = Store::open(10, &[]).await;
    let url = format!("http://{}/products/7", store.address());
    let written = "\n%{http_version} %{http_code}";
    let curl = program("curl", &["--http2-prior-knowledge", "-sS", "-w", written, &url], "").await;
    let (body, protocol) = curl.stdout.rsplit_once('\n').unwrap();
    assert_eq!(protocol, "2 200", "{curl:?}");
    assert!(body.contains("\"id\":7"), "{body}");
}

#[tokio::test]
async fn h2load_gets_every_answer() {
    let store = Store::open(10, &[]).await;
    let url = format!("http://{}/products/7", store.address());
    let h2load = program("h2load", &["-n", "2000", "-c", "4", "-m", "25", &url], "").await;
    assert!(
        h2load.stdout.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{}",
        h2load.stdout
    );
    assert!(h2load.stdout.contains("status codes: 2000 2xx"), "{}", h2load.stdout);
}

#[tokio::test]
async fn promtool_has_no_complaint_about_a_service_that_has_served() {
    let store = Store::open(10, &[]).await;
    for path in ["/products/7", "/products/8", "/nothing", "/report", "/export.csv"] {
        store.get(path).await;
    }
    store.order(7, 1).await;
    let metrics = tenfold_testkit::get(store.admin_address(), "/metrics").await.unwrap().text();
    let both_reads = |line: &&str| {
        line.starts_with("tenfold_http_requests_total{")
            && line.contains("route=\"/products/{id}\"")
            && line.ends_with(" 2")
    };
    assert!(metrics.lines().any(|line| both_reads(&line)), "{metrics}");
    let promtool = program("promtool", &["check", "metrics"], &metrics).await;
    assert!(
        promtool.status.success() && promtool.stderr.is_empty() && promtool.stdout.is_empty(),
        "{promtool:?}"
    );
}
