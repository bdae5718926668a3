//! How many connections the pool may have if nobody says so: what Postgres takes, shared fairly
//! among the replicas of the service, and no more than keep the processor busy.

use std::fmt;

use tokio_postgres::Client;

use crate::connect::Connector;
use crate::settings::{DatabaseSettings, Pooler};

/// What is used where Postgres cannot be asked: behind a pooler, which has a limit of its own and
/// does not say it. Enough for one machine of a few cores.
pub(crate) const UNASKED: usize = 16;

/// Connections for each core of this machine. A transaction waits for the network between its
/// statements for most of its time, so one core drives several; beyond that they only wait for
/// each other in Postgres.
const FOR_EACH_CORE: usize = 8;

/// Of what Postgres takes, this share (one in as many) is left to others: whoever looks after it,
/// what watches it, migrations.
const LEFT_TO_OTHERS: usize = 10;

/// The least that is left to them.
const LEFT_TO_OTHERS_MIN: usize = 3;

/// How many connections the exclusive lane may have, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// At most so many.
    pub connections_max: usize,
    /// Why, in one line.
    pub why: String,
    /// Whether Postgres may refuse some of them, as far as it says.
    pub is_too_much: bool,
}

impl fmt::Display for PoolSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.connections_max, self.why)
    }
}

/// What there is to share, and among whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// `database.pool_max`, if it is set.
    set: Option<usize>,
    /// Processes of the service.
    replicas: usize,
    cores: usize,
    /// Connections of the shared lanes of this process.
    shared: usize,
    /// Those over which it looks at the server itself, never at a request's wish.
    watching: usize,
}

impl Share {
    pub(super) fn new(settings: &DatabaseSettings) -> Share {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Share {
            set: (settings.pool_max > 0).then_some(settings.pool_max),
            replicas: settings.expected_replicas,
            cores,
            shared: cores * settings.shared_connections,
            // One looks for old transactions now and then, and where there are replicas one asks
            // for the place in the log.
            watching: 1 + usize::from(settings.replica_url.is_some()),
        }
    }

    /// The size where Postgres cannot be asked.
    pub(super) fn unasked(self, why: &str) -> PoolSize {
        let (connections_max, why) = match self.set {
            Some(set) => (set, "as set (database.pool_max)".to_owned()),
            None => (UNASKED, why.to_owned()),
        };
        PoolSize { connections_max, why, is_too_much: false }
    }

    /// The size, given how many connections Postgres takes from all processes together.
    pub(super) fn of(self, taken: usize) -> PoolSize {
        let Share { set, replicas, cores, shared, watching } = self;
        let others = (taken / LEFT_TO_OTHERS).max(LEFT_TO_OTHERS_MIN).min(taken);
        // While a new version is rolled out there is one process more.
        let each = (taken - others) / (replicas + 1);
        let budget = each.saturating_sub(shared + watching);
        // For four connections one cancellation may be under way, which is a connection too.
        let cancelling = budget.div_ceil(5);
        let fair = (budget - cancelling).max(1);
        let enough = cores * FOR_EACH_CORE;
        let share = format!(
            "Postgres takes {taken} connections, {others} of them left to others; for \
             {replicas} + 1 processes (database.expected_replicas) {each} each, less {shared} for \
             shared lanes, {watching} for watching and {cancelling} for cancellations: {fair}"
        );
        match set {
            Some(set) if set > fair => PoolSize {
                connections_max: set,
                why: format!("as set (database.pool_max), which is too much: {share}"),
                is_too_much: true,
            },
            Some(_) => self.unasked(""),
            None if fair > enough => PoolSize {
                connections_max: enough,
                why: format!("{FOR_EACH_CORE} for each of {cores} cores; {share}"),
                is_too_much: false,
            },
            None => PoolSize { connections_max: fair, why: share, is_too_much: false },
        }
    }
}

/// How many connections Postgres takes from our role in our database.
const TAKEN: &str = "
    SELECT least(
        current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int
            - coalesce(current_setting('reserved_connections', true)::int, 0),
        (SELECT nullif(rolconnlimit, -1) FROM pg_catalog.pg_roles WHERE rolname = current_user),
        (SELECT nullif(datconnlimit, -1) FROM pg_catalog.pg_database
            WHERE datname = current_database()))";

/// Asks Postgres and decides.
pub(super) async fn ask(client: &Client, connector: &Connector, share: Share) -> PoolSize {
    if connector.pooler() != Pooler::None {
        return share.unasked("a pooler stands between, and does not say how many it takes");
    }
    let asked = tokio::time::timeout(connector.time_max(), client.query_typed(TAKEN, &[])).await;
    let taken = match &asked {
        Ok(Ok(rows)) => rows.first().and_then(|row| row.try_get::<_, i32>(0).ok()),
        Ok(Err(_)) | Err(_) => None,
    };
    match taken {
        Some(taken) => share.of(usize::try_from(taken).unwrap_or(0)),
        None => share.unasked("Postgres does not say how many it takes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(set: Option<usize>, replicas: usize, cores: usize) -> Share {
        Share { set, replicas, cores, shared: cores, watching: 1 }
    }

    #[test]
    fn a_small_machine_is_the_limit_before_postgres_is() {
        let size = share(None, 1, 2).of(97);
        assert_eq!((size.connections_max, size.is_too_much), (16, false));
        assert!(size.why.starts_with("8 for each of 2 cores; Postgres takes 97"), "{}", size.why);
    }

    #[test]
    fn many_replicas_share_what_postgres_takes() {
        // (97 - 9) / 11 = 8, less 4 for the lanes, 1 for watching, 1 for cancellations.
        let size = share(None, 10, 4).of(97);
        assert_eq!(size.connections_max, 2);
        assert_eq!(
            size.to_string(),
            "2: Postgres takes 97 connections, 9 of them left to others; for 10 + 1 processes \
             (database.expected_replicas) 8 each, less 4 for shared lanes, 1 for watching \
             and 1 for cancellations: 2"
        );
        for (replicas, cores, taken) in [(1, 1, 20), (3, 8, 500), (50, 4, 2000), (7, 16, 997)] {
            let pool = share(None, replicas, cores).of(taken).connections_max;
            let each = pool + pool.div_ceil(4) + cores + 1;
            assert!(each * (replicas + 1) <= taken, "{replicas} {cores} {taken}: {pool}");
        }
    }

    #[test]
    fn there_is_always_one() {
        for taken in [0, 1, 3, 5] {
            assert_eq!(share(None, 100, 64).of(taken).connections_max, 1);
        }
    }

    #[test]
    fn what_is_set_counts_and_too_much_is_said() {
        let size = share(Some(20), 1, 2).of(97);
        assert_eq!((size.connections_max, size.is_too_much), (20, false));
        assert_eq!(size.why, "as set (database.pool_max)");
        let size = share(Some(40), 1, 2).of(97);
        assert_eq!((size.connections_max, size.is_too_much), (40, true));
        assert!(size.why.starts_with("as set (database.pool_max), which is too much: Postgres"));
        assert_eq!(share(None, 1, 2).unasked("because").to_string(), "16: because");
        assert_eq!(share(Some(3), 1, 2).unasked("because").connections_max, 3);
    }
}
