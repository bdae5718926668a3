//! How many files the process may have open: a connection is one, and one too many would leave
//! none to the admin port and to the way to Postgres.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files for everything that is no connection of a client: the pool and the lanes, cancellations,
/// the admin port's own connections, the log.
const OTHERS: u64 = 256;

/// As many of the wanted connections as the system has files for. Asks it for more files first,
/// up to the hard limit: the soft one is 1,024 nearly everywhere, for the sake of programs that
/// use select(2).
pub(crate) fn connections_possible(wanted: usize) -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let needed = (wanted as u64).saturating_add(OTHERS);
    let raised = needed.min(hard);
    let files = if raised > soft && setrlimit(Resource::RLIMIT_NOFILE, raised, hard).is_ok() {
        raised
    } else {
        soft
    };
    let possible = possible(wanted, files);
    if possible < wanted {
        tracing::warn!(
            possible,
            wanted,
            files,
            "fewer connections than server.connections_max: raise the limit of open files"
        );
    }
    possible
}

fn possible(wanted: usize, files: u64) -> usize {
    // Where there are hardly any, half for each.
    let others = OTHERS.min(files / 2);
    usize::try_from(files - others).unwrap_or(usize::MAX).min(wanted).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_others() {
        assert_eq!(possible(10_000, 1_024), 768);
        assert_eq!(possible(10_000, 100_000), 10_000);
        assert_eq!(possible(10_000, 256), 128);
        assert_eq!(possible(10_000, 0), 1);
        assert_eq!(possible(10, u64::MAX), 10);
    }

    #[test]
    fn what_is_possible_is_at_most_what_is_wanted() {
        assert_eq!(connections_possible(1), 1);
        assert!(connections_possible(1_000_000) <= 1_000_000);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(soft == hard || soft >= 1_000_000, "{soft} of {hard}");
    }
}
