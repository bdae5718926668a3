//! The real `promtool check metrics` has no complaint about anything that a registry writes.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tenfold_telemetry::metrics::{Counter, Histogram, Registry, SizeHistogram, register_process};

#[test]
fn promtool_has_no_complaint() {
    let registry = Registry::new();
    register_process(&registry);
    registry.counter("store_sold_total", "Pieces sold.", &[("sale", "a \"b\" \\ \n c")]).add(3);
    registry.time_counter("store_busy_seconds_total", "Busy.", &[]).add(Duration::from_millis(7));
    registry.gauge("store_open_orders", "Open \\ orders,\nin all.", &[]).set(-1);
    registry.gauge_with("store_fill_ratio", "Not known.", &[], || f64::NAN);
    registry.gauge_with("store_limit_bytes", "No limit.", &[], || f64::INFINITY);
    let wait = registry.family::<Histogram>("store_wait_seconds", "Wait.", &["route"]);
    wait.with(&["/products/{id}"]).record(Duration::from_micros(730));
    wait.with(&["/ä"]).record(Duration::from_secs(100));
    let body = registry.family::<SizeHistogram>("store_body_bytes", "Body.", &["route"]);
    body.with(&["/products/{id}"]).record(5000);
    let seen = registry.family::<Counter>("store_seen_total", "Seen.", &["who"]).series_max(1);
    seen.with(&["one"]).increment();
    seen.with(&["two"]).increment();

    assert!(registry.check().is_ok());
    let (complaints, success) = promtool_check(&registry.encode());
    assert!(success && complaints.is_empty(), "promtool says: {complaints}");
}

#[test]
fn promtool_would_complain() {
    // Proves that the test above can fail.
    let (complaints, success) = promtool_check("# TYPE store_sold counter\nstore_sold 1\n");
    assert!(!success && complaints.contains("_total"), "promtool says: {complaints}");
}

fn promtool_check(text: &str) -> (String, bool) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "promtool, which comes with Prometheus, does not start ({error}): \
                 run `cargo xtask test`, which installs it"
            )
        });
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let complaints = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&complaints).into_owned(), output.status.success())
}
