//! A generator that may open fewer files than it would like to. The limit is one of a process, so
//! each test starts itself again as a process with little of it.

use std::fs::File;
use std::process::Command;

use nix::sys::resource::{Resource, getrlimit};
use tenfold_loadgen::{Ending, Failure, NotOffered, Run, Schedule};

use crate::{SECOND, offer, scenario};

/// So few files may the second process open that it is known by them.
const FILES: u64 = 151;

/// Runs the test again where few files may be open; false if this is there.
fn starts_again(test: &str) -> bool {
    if getrlimit(Resource::RLIMIT_NOFILE).unwrap().1 == FILES {
        return false;
    }
    let limited = format!("ulimit -S -n 100; ulimit -H -n {FILES}; exec \"$0\" --exact {test}");
    let program = std::env::current_exe().unwrap();
    let output = Command::new("sh").arg("-c").arg(limited).arg(program).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    true
}

#[test]
fn more_connections_than_may_be_open_are_refused_before_the_start() {
    if starts_again("exhausted::more_connections_than_may_be_open_are_refused_before_the_start") {
        return;
    }
    let text = "[client]\nconnections_max = 88\n[[request]]\npath = \"/\"\n";
    let scenario = scenario("http://127.0.0.1:1", text);
    let error = Run::open(&scenario, Schedule::constant(1.0, SECOND)).run().unwrap_err();
    // It had begun with 100 files, and allowed itself all that it could.
    assert_eq!(
        error.to_string(),
        "connections_max is 88, but this process may have no more than 87 connections open: lower \
         it, or allow more open files (ulimit -n)"
    );
}

#[test]
fn files_that_run_out_are_the_generators_fault_and_no_failure_of_the_service() {
    let this =
        "exhausted::files_that_run_out_are_the_generators_fault_and_no_failure_of_the_service";
    if starts_again(this) {
        return;
    }
    // It takes connections, and answers nobody.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let text = "[client]\nconnections_max = 80\ntimeout = \"300ms\"\n";
    // The rest of the program has many files open: the generator has allowed itself more before.
    offer(&url, text, 1);
    let mut others: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    others.truncate(others.len() - 12);
    let outcome = offer(&url, text, 100);
    let record = &outcome.record;
    let no_file = record.not_offered(NotOffered::NoFile);
    assert!(no_file > 10, "{:?}", record.not_offered);
    assert_eq!(record.total().not_offered, no_file);
    assert_eq!(record.failures(Failure::Connect), 0);
    assert_eq!(record.total().count(Ending::TimedOut), 100 - no_file);
    let told = outcome.validity.to_string();
    assert!(told.contains(&format!("{no_file} of 100 requests got no connection")), "{told}");
    assert!(told.contains("ulimit -n"), "{told}");
}
