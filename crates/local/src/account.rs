//! As whom a server runs: as root it must be somebody else, because Postgres refuses to be
//! root, and so should anything that listens.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use nix::unistd::{Gid, Uid, User};

/// The accounts that are tried in turn when this process is root's: Postgres's own on Linux
/// and on macOS, then the one that every system has for whoever needs no rights.
const UNPRIVILEGED: [&str; 3] = ["postgres", "_postgres", "nobody"];

/// A user of this machine as whom servers run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Other than the user of this process, to which only root can change.
    is_other: bool,
}

impl Account {
    /// The user of this process; an unprivileged one if that is root. `None` if there is none.
    pub(crate) fn unprivileged() -> Option<Account> {
        if !Uid::effective().is_root() {
            return Some(Account::own());
        }
        let user = UNPRIVILEGED.iter().find_map(|name| User::from_name(name).ok().flatten())?;
        Some(Account { uid: user.uid.as_raw(), gid: user.gid.as_raw(), is_other: true })
    }

    /// The user of this process, whoever it is.
    pub(crate) fn own() -> Account {
        let (uid, gid) = (Uid::effective().as_raw(), Gid::effective().as_raw());
        Account { uid, gid, is_other: false }
    }

    /// The account that can run a server on a folder which exists: its owner, if this process
    /// is root's and may choose.
    pub(crate) fn for_owner_of(self, folder: &Metadata) -> Account {
        if self.is_other && folder.uid() != 0 {
            Account { uid: folder.uid(), gid: folder.gid(), is_other: true }
        } else {
            self
        }
    }

    /// Lets the command run as this user. std gives up root's other groups as well.
    pub(crate) fn run(&self, command: &mut Command) {
        if self.is_other {
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives it a folder or a file.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        if self.is_other {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// Gives it an open file.
    pub(crate) fn give_file(&self, file: &fs::File) -> io::Result<()> {
        if self.is_other {
            std::os::unix::fs::fchown(file, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }

    /// The first folder on the way to `path` (or that itself) through which the account may not
    /// go; what does not exist yet is no obstacle.
    pub(crate) fn obstacle(&self, path: &Path) -> Option<PathBuf> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        ancestors
            .into_iter()
            .find(|folder| {
                fs::metadata(folder).is_ok_and(|found| found.is_dir() && !self.may_enter(&found))
            })
            .map(Path::to_owned)
    }

    fn may_enter(&self, folder: &Metadata) -> bool {
        let mode = folder.mode();
        let bit = if folder.uid() == self.uid {
            0o100
        } else if folder.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        // Who stays himself keeps his other groups: for him the kernel's word is enough.
        !self.is_other || mode & bit != 0
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => f.write_str(&user.name),
            Ok(None) | Err(_) => write!(f, "{}", self.uid),
        }
    }
}
