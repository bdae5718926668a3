//! Data folders: a fresh one is a copy of a ready-made cluster, because `initdb` takes seconds
//! and a copy a tenth of one.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, TryLockError};
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::account::Account;
use crate::error::StartError;
use crate::find::Programs;
use crate::folder::{CopyError, PrivateFolder, copy_content, flush, make_closed, sweep};
use crate::machine::{Machine, make_trusted};
use crate::process::Process;

/// The superuser of every cluster that is made here.
pub(crate) const USER: &str = "postgres";

/// Its first line is the major version that made the cluster.
const VERSION_FILE: &str = "PG_VERSION";

/// Stands in a data folder while a cluster is copied into it: whatever else is there is ours.
const UNFINISHED: &str = ".tenfold-unfinished";

/// For a machine that is busy with something else; usually it takes a second or two.
const INITDB_TIME_MAX: Duration = Duration::from_secs(120);

/// A data folder that outlives its server.
#[derive(Debug)]
pub(crate) struct KeptFolder {
    pub(crate) path: PathBuf,
    /// As whom the server runs: the owner of what is there.
    pub(crate) account: Account,
    /// The major version of the cluster in it; `None` as long as it is empty.
    pub(crate) major: Option<u32>,
    /// Locked, so that two of us never prepare or use the same one.
    _lock: File,
}

impl KeptFolder {
    /// Opens the folder, which is made if it is not there, and looks at what it holds.
    pub(crate) fn open(folder: &Path, account: Account) -> Result<KeptFolder, StartError> {
        let path = std::path::absolute(folder).map_err(files(folder))?;
        check_way(&path, &account)?;
        fs::create_dir_all(&path).map_err(files(&path))?;
        let lock = File::open(&path).map_err(files(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StartError::InUse { process: server_of(&path), folder: path });
            }
            Err(TryLockError::Error(error)) => return Err(files(&path)(error)),
        }
        let owner = lock.metadata().map_err(files(&path))?;
        let account = account.for_owner_of(&owner);
        check_way(&path, &account)?;
        let mut kept = KeptFolder { account, major: None, path, _lock: lock };
        match kept.content()? {
            Content::Empty => Ok(kept),
            Content::Cluster(major) => {
                kept.major = Some(major);
                Ok(kept)
            }
            Content::Other => Err(StartError::NotACluster { folder: kept.path }),
        }
    }

    fn content(&self) -> Result<Content, StartError> {
        let names: Vec<_> = fs::read_dir(&self.path)
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect())
            .map_err(files(&self.path))?;
        // A file system's own folder is no content: mounted volumes have it.
        if names.iter().all(|name| name == "lost+found")
            || names.iter().any(|name| name == UNFINISHED)
        {
            return Ok(Content::Empty);
        }
        let version = fs::read_to_string(self.path.join(VERSION_FILE));
        let major = version.ok().and_then(|version| version.trim().parse().ok());
        Ok(major.map_or(Content::Other, Content::Cluster))
    }

    /// Fills the empty folder, so that a crash at any point leaves it empty or complete.
    pub(crate) fn fill(&self, template: &Path) -> Result<(), StartError> {
        let marker = self.path.join(UNFINISHED);
        File::create(&marker).and_then(|marker| marker.sync_all()).map_err(files(&marker))?;
        for entry in fs::read_dir(template).map_err(files(template))? {
            remove(&self.path.join(entry.map_err(files(template))?.file_name()))?;
        }
        self.account
            .give(&self.path)
            .and_then(|()| close(&self.path))
            .map_err(files(&self.path))?;
        copy_content(template, &self.path, &self.account)?;
        flush(&self.path).and_then(|()| fs::remove_file(&marker)).map_err(files(&marker))
    }
}

enum Content {
    Empty,
    Cluster(u32),
    Other,
}

/// The process id that a server left, or keeps, in its data folder.
pub(crate) fn server_of(data: &Path) -> Option<i32> {
    fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()
}

/// An error if the account cannot get to the folder.
pub(crate) fn check_way(folder: &Path, account: &Account) -> Result<(), StartError> {
    // The folder itself is given to the account; the way to it is what others own.
    match account.obstacle(folder.parent().unwrap_or(folder)) {
        None => Ok(()),
        Some(obstacle) => Err(StartError::Closed {
            folder: folder.to_owned(),
            obstacle,
            account: account.to_string(),
        }),
    }
}

