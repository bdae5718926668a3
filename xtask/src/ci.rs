//! `cargo xtask ci`: everything that a change must pass, what fails soonest first.

use std::process::Command;
use std::time::Duration;

use crate::Outcome;
use crate::bench::table;
use crate::shell::{command, run as carry_out, which};
use crate::stopwatch::{Stopwatch, shown};

/// One step, and what it is called.
struct Step {
    name: &'static str,
    run: fn() -> Outcome,
}

const STEPS: &[Step] = &[
    Step { name: "format", run: format },
    Step { name: "tidy", run: crate::tidy::run },
    Step { name: "clippy", run: clippy },
    Step { name: "documentation", run: documentation },
    Step { name: "dependencies", run: dependencies },
    Step { name: "test", run: || crate::test::run(&[]) },
];

/// Runs the steps in order up to the first that fails, and prints how long each took.
///
/// # Errors
/// Never: a step that fails is in the exit code, and has said why.
pub fn run() -> Outcome {
    let (times, failed) = run_steps(STEPS);
    let rows = times.iter().map(|(name, time)| [(*name).to_owned(), shown(*time)]);
    println!("{}", table(&["step", "time"], rows));
    match failed {
        None => Ok(0),
        Some(name) => {
            println!("{name} failed");
            Ok(1)
        }
    }
}

type Times = Vec<(&'static str, Duration)>;

fn run_steps(steps: &[Step]) -> (Times, Option<&'static str>) {
    let mut times = Vec::new();
    for step in steps {
        eprintln!("── {} ──", step.name);
        let stopwatch = Stopwatch::start();
        let code = (step.run)().unwrap_or_else(|error| {
            eprintln!("{error}");
            1
        });
        times.push((step.name, stopwatch.elapsed()));
        if code != 0 {
            return (times, Some(step.name));
        }
    }
    (times, None)
}

fn format() -> Outcome {
    succeed(command("cargo", &["fmt", "--all", "--check"]))
}

fn clippy() -> Outcome {
    succeed(command("cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

fn documentation() -> Outcome {
    let mut doc = command("cargo", &["doc", "--workspace", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    succeed(doc)
}

/// Licences, sources and duplicates, where cargo-deny is installed: it is no need of the tests, and
/// takes minutes to build. (Advisories need the network, and are for the night.)
fn dependencies() -> Outcome {
    if which("cargo-deny").is_none() {
        eprintln!("cargo-deny is not here (`cargo install cargo-deny`): deny.toml is not checked");
        return Ok(0);
    }
    succeed(command("cargo", &["deny", "check", "bans", "licenses", "sources"]))
}

fn succeed(command: Command) -> Outcome {
    carry_out(command).map(|()| 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_it() {
        let steps = [
            Step { name: "first", run: || Ok(0) },
            Step { name: "second", run: || Ok(1) },
            Step { name: "third", run: || unreachable!("the second has failed") },
        ];
        let (times, failed) = run_steps(&steps);
        assert_eq!(times.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["first", "second"]);
        assert_eq!(failed, Some("second"));
    }

    #[test]
    fn a_step_that_cannot_run_has_failed() {
        let steps = [Step { name: "only", run: || Err("no cargo".into()) }];
        assert_eq!(run_steps(&steps).1, Some("only"));
    }
}
