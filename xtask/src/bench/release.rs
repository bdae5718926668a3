//! What is measured is built as it is shipped, and found where cargo puts it.

use std::path::PathBuf;
use std::process::Command;

use super::child::Running;
use super::pin::pinned;
use crate::Error;
use crate::shell::{command, read, run};

/// The packages of all programs that benches start.
const PACKAGES: [&str; 6] =
    ["floor", "hello", "topology", "store", "tenfold-cli", "tenfold-loadgen"];

/// Builds in release whatever benches measure: all of it at once, because another choice of
/// packages would be another choice of their dependencies' features, and build those again.
///
/// # Errors
/// When that fails.
pub(super) fn build() -> Result<(), Error> {
    let packages = PACKAGES.iter().flat_map(|package| ["-p", package]);
    build_only(&packages.chain(["--bins", "--examples"]).collect::<Vec<_>>())
}

/// The same for a bench that is part of the tests, where nobody waits for all the others' programs:
/// what it measures, with cargo's own words, and what starts the private Postgres.
///
/// # Errors
/// When that fails.
pub(super) fn build_only(which: &[&str]) -> Result<(), Error> {
    let mut cargo = command("cargo", &["build", "--release"]);
    cargo.args(["-p", "tenfold-local", "--example", "postgres"]).args(which);
    run(cargo)
}

/// Where a program lies that was built in release: `store`, `examples/postgres`.
///
/// # Errors
/// When cargo does not say where it builds.
pub(super) fn program(name: &str) -> Result<String, Error> {
    let metadata = read(command("cargo", &["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str().ok_or("cargo names no target directory")?;
    Ok(PathBuf::from(target).join("release").join(name).display().to_string())
}

/// A private Postgres, that of `tenfold-local`.
#[derive(Debug)]
pub(super) struct PrivatePostgres {
    /// The address of its database.
    pub(super) url: String,
    /// Its first process.
    pub(super) id: u32,
    _running: Running,
}

impl PrivatePostgres {
    /// Starts it on one core; [`build`] has built what that takes.
    pub(super) fn start_on(core: usize) -> Result<PrivatePostgres, Error> {
        let start: Command = pinned(&[core], &program("examples/postgres")?, &[]);
        let (running, said) = Running::talkative(start, 2)?;
        let id = said[1].strip_prefix("process ").and_then(|id| id.parse().ok());
        let id = id.ok_or_else(|| format!("{:?} is no process id", said[1]))?;
        Ok(PrivatePostgres { url: said[0].clone(), id, _running: running })
    }
}
