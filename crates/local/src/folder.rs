//! Folders that nobody else can enter, and that are gone when their owner is: at once when it
//! ends in order, at the next start of one of us when it was killed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid};

use crate::account::Account;

/// Folders of ours are called `tenfold-<kind>-<process id>-<random>`.
const PREFIX: &str = "tenfold-";

/// Held locked by the owner: free when it is gone, whatever has become of its process id.
/// Within a container the ids are others', but the lock is the same.
const LOCK: &str = "owner.lock";

/// A folder with a lifetime.
#[derive(Debug)]
pub(crate) struct PrivateFolder {
    path: PathBuf,
    _lock: File,
}

impl PrivateFolder {
    /// Makes a fresh one in `parent`. Others see nothing of it; the account of a server, which
    /// has a folder of its own in it, can pass.
    pub(crate) fn new(parent: &Path, kind: &str) -> io::Result<PrivateFolder> {
        let mode = if Uid::effective().is_root() { 0o711 } else { 0o700 };
        let path = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{kind}-{}-", std::process::id()))
            .permissions(fs::Permissions::from_mode(mode))
            .tempdir_in(parent)?
            .keep();
        // The umask may have taken more away than we wanted.
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        let lock =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path.join(LOCK))?;
        lock.lock()?;
        Ok(PrivateFolder { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it that only the account can enter.
    pub(crate) fn room(&self, name: &str, account: &Account) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        make_closed(&path)?;
        account.give(&path)?;
        Ok(path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next sweep.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Makes a folder (not its parents) that only its owner can enter.
pub(crate) fn make_closed(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes what processes of the same user have left in `parent` when they were killed.
pub(crate) fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if is_ours(&path) && owner_is_gone(&path) {
            // Another sweep may be at it too; what stays behind is tried again next time.
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_dir() && found.uid() == Uid::effective().as_raw())
        && owner(path).is_some()
}

/// The process id in a name of ours.
fn owner(path: &Path) -> Option<Pid> {
    let mut parts = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('-');
    let (_kind, owner, random) = (parts.next()?, parts.next()?, parts.next()?);
    let well_formed = !random.is_empty() && parts.next().is_none();
    owner.parse().ok().filter(|owner| well_formed && *owner > 0).map(Pid::from_raw)
}

fn owner_is_gone(path: &Path) -> bool {
    if owner(path).is_none_or(is_alive) {
        return false;
    }
    match File::open(path.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Whether a process with that number exists.
pub(crate) fn is_alive(process: Pid) -> bool {
    kill(process, None) != Err(nix::Error::ESRCH)
}

/// Copies a folder's content into another one, which exists, and gives it to the account.
/// Anything but files and folders is refused.
pub(crate) fn copy_content(from: &Path, to: &Path, account: &Account) -> Result<(), CopyError> {
    for entry in fs::read_dir(from).map_err(|error| CopyError::new(from, error))? {
        let entry = entry.map_err(|error| CopyError::new(from, error))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|error| CopyError::new(&source, error))?;
        if kind.is_dir() {
            make_closed(&target)
                .and_then(|()| account.give(&target))
                .map_err(|error| CopyError::new(&target, error))?;
            copy_content(&source, &target, account)?;
        } else if kind.is_file() {
            copy_file(&source, &target, account).map_err(|error| CopyError::new(&target, error))?;
        } else {
            let error = io::Error::other("neither a file nor a folder");
            return Err(CopyError::new(&source, error));
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, account: &Account) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut target)?;
    account.give_file(&target)
}

/// A copy that failed, with the path at which it did.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub(crate) struct CopyError {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

impl CopyError {
    fn new(path: &Path, error: io::Error) -> CopyError {
        CopyError { path: path.to_owned(), error }
    }
}

/// Makes what was written below `path` survive a power cut.
pub(crate) fn flush(path: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::unistd::syncfs(File::open(path)?)?;
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        nix::unistd::sync();
    }
    Ok(())
}
