//! How many connections this process may open: each is a file, and systems begin with few.

use std::{fmt, io};

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};

use crate::ending::NotOffered;

/// Files that a generator needs beside its connections: of the event loops, timers, standard
/// streams, and whatever the program has open otherwise.
const OTHER_FILES: usize = 64;

/// How many connections this process may have open at one time. Displayed as a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionsPossible {
    /// So many, beside the other files of the process.
    pub connections: usize,
    /// Its limit of open files, which is why: `ulimit -n`.
    pub files: usize,
}

impl ConnectionsPossible {
    /// Allows this process as many files as it can be allowed without being root, and tells how
    /// many connections may then be open. Programs that are started from now on inherit it.
    pub fn raised() -> ConnectionsPossible {
        // A system that does not tell may allow it: what it then refuses is counted.
        let all = (rlim_t::MAX, rlim_t::MAX);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or(all);
        let raised = soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
        let files = usize::try_from(if raised { hard } else { soft }).unwrap_or(usize::MAX);
        ConnectionsPossible { connections: files.saturating_sub(OTHER_FILES), files }
    }
}

impl fmt::Display for ConnectionsPossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectionsPossible { connections, files } = self;
        write!(
            f,
            "this process may have no more than {connections} connections open at one time, by its \
             limit of {files} open files (ulimit -n)"
        )
    }
}

/// Why it is this machine, and not the service, that made opening a connection fail; none if it
/// may well be the service. `was_reachable` says whether a connection to the same address has
/// been opened before: if not, the address may be one that cannot be reached from here.
pub(crate) fn exhausted(error: &io::Error, was_reachable: bool) -> Option<NotOffered> {
    match error.raw_os_error().map(Errno::from_raw)? {
        Errno::EMFILE | Errno::ENFILE => Some(NotOffered::NoFile),
        Errno::EADDRNOTAVAIL if was_reachable => Some(NotOffered::NoPort),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_lacks_is_told_from_what_the_service_does() {
        let why = |errno: Errno, was_reachable| {
            exhausted(&io::Error::from_raw_os_error(errno as i32), was_reachable)
        };
        assert_eq!(why(Errno::EMFILE, false), Some(NotOffered::NoFile));
        assert_eq!(why(Errno::ENFILE, true), Some(NotOffered::NoFile));
        assert_eq!(why(Errno::EADDRNOTAVAIL, true), Some(NotOffered::NoPort));
        assert_eq!(why(Errno::EADDRNOTAVAIL, false), None, "a machine without IPv6");
        assert_eq!(why(Errno::ECONNREFUSED, true), None);
        assert_eq!(exhausted(&io::ErrorKind::AddrNotAvailable.into(), true), None);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes_and_some_files_are_kept() {
        let ConnectionsPossible { connections, files } = ConnectionsPossible::raised();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
        assert_eq!((connections, files), (soft as usize - OTHER_FILES, soft as usize));
    }
}