/// The ready-made cluster of that Postgres; makes it if this is the first time.
pub(crate) fn template(
    machine: &Machine,
    programs: &Programs,
    account: &Account,
) -> Result<PathBuf, StartError> {
    let cache = &machine.cache;
    make_trusted(cache).map_err(files(cache))?;
    // Two builds of one version may differ: they get a template each.
    let mut hasher = DefaultHasher::new();
    programs.folder.hash(&mut hasher);
    let of_this_build = format!("cluster-{:016x}-", hasher.finish());
    let ready = cache.join(format!("{of_this_build}{}", programs.version));
    if !ready.join(VERSION_FILE).is_file() {
        make_template(machine, programs, account, &ready)?;
        remove_older(cache, &of_this_build, &ready);
    }
    Ok(ready)
}

/// Several processes may be here at once: each makes its own, and the first one's counts.
fn make_template(
    machine: &Machine,
    programs: &Programs,
    account: &Account,
    ready: &Path,
) -> Result<(), StartError> {
    let building =
        PrivateFolder::new(&machine.temporary, "initdb").map_err(files(&machine.temporary))?;
    let data = building.room("data", account).map_err(files(building.path()))?;
    initdb(programs, account, &data)?;

    // Next to its last place, so that a rename can move it: it appears whole or not at all.
    sweep(&machine.cache);
    let stage = PrivateFolder::new(&machine.cache, "template").map_err(files(&machine.cache))?;
    let copy = stage.path().join("cluster");
    make_closed(&copy).map_err(files(&copy))?;
    // It belongs to this process's user: the server's could swap what root is about to copy.
    copy_content(&data, &copy, &Account::own())?;
    flush(&copy).map_err(files(&copy))?;
    match fs::rename(&copy, ready) {
        Err(_) if ready.join(VERSION_FILE).is_file() => Ok(()),
        renamed => renamed.map_err(files(ready)),
    }
}

fn initdb(programs: &Programs, account: &Account, data: &Path) -> Result<(), StartError> {
    let mut command = programs.command("initdb", account);
    command
        .arg("--pgdata")
        .arg(data)
        .args(["--username", USER, "--encoding", "UTF8", "--locale", "C"])
        // Whoever gets into the socket's folder is the server's user itself.
        .args(["--auth", "trust"])
        // Made durable by whoever copies it.
        .arg("--no-sync");
    run(command, "initdb", INITDB_TIME_MAX)
}

/// Runs one of the programs to its end, which has to be a success.
fn run(command: Command, program: &'static str, limit: Duration) -> Result<(), StartError> {
    let path = PathBuf::from(command.get_program());
    let finished = Process::run(command, limit).map_err(files(&path))?;
    if finished.success() {
        return Ok(());
    }
    Err(StartError::Program { program, how: finished.how(), words: finished.words })
}

/// For a copy of a small server, on a machine that is busy with something else.
const COPY_TIME_MAX: Duration = Duration::from_secs(120);

/// Fills the folder with a copy of a running server, which it is set up to follow.
pub(crate) fn copy_of(
    primary: &str,
    programs: &Programs,
    account: &Account,
    data: &Path,
) -> Result<(), StartError> {
    let mut command = programs.command("pg_basebackup", account);
    command.arg("--pgdata").arg(data).arg("--dbname").arg(primary);
    command.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]);
    run(command, "pg_basebackup", COPY_TIME_MAX)
}

/// For the end of recovery: what it has received already is all that it still applies.
const PROMOTE_TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) fn promote(
    programs: &Programs,
    account: &Account,
    data: &Path,
) -> Result<(), StartError> {
    let mut command = programs.command("pg_ctl", account);
    command.args(["promote", "--wait", "--pgdata"]).arg(data);
    run(command, "pg_ctl", PROMOTE_TIME_MAX)
}

/// A Postgres that was updated needs its former template no more.
fn remove_older(cache: &Path, of_this_build: &str, current: &Path) {
    let entries = fs::read_dir(cache).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()).filter(|path| path != current) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(of_this_build) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn close(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

fn remove(path: &Path) -> Result<(), StartError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.map_err(files(path))
}

/// Turns a failed file operation into an error that says where.
pub(crate) fn files(path: &Path) -> impl FnOnce(io::Error) -> StartError {
    let path = path.to_owned();
    move |error| StartError::Files { path, error }
}

impl From<CopyError> for StartError {
    fn from(CopyError { path, error }: CopyError) -> StartError {
        StartError::Files { path, error }
    }
}
