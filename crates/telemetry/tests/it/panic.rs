//! The log of a whole process: a panic is a line of level 60 with the request that it ended,
//! and libraries that know nothing of `tracing` are heard.

use std::time::Duration;

use serde_json::Value;
use tenfold_context::{Context, RequestId};
use tenfold_telemetry::log::{self, CapturedLog, LogSettings, StartLogError};

#[test]
fn a_panic_is_a_line_with_its_request() {
    // The only test of this binary that starts the log of the process.
    let captured = CapturedLog::new();
    let guard = log::start(&LogSettings::default(), "store", captured.target()).unwrap();
    let again = log::start(&LogSettings::default(), "store", CapturedLog::new().target());
    assert!(matches!(again, Err(StartLogError::AlreadyStarted)));

    let context = Context::new().with_request_id(RequestId::given("abc").unwrap());
    let handler = std::thread::Builder::new().name("shard-0".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        context.set_route("/orders".into());
        runtime.block_on(context.scope(async { panic!("out of {}", "stock") }))
    });
    handler.unwrap().join().unwrap_err();

    // No flush: the hook has done that.
    let line: Value = serde_json::from_str(captured.text().trim_end()).unwrap();
    assert_eq!(line["level"], 60);
    assert_eq!(line["msg"], "panicked");
    assert_eq!(line["reqId"], "abc");
    assert_eq!(line["route"], "/orders");
    assert_eq!(line["thread"], "shard-0");
    assert!(line["location"].as_str().unwrap().contains("panic.rs:"), "{line}");
    assert_eq!(line["err"]["type"], "Panic");
    assert_eq!(line["err"]["message"], "out of stock");

    tracing::info!("still logging");
    ::log::warn!(target: "rustls", "a library's {}", "warning");
    ::log::debug!(target: "rustls", "below the level");
    assert!(log::flush(Duration::from_secs(30)));
    let lines: Vec<Value> =
        captured.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[1]["level"], &lines[1]["msg"]), (&30.into(), &"still logging".into()));
    assert_eq!((&lines[2]["level"], &lines[2]["msg"]), (&40.into(), &"a library's warning".into()));
    assert_eq!(lines[2]["target"], "rustls");

    drop(guard);
    assert!(!log::flush(Duration::from_secs(30)), "the log has ended");
}
