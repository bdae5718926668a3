//! How many connections a run may open, and how its threads share them: with too few, requests
//! would wait for each other here, and the generator would measure itself.

use crate::files::ConnectionsPossible;
use crate::scenario::{Behaviour, Protocol};

/// So many may be opened for any load: bursts and hiccups are no reason to wait in line.
pub(crate) const CONNECTIONS_LEAST: usize = 256;

/// No more than this are opened for a rate unless it is told so. Each costs memory on both sides,
/// and a service that lets more than this wait has shown what it does.
const CONNECTIONS_MAX: usize = 4096;

/// So many that each request can wait as long as its client does, and so can its retries.
pub(super) fn of_rate(rate_max: f64, behaviour: &Behaviour) -> usize {
    let attempts = f64::from(behaviour.retries.max) + 1.0;
    let waiting = (rate_max * attempts * behaviour.timeout.as_secs_f64()).ceil() as usize;
    let waiting = match behaviour.protocol {
        Protocol::Http1 => waiting,
        Protocol::Http2 => waiting.div_ceil(behaviour.streams_max.max(1)),
    };
    at_least(waiting.min(CONNECTIONS_MAX))
}

/// So many that each user can ask.
pub(super) fn of_users(users: usize) -> usize {
    at_least(users)
}

fn at_least(connections: usize) -> usize {
    connections.max(CONNECTIONS_LEAST).min(ConnectionsPossible::raised().connections.max(1))
}

/// How many of them one of the threads may open.
pub(super) fn share(connections_max: usize, thread: usize, threads: usize) -> usize {
    connections_max / threads + usize::from(thread < connections_max % threads)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Retries;

    #[test]
    fn connections_suffice_for_all_who_wait_but_not_for_a_million() {
        let possible = ConnectionsPossible::raised().connections;
        let behaviour = Behaviour { timeout: Duration::from_secs(2), ..Behaviour::default() };
        let retries = Retries { max: 1, ..behaviour.retries };
        let stubborn = Behaviour { retries, ..behaviour.clone() };
        let many = Behaviour { protocol: Protocol::Http2, streams_max: 4, ..behaviour.clone() };
        let cases = [
            (10.0, &behaviour, 256),
            (200.0, &behaviour, 400),
            (200.0, &stubborn, 800),
            (800.0, &many, 400),
            (1e9, &behaviour, 4096),
            (f64::INFINITY, &behaviour, 4096),
        ];
        for (rate, behaviour, connections) in cases {
            assert_eq!(
                of_rate(rate, behaviour),
                connections.min(possible),
                "{rate}: {behaviour:?}"
            );
        }
        assert_eq!(of_users(1), 256.min(possible));
        assert_eq!(of_users(5000), 5000.min(possible), "each of them has one");
    }

    #[test]
    fn threads_share_what_there_is_and_no_more() {
        for (connections, threads) in [(1, 1), (8, 3), (256, 7), (9, 8)] {
            let shares: Vec<_> = (0..threads).map(|one| share(connections, one, threads)).collect();
            assert_eq!(shares.iter().sum::<usize>(), connections, "{shares:?}");
            assert!(shares.iter().all(|share| *share >= 1), "{shares:?}");
        }
    }
}
