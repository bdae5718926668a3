//! Finds the Postgres programs of this machine, newest first.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fmt, fs, io};

use tenfold_config::environment;

use crate::account::Account;
use crate::machine::{Machine, is_program};
use crate::process::{Finished, Process};

/// The oldest version that is of use: older ones have been without repairs for years.
const OLDEST_MAJOR: u32 = 13;

/// A Postgres version, ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Data folders of one major version can be read by all its minor versions, by no other.
    pub major: u32,
    /// Repairs within the major version.
    pub minor: u32,
}

impl Version {
    /// Reads what `postgres --version` says, such as `postgres (PostgreSQL) 15.20 (Debian …)`.
    fn from_words(words: &str) -> Option<Version> {
        let number = words.strip_prefix("postgres (PostgreSQL) ")?.split_whitespace().next()?;
        let (major, rest) = leading_number(number)?;
        // A beta (`19beta1`) has no minor version yet.
        let minor = rest.strip_prefix('.').and_then(leading_number).map_or(0, |(minor, _)| minor);
        Some(Version { major, minor })
    }
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The programs of one Postgres.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) folder: PathBuf,
    pub(crate) version: Version,
}

impl Programs {
    /// Looks whether the folder holds a Postgres that the account can run.
    pub(crate) fn in_folder(folder: &Path, account: &Account) -> Option<Programs> {
        // A link such as /usr/local/bin/postgres leads to where its libraries are.
        let postgres = fs::canonicalize(folder.join("postgres")).ok()?;
        let folder = postgres.parent()?.to_owned();
        if !is_program(&postgres) || !is_program(&folder.join("initdb")) {
            return None;
        }
        let mut programs = Programs { folder, version: Version { major: 0, minor: 0 } };
        let finished = programs.run("postgres", &["--version"], account, LOOK_TIME_MAX).ok()?;
        programs.version = Version::from_words(finished.success().then_some(&finished.words)?)?;
        Some(programs)
    }

    /// A command for one of the programs, as the account and untouched by what the user's
    /// environment says to Postgres (`PGPORT`, `PGDATA`, a language for its messages).
    pub(crate) fn command(&self, program: &str, account: &Account) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.env_clear().env("LC_ALL", "C");
        for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
            if let Some(value) = environment::var(kept) {
                command.env(kept, value);
            }
        }
        // The working folder may be closed to the account, and Postgres asks where it is.
        command.current_dir("/");
        account.run(&mut command);
        command
    }

    /// Runs one of the programs to its end.
    pub(crate) fn run(
        &self,
        program: &str,
        arguments: &[&str],
        account: &Account,
        limit: Duration,
    ) -> io::Result<Finished> {
        let mut command = self.command(program, account);
        command.args(arguments);
        Process::run(command, limit)
    }
}

/// For a program that only says its version, on a machine that is busy with something else.
const LOOK_TIME_MAX: Duration = Duration::from_secs(10);

/// Every Postgres that is installed and that the account can run, newest first.
pub(crate) fn installed(machine: &Machine, account: &Account) -> Vec<Programs> {
    let mut found: Vec<Programs> = Vec::new();
    for folder in machine.path.iter().chain(&machine.postgres_folders) {
        if let Some(programs) = Programs::in_folder(folder, account)
            && programs.version.major >= OLDEST_MAJOR
            && !found.contains(&programs)
        {
            found.push(programs);
        }
    }
    // Stable: of equal versions the one that PATH names first.
    found.sort_by_key(|programs| std::cmp::Reverse(programs.version));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, expected: Option<(u32, u32)>) {
        let version = expected.map(|(major, minor)| Version { major, minor });
        assert_eq!(Version::from_words(words), version, "{words}");
    }

    #[test]
    fn reads_versions() {
        check("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", Some((15, 20)));
        check("postgres (PostgreSQL) 18.6", Some((18, 6)));
        check("postgres (PostgreSQL) 19beta1", Some((19, 0)));
        check("postgres (PostgreSQL) 20devel", Some((20, 0)));
        check("postgres (PostgreSQL) ", None);
        check("postgres (PostgreSQL) new", None);
        check("mysqld 8", None);
        check("", None);
    }

    #[test]
    fn newer_is_greater() {
        let version = |major, minor| Version { major, minor };
        assert!(version(18, 6) > version(15, 20) && version(15, 20) > version(15, 3));
    }
}
