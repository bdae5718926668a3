//! `cargo xtask test`: gets what the tests need, then runs all of them, whichever runner is there.

use std::io::IsTerminal;
use std::process::Command;

use crate::bench;
use crate::needs;
use crate::shell::{command, read, root, watch, which};
use crate::stopwatch::Stopwatch;
use crate::summary::Summary;
use crate::{Error, Outcome};

/// Prints what the tests need, where it was found, and how it would be got.
///
/// # Errors
/// Never; the table is the outcome.
pub fn list_needs() -> Outcome {
    println!("{}", needs::table());
    Ok(0)
}

/// Gets what is missing, and runs nothing.
///
/// # Errors
/// When a need cannot be met, saying what to install.
pub fn get_needs() -> Outcome {
    needs::get_all()?;
    list_needs()
}

/// Gets what is missing, runs all tests whose name contains one of `filters` (all without any),
/// the examples in the documentation, and the comparison of counted instructions. The last line says how many there were.
///
/// The exit code is 1 when a test fails, or when no test has such a name.
///
/// # Errors
/// When a need cannot be met, saying what to install.
pub fn run(filters: &[String]) -> Outcome {
    let stopwatch = Stopwatch::start();
    needs::get_all()?;
    let mut summary = Summary::default();
    let mut all_well = true;
    let path = path_with_tools()?;
    for mut runner in runners(which("cargo-nextest").is_some(), filters) {
        runner.env("PATH", &path).env("TESTKIT_TOOLS", root().join(needs::TOOLS));
        let (status, lines) = watch(runner)?;
        all_well &= status.success();
        for line in &lines {
            summary.add_line(line);
        }
    }
    if instructions_are_meant(filters) {
        let held = bench::instructions::test().unwrap_or_else(|error| {
            eprintln!("{error}");
            false
        });
        all_well &= held;
        summary.add_test(held);
    }
    if summary.run() == 0 && all_well {
        eprintln!("no test has a name that contains {}", filters.join(" or "));
        all_well = false;
    }
    eprintln!("────────────");
    eprintln!("{}", summary.shown(stopwatch.elapsed()));
    Ok(u8::from(!all_well))
}

/// Whether to count instructions: a test that is no test of any crate, since it compares programs
/// that are built in release.
fn instructions_are_meant(filters: &[String]) -> bool {
    filters.is_empty() || filters.iter().any(|filter| "bench::instructions".contains(&**filter))
}

/// The commands that run everything: the tests, then the examples in the documentation, which
/// cargo-nextest does not run.
fn runners(with_nextest: bool, filters: &[String]) -> Vec<Command> {
    let mut tests = if with_nextest {
        let mut tests = cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]);
        tests.arg("--no-tests=pass");
        tests
    } else {
        let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
        tests.args(["--lib", "--bins", "--tests", "--examples", "--"]);
        tests
    };
    tests.args(filters);
    let mut examples = cargo(&["test", "--workspace", "--no-fail-fast", "--doc", "--"]);
    examples.args(filters);
    vec![tests, examples]
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = command("cargo", arguments);
    if std::io::stderr().is_terminal() {
        // Its output goes through a pipe, yet is read on a terminal.
        cargo.env("CARGO_TERM_COLOR", "always");
    }
    cargo
}

/// PATH with our pinned tools in front, for tests that start a program by its name alone, and with
/// where Debian keeps servers behind it.
fn path_with_tools() -> Result<String, Error> {
    // The shell is asked, because only `config` reads the environment.
    let path = read(command("sh", &["-c", "printf %s \"$PATH\""]))?;
    let tools = root().join(needs::TOOLS).display().to_string();
    Ok(format!("{tools}/bin:{tools}/node/node_modules/.bin:{path}:/usr/sbin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::shown;

    fn check(with_nextest: bool, filters: &[&str], expected: [&str; 2]) {
        let filters: Vec<String> = filters.iter().map(ToString::to_string).collect();
        let commands: Vec<String> = runners(with_nextest, &filters).iter().map(shown).collect();
        assert_eq!(commands, expected);
    }

    #[test]
    fn instructions_are_counted_when_all_is_run_or_when_they_are_named() {
        let meant = |filters: &[&str]| {
            instructions_are_meant(&filters.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(meant(&[]) && meant(&["instructions"]) && meant(&["gate", "bench::"]));
        assert!(!meant(&["gate"]));
    }

    #[test]
    fn either_runner_runs_everything() {
        let examples = "cargo test --workspace --no-fail-fast --doc -- pool gate";
        check(
            true,
            &["pool", "gate"],
            ["cargo nextest run --workspace --no-fail-fast --no-tests=pass pool gate", examples],
        );
        check(
            false,
            &["pool", "gate"],
            [
                "cargo test --workspace --no-fail-fast --lib --bins --tests --examples -- pool gate",
                examples,
            ],
        );
    }
}
