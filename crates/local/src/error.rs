//! Each way in which a server can fail to start, with what its user needs to go on.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::find::Version;
use crate::wheel::FetchError;

/// How to get a Postgres, as the last words of an error.
const HOW_TO_INSTALL: &str = "install it with `sudo apt-get install postgresql` (Debian, Ubuntu), \
    `sudo dnf install postgresql-server` (Fedora) or `brew install postgresql@18` (macOS)";

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No Postgres here, and none to be had.
    #[error("no Postgres is installed on this machine, and {why}; {HOW_TO_INSTALL}")]
    NothingFound {
        /// Why none could be fetched either.
        why: FetchError,
    },

    /// This process is root's, and there is nobody else to run the server.
    #[error(
        "root may not run Postgres, and this machine has no user `postgres` or `nobody` that could"
    )]
    NoAccount,

    /// The server's user cannot get to a folder that it needs.
    #[error(
        "{} cannot be used: the server runs as user {account}, because root may not run it, and \
         {} is closed to that user; choose a folder elsewhere, such as /var/lib/tenfold",
        folder.display(), obstacle.display()
    )]
    Closed {
        /// The folder that was asked for.
        folder: PathBuf,
        /// The first one on the way that is closed.
        obstacle: PathBuf,
        /// The user as whom the server runs.
        account: String,
    },

    /// Another server lives on the data.
    #[error(
        "the data folder {} is in use by another server{}; stop that one or choose another folder",
        folder.display(), process.map_or_else(String::new, |process| format!(" (process {process})"))
    )]
    InUse {
        /// The data folder.
        folder: PathBuf,
        /// The other server's process id, if it is known.
        process: Option<i32>,
    },

    /// The data cannot be read by the Postgres that is here.
    #[error(
        "the data folder {} was made by Postgres {major}, and this machine has {}; install \
         Postgres {major} or choose another folder",
        folder.display(), versions(found)
    )]
    OtherVersion {
        /// The data folder.
        folder: PathBuf,
        /// The major version that made it.
        major: u32,
        /// What was found, newest first.
        found: Vec<Version>,
    },

    /// Somebody's files, which must not be mixed with a database's.
    #[error(
        "the folder {} holds something else than a Postgres database; choose an empty or a new one",
        folder.display()
    )]
    NotACluster {
        /// The folder that was asked for.
        folder: PathBuf,
    },

    /// A setting that would open the server, or that none can have.
    #[error("the Postgres setting {name} = {value} cannot be used: {why}")]
    Setting {
        /// The setting's name.
        name: String,
        /// The value that was given.
        value: String,
        /// What would be right.
        why: &'static str,
    },

    /// A database cannot have that name.
    #[error("{name:?} cannot be a database's name: it must have 1 to 63 bytes, none of them zero")]
    DatabaseName {
        /// The name that was given.
        name: String,
    },

    /// A file or folder could not be made or read: the disk may be full.
    #[error("{}: {error}", path.display())]
    Files {
        /// Where it happened.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },

    /// A program did not do its work; its last words say why.
    #[error("{program} failed ({how}):\n{words}")]
    Program {
        /// The program's name.
        program: &'static str,
        /// How it ended.
        how: String,
        /// Its last lines.
        words: String,
    },

    /// The server runs but did not get ready.
    #[error("Postgres was not ready after {limit:?} ({why}):\n{words}")]
    NotReady {
        /// The time that it had.
        limit: Duration,
        /// What the last attempt to reach it said.
        why: String,
        /// The server's last lines.
        words: String,
    },

    /// The server is there but will not work for us, as on data that somebody else set up.
    #[error("Postgres refuses: {message}")]
    Refused {
        /// The server's words.
        message: String,
    },
}

fn versions(found: &[Version]) -> String {
    if found.is_empty() {
        return "none".to_owned();
    }
    let versions: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!("Postgres {}", versions.join(", "))
}
