//! What of this machine is used: where programs are looked for, and where things are kept.
//! Plain data, so that a test can describe a machine that has nothing.

use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::unistd::{AccessFlags, Uid, access};
use tenfold_config::environment;

use crate::account::Account;

/// Where servers are found and where their files live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Folders in which programs are looked for by name, in this order.
    pub path: Vec<PathBuf>,
    /// Folders outside `path` in which packages put Postgres's programs.
    pub postgres_folders: Vec<PathBuf>,
    /// Folder for what is kept from one start to the next: a fetched Postgres and ready-made
    /// clusters, about 40 MB each. Removing it costs the next start its speed, nothing else.
    pub cache: PathBuf,
    /// Folder in which each server's own folder is made: sockets, and data that is not kept.
    pub temporary: PathBuf,
}

impl Machine {
    /// This machine, as its environment describes it.
    ///
    /// The cache is `tenfold` in `XDG_CACHE_HOME` or `~/.cache` (`~/Library/Caches` on macOS).
    /// For root it is in `/var/cache` (`/Library/Caches`) when `XDG_CACHE_HOME` is not set,
    /// because root's home is closed to the user as whom a server runs then.
    pub fn this() -> Machine {
        let path = environment::var("PATH").unwrap_or_default();
        let temporary = temporary();
        Machine {
            path: std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect(),
            postgres_folders: postgres_folders(),
            cache: cache(&temporary),
            temporary,
        }
    }

    /// The first program of that name.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.path.iter().map(|folder| folder.join(name)).find(|program| is_program(program))
    }
}

pub(crate) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
}

/// Debian and Ubuntu, the packages of postgresql.org on Fedora and its kin, and Homebrew on
/// both kinds of Mac, put the programs where no `PATH` points.
fn postgres_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ]
    .into_iter()
    .flat_map(|(parent, prefix)| {
        let entries = fs::read_dir(parent).into_iter().flatten().filter_map(Result::ok);
        entries
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .map(|entry| entry.path().join("bin"))
    })
    .filter(|folder| folder.is_dir())
    .collect();
    folders.sort();
    folders
}

/// `/var/tmp` before `/tmp`, because the latter is often memory: a database in it takes room
/// from what is measured, and makes fsync look free.
fn temporary() -> PathBuf {
    let on_disk = Path::new("/var/tmp");
    let writable = access(on_disk, AccessFlags::W_OK).is_ok();
    if writable { on_disk.to_owned() } else { std::env::temp_dir() }
}

/// The first place that can be used, at worst one in the temporary folder.
fn cache(temporary: &Path) -> PathBuf {
    let home = environment::var("HOME").map(PathBuf::from);
    let of_system = if cfg!(target_os = "macos") { "/Library/Caches" } else { "/var/cache" };
    let of_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    let chosen = environment::var("XDG_CACHE_HOME").map(PathBuf::from);
    let user = Uid::effective();
    let usual = if user.is_root() {
        Some(PathBuf::from(of_system))
    } else {
        home.map(|home| home.join(of_home))
    };
    let last_resort = temporary.join(format!("tenfold-cache.{user}"));
    [chosen, usual]
        .into_iter()
        .flatten()
        .filter(|parent| parent.is_absolute())
        .map(|parent| parent.join("tenfold"))
        .find(|folder| usable(folder))
        .unwrap_or(last_resort)
}

/// Whether the folder can be made, or is there and ours; nothing is made before it is needed.
fn usable(folder: &Path) -> bool {
    let there = folder.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(folder);
    let can_be_had = if there == folder {
        make_trusted(folder).is_ok()
    } else {
        access(there, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
    };
    can_be_had && Account::unprivileged().is_none_or(|account| account.obstacle(folder).is_none())
}

/// Makes the folder if it is not there, and makes sure that nobody else can write to it: what
/// it holds is run.
pub(crate) fn make_trusted(folder: &Path) -> io::Result<()> {
    // Root runs what is there as another user, who must be able to read it.
    let mode = if Uid::effective().is_root() { 0o755 } else { 0o700 };
    let is_new = !folder.exists();
    fs::DirBuilder::new().recursive(true).mode(mode).create(folder)?;
    let found = fs::symlink_metadata(folder)?;
    let is_ours = found.uid() == Uid::effective().as_raw() && found.mode() & 0o022 == 0;
    if found.is_dir() && is_ours {
        if is_new {
            // The umask may have taken away what that user needs.
            fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
        }
        return Ok(());
    }
    Err(io::Error::other("this folder is not ours alone, so that what is in it cannot be trusted"))
}
