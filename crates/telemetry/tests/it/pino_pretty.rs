//! The real `pino-pretty` reads our lines as pino's own.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tenfold_telemetry::log::{self, CapturedLog, LogSettings};

#[test]
fn pino_pretty_reads_our_lines() {
    let captured = CapturedLog::new();
    let (subscriber, guard) =
        log::subscriber(&LogSettings::default(), "store", captured.target()).unwrap();
    let cause = "x".parse::<u8>().unwrap_err();
    let refused = std::io::Error::other(cause);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(order = 17, "order placed");
        tracing::warn!("pool nearly full");
        tracing::error!(error = &refused as &dyn Error, "order refused");
        tracing::error!(fatal = true, "cannot go on");
    });
    drop(guard);

    let text = pino_pretty(&captured.text());
    let pid = std::process::id();
    for part in [
        format!("INFO (store/{pid}): order placed\n    order: 17\n"),
        format!("WARN (store/{pid}): pool nearly full\n"),
        format!("ERROR (store/{pid}): order refused\n"),
        "invalid digit found in string".to_owned(),
        format!("FATAL (store/{pid}): cannot go on\n"),
    ] {
        assert!(text.contains(&part), "{part:?} is not in\n{text}");
    }
    assert!(!text.contains("{\"level\""), "a line was passed through unread:\n{text}");
}

fn pino_pretty(lines: &str) -> String {
    let mut child = Command::new(program())
        .args(["--translateTime", "UTC:HH:MM"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "pino-pretty, a program of Node.js, does not start ({error}): \
                 run `cargo xtask test`, which installs it"
            )
        });
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(lines.as_bytes()).expect("pino-pretty reads");
    drop(input);
    let output = child.wait_with_output().expect("pino-pretty ends");
    assert!(output.status.success(), "pino-pretty ended with {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The one in the workspace's tools, else the one on the PATH.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in target");
    let ours = target.join("tools/node/node_modules/.bin/pino-pretty");
    if ours.exists() { ours } else { "pino-pretty".into() }
}
