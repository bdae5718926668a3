//! The first signal asks, the second one ends: seen on a real process, which is this test run
//! again under another name.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal::SIGINT, Signal::SIGTERM, kill};
use nix::unistd::Pid;
use tenfold_config::environment;
use tenfold_runtime::Signals;

/// Tells the process that it is the one to be signalled.
const CHILD: &str = "SIGNALS_TEST_CHILD";

#[test]
fn the_first_signal_is_named_and_the_process_may_end_as_it_likes() {
    if is_child() {
        say_first_signal();
        std::process::exit(7);
    }
    let mut process =
        Process::start("signals::the_first_signal_is_named_and_the_process_may_end_as_it_likes");
    process.expect("listening");
    process.signal(SIGTERM);
    process.expect("SIGTERM");
    assert_eq!(process.end().code(), Some(7));
}

#[test]
fn the_second_signal_ends_a_process_that_blocks() {
    if is_child() {
        say_first_signal();
        loop {
            std::thread::park();
        }
    }
    for (first, second, name, code) in
        [(SIGINT, SIGTERM, "SIGINT", 143), (SIGTERM, SIGINT, "SIGTERM", 130)]
    {
        let mut process = Process::start("signals::the_second_signal_ends_a_process_that_blocks");
        process.expect("listening");
        process.signal(first);
        process.expect(name);
        process.signal(second);
        assert_eq!(process.end().code(), Some(code));
    }
}

fn is_child() -> bool {
    environment::var(CHILD).is_some()
}

/// The child's part: waits for the first signal without a runtime that could hear the second.
fn say_first_signal() {
    std::thread::spawn(|| {
        // A guard: a child that hears nothing must not hang the test.
        std::thread::sleep(Duration::from_secs(60));
        std::process::exit(99);
    });
    let signals = Signals::listen().unwrap();
    println!("\nlistening");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    println!("\n{}", runtime.block_on(signals.first()));
    // Whoever asks again hears the same.
    runtime.block_on(signals.clone().first());
}

struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(test: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(CHILD, "yes")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Process { child, lines }
    }

    /// Reads on until this line comes; the test harness writes lines of its own.
    fn expect(&mut self, line: &str) {
        let found = self.lines.by_ref().map(Result::unwrap).any(|found| found == line);
        assert!(found, "the process ended without saying {line:?}");
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A failed assertion must not leave it behind; when it has ended, there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
