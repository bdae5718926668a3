//! Output that nobody gets: a full disk is an error, a reader who has seen enough is none.

use std::fs::{self, File};
use std::io;
use std::process::{Output, Stdio};

use crate::support::tenfold;

/// Nobody answers there, which is a result like any other.
const RUN: &str = "load run http://127.0.0.1:1/ --rate 20 --duration 300ms";

fn run(arguments: &str, out: impl Into<Stdio>) -> Output {
    let mut command = tenfold(arguments.split_whitespace());
    command.stdout(out).stderr(Stdio::piped());
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    fs::write(&file, "target = \"http://127.0.0.1:1\"\n[[request]]\npath = \"/\"\n").unwrap();
    let report = folder.path().join("report");
    for arguments in [
        "load init http://127.0.0.1:1/".to_owned(),
        format!("load export-k6 {}", file.display()),
        format!("{RUN} --json"),
        format!("{RUN} --report {}", report.display()),
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(&arguments, full);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {said}");
        let error = "the output cannot be written: No space left on device";
        assert!(said.contains(error), "{arguments}: {said}");

        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = run(&arguments, writer);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{arguments}: {said}");
        assert!(!said.contains("error"), "{arguments}: {said}");
    }
    assert!(report.join("report.html").is_file(), "what could be written is there");
}

#[test]
fn why_requests_failed_is_said() {
    let output = run(RUN, Stdio::piped());
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("6  (6: no connection, refused or unreachable)"), "{said}");
    assert!(said.contains("\nno connection     6 × Connection refused\n"), "{said}");
}
