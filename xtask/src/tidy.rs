//! `cargo xtask tidy`: what no compiler checks and a reader relies on, with messages that say what
//! to do instead and why. One check per file.

use std::fmt;

use crate::Outcome;
use crate::repository::Repository;
use crate::stopwatch::{Stopwatch, shown};

mod arrows;
mod bans;
mod features;
mod folders;
mod length;
mod machine;
mod manifests;
mod map;
mod opening;
mod paths;
mod reasons;
mod words;

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Complaint {
    /// A file, with the line where there is one, or a package.
    place: String,
    /// What is wrong, what would be right, and why.
    text: String,
}

type Check = fn(&Repository) -> Vec<Complaint>;

/// All checks, as a reader meets what they protect.
const CHECKS: &[(&str, Check)] = &[
    ("arrows point down", arrows::check),
    ("folder and package share a name", folders::check),
    ("manifests take from the workspace", manifests::check),
    ("the map is true", map::check),
    ("documents name paths that exist", paths::check),
    ("files say why they exist", opening::check),
    ("files are short", length::check),
    ("features choose crates", features::check),
    ("bans say what to use instead", bans::check),
    ("exceptions have a reason", reasons::check),
    ("banned words", words::check),
    ("no path of one machine", machine::check),
];

/// Runs all checks and prints every complaint. The exit code is 1 when there is one.
///
/// # Errors
/// When the repository cannot be read.
pub fn run() -> Outcome {
    let stopwatch = Stopwatch::start();
    let repository = Repository::read()?;
    let mut count = 0;
    for (name, check) in CHECKS {
        let mut complaints = check(&repository);
        complaints.sort();
        if !complaints.is_empty() {
            println!("{name}:");
        }
        for complaint in &complaints {
            println!("  {complaint}");
        }
        count += complaints.len();
    }
    let time = shown(stopwatch.elapsed());
    match count {
        0 => println!("tidy: {} checks, nothing to complain about ({time})", CHECKS.len()),
        1 => println!("tidy: 1 complaint ({time})"),
        _ => println!("tidy: {count} complaints ({time})"),
    }
    Ok(u8::from(count > 0))
}

impl Complaint {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Complaint {
        Complaint { place: place.into(), text: text.into() }
    }

    /// About a line of a file; lines are counted from 0 here, and shown from 1.
    fn at(path: &str, line: usize, text: impl Into<String>) -> Complaint {
        Complaint { place: format!("{path}:{}", line + 1), text: text.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.text)
    }
}

/// Runs one check on a made-up repository and compares what it says.
#[cfg(test)]
fn assert_says(check: Check, repository: &Repository, expected: &[&str]) {
    let said: Vec<String> = check(repository).iter().map(ToString::to_string).collect();
    assert_eq!(said, expected);
}
