//! The load of `tenfold demo`: the limit of a real sale, ten times that, and a report.

use std::fs;

use tempfile::TempDir;
use tenfold_loadgen::{Found, Report};
use tenfold_testkit::Program;

use crate::support::{check_that_nothing_is_left, scratch, servers, show, until};

#[tokio::test]
async fn finds_the_limit_goes_past_it_and_leaves_a_report() {
    let scratch = scratch();
    let folder = scratch.path().join("what it left");
    let mut command = show(["--once", "--products", "5000", "--hold", "1s"]);
    command.arg("--report").arg(&folder);
    let mut program = Program::start(command).unwrap();
    let id = program.id();
    let load = program.says("$ tenfold load overload --scenario '").await;
    assert!(load.contains("what it left/sale.toml' --metrics http://127.0.0.1:"), "{load}");
    program.says("limit       ").await;
    let output = program.end().await;
    check_that_nothing_is_left(id);
    assert_eq!(output.stderr, "");
    assert!(output.stdout.contains("GET  /export.ndjson"), "the first round comes first");

    let report = Report::load(&folder).unwrap();
    assert!(output.stdout.contains(&report.verdict().replace('\n', " ")), "{}", output.stdout);
    assert!(output.stdout.contains(&format!("report: {}", folder.display())), "{}", output.stdout);
    assert!(fs::read_to_string(folder.join("report.html")).unwrap().contains("<svg"));
    let limit = report.limit.as_ref().expect("it is searched first");
    assert!(limit.limit_per_second > 0.0, "{limit:?}");
    assert!(limit.bottleneck.as_ref().is_some_and(|one| !one.ranked.is_empty()), "{limit:?}");
    // A machine that is busy with something else may not have been able to send it all: then
    // that is what is said.
    match (output.status.code(), &report.overload) {
        (Some(0), Some(overload)) => {
            let phases: Vec<_> = overload.phases.iter().map(|phase| phase.name.as_str()).collect();
            assert_eq!(phases, ["1x", "2x", "5x", "10x", "after"]);
            let classes: Vec<_> = overload.phases[0].by_class.iter().map(|one| &one.name).collect();
            assert_eq!(classes, ["read", "search", "order"]);
        }
        (Some(3), Some(overload)) => assert!(!overload.is_valid(), "{overload:?}"),
        (Some(3), None) => assert!(matches!(limit.found, Found::GeneratorFirst { .. })),
        other => panic!("{other:?}:\n{}", output.stdout),
    }
}

/// A demo whose load has begun, and the folder that its report goes to.
async fn searching() -> (TempDir, Program) {
    let scratch = scratch();
    let mut command = show(["--products", "100"]);
    command.arg("--report").arg(scratch.path());
    let mut program = Program::start(command).unwrap();
    program.says("searching the limit of").await;
    (scratch, program)
}

#[tokio::test]
async fn ctrl_c_during_the_load_ends_it_and_what_it_saw_is_reported() {
    let (scratch, mut program) = searching().await;
    let id = program.id();
    program.says("  1  ").await;
    program.signal("INT");
    let output = program.end().await;
    assert_eq!((output.status.code(), output.stderr.as_str()), (Some(0), ""));
    let (_, after) = output.stdout.split_once("SIGINT: draining\n").unwrap();
    assert!(after.contains("report: "), "{}", output.stdout);
    let limit = Report::load(scratch.path()).unwrap().limit.expect("a part of it was seen");
    assert!(limit.stopped && !limit.probes.is_empty(), "{limit:?}");
    check_that_nothing_is_left(id);
}

#[tokio::test]
async fn the_generator_ends_with_the_demo_even_on_kill_9() {
    let (scratch, program) = searching().await;
    let id = program.id();
    program.signal("KILL");
    program.end().await;
    let mark = scratch.path().join("sale.toml");
    let mark = mark.to_str().unwrap();
    until("the generator is gone", || {
        let commands = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let mut lines = commands.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
        !lines.any(|line| String::from_utf8_lossy(&line).contains(mark))
    })
    .await;
    until("its server is gone", || servers(id).is_empty()).await;
    crate::support::folders(id).into_iter().for_each(|folder| drop(fs::remove_dir_all(folder)));
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told_before_anything_starts() {
    let mut command = show(["--once"]);
    command.args(["--report", "/dev/null/report"]);
    let output = crate::support::run(command).await;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(1), ""));
    assert!(
        output.stderr.starts_with("error: cannot make the folder /dev/null/report: "),
        "{}",
        output.stderr
    );
}
