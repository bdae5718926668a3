//! How clients behave: how many, how patient, how stubborn, how slow.

use std::path::PathBuf;
use std::time::Duration;

/// No `retry-after` is waited for longer than this; no client would.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Everything about the clients that does not stand in their requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Behaviour {
    /// The protocol that they speak.
    pub protocol: Protocol,
    /// Whether any certificate is taken for good. Only for tests of one's own service.
    pub insecure: bool,
    /// Certificates in PEM that are trusted, instead of those of the system.
    pub ca_file: Option<PathBuf>,
    /// The most connections that are open at one time. They are opened when they are needed, and
    /// a request that finds none free waits for one.
    ///
    /// No more than this process may have files open, of which it allows itself all that it can
    /// without being root; and no more than this machine has ports to connect from to one address,
    /// which is 28,000 where `net.ipv4.ip_local_port_range` is as Linux has it. A port may rest
    /// for a minute once its connection is closed, so that a service that keeps none open uses
    /// them up sooner. What cannot be opened is [`crate::NotOffered`].
    ///
    /// None is as many as can wait at a time: people do not share a pool of connections. See
    /// [`crate::Run::connections_max`].
    pub connections_max: Option<usize>,
    /// The most requests that wait for a connection. What comes on top is not offered, which
    /// makes the run invalid: see [`crate::Validity`].
    pub backlog_max: usize,
    /// The most requests at one time on one connection of HTTP/2.
    pub streams_max: usize,
    /// How long a client waits for an answer, counted from the moment at which it wanted to ask.
    pub timeout: Duration,
    /// What a client does that was refused, got no answer in time, or a failure.
    pub retries: Retries,
    /// Clients that go away before the answer can be there.
    pub leave_early: Share<Duration>,
    /// Clients that read slowly.
    pub slow_readers: SlowReaders,
    /// How many clients there are, told apart by a header.
    pub clients: u32,
    /// The header that says which client asks; none if there is only one.
    pub client_header: String,
    /// The share of all requests that come from the first client alone: a flood when it is large.
    pub flood_share: f64,
}

/// The protocol on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, one request at a time on a connection that is kept open.
    Http1,
    /// HTTP/2: by ALPN with TLS, with prior knowledge without.
    Http2,
}

/// How stubborn clients are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often a request is sent again, at most.
    pub max: u32,
    /// The wait before the first retry, at most; it doubles with each. Clients wait for half of
    /// that to all of it, each as the seed of the run decides, so that those who failed together
    /// do not come back together ("equal jitter": Brooker, *Exponential Backoff and Jitter*, AWS
    /// Architecture Blog, 2015).
    pub backoff: Duration,
    /// Whether nobody asks again before an answer's `retry-after`, whole seconds or a date (RFC
    /// 9110, 10.2.3), an hour at most. They then come together, as the service has asked them to.
    /// Anything else there, such as `1.5`, asks for nothing.
    pub honour_retry_after: bool,
}

/// A share of clients that do something, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share<T> {
    /// Between 0 and 1.
    pub share: f64,
    /// After how long, or how fast.
    pub what: T,
}

/// The share of clients that read slowly, and how many bytes per second they read.
pub type SlowReaders = Share<u32>;

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            protocol: Protocol::Http1,
            insecure: false,
            ca_file: None,
            connections_max: None,
            backlog_max: 10_000,
            streams_max: 100,
            timeout: Duration::from_secs(2),
            retries: Retries {
                max: 0,
                backoff: Duration::from_millis(100),
                honour_retry_after: true,
            },
            leave_early: Share { share: 0.0, what: Duration::from_millis(50) },
            slow_readers: Share { share: 0.0, what: 10_000 },
            clients: 1,
            client_header: "x-client".to_owned(),
            flood_share: 0.0,
        }
    }
}

impl Retries {
    /// How long a client waits before that retry, the first being 1.
    pub(crate) fn wait(
        &self,
        retry: u32,
        retry_after: Option<Duration>,
        random: &mut fastrand::Rng,
    ) -> Duration {
        let longest = self.backoff.saturating_mul(1 << (retry - 1).min(16));
        let backoff = longest / 2 + (longest / 2).mul_f64(random.f64());
        match retry_after {
            Some(asked) if self.honour_retry_after => backoff.max(asked.min(RETRY_AFTER_MAX)),
            _ => backoff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries =
        Retries { max: 9, backoff: Duration::from_millis(100), honour_retry_after: true };

    fn wait(retries: Retries, retry: u32, asked_s: Option<u64>, seed: u64) -> Duration {
        let mut random = fastrand::Rng::with_seed(seed);
        retries.wait(retry, asked_s.map(Duration::from_secs), &mut random)
    }

    #[test]
    fn the_backoff_doubles_and_each_waits_for_half_of_it_to_all_of_it() {
        for (retry, longest_ms) in [(1, 100), (2, 200), (3, 400), (17, 6_553_600), (900, 6_553_600)]
        {
            let longest = Duration::from_millis(longest_ms);
            let waits: Vec<_> = (0..200).map(|seed| wait(RETRIES, retry, None, seed)).collect();
            assert!(waits.iter().all(|wait| (longest / 2..=longest).contains(wait)), "{retry}");
            let spread = *waits.iter().max().unwrap() - *waits.iter().min().unwrap();
            assert!(spread > longest * 4 / 10, "{retry}: {spread:?}");
            assert_eq!(wait(RETRIES, retry, None, 7), wait(RETRIES, retry, None, 7));
        }
    }

    #[test]
    fn nobody_who_honours_it_comes_before_they_are_asked_to_nor_waits_for_days() {
        assert_eq!(wait(RETRIES, 1, Some(5), 1), Duration::from_secs(5));
        assert!(wait(RETRIES, 1, Some(0), 1) >= Duration::from_millis(50));
        assert_eq!(wait(RETRIES, 1, Some(u64::MAX), 1), RETRY_AFTER_MAX);
        let rude = Retries { honour_retry_after: false, ..RETRIES };
        assert!(wait(rude, 1, Some(5), 1) <= Duration::from_millis(100));
    }

    #[test]
    fn no_backoff_is_none_and_a_very_long_one_does_not_overflow() {
        let none = Retries { backoff: Duration::ZERO, ..RETRIES };
        assert_eq!(wait(none, 3, None, 1), Duration::ZERO);
        let long = Retries { backoff: Duration::MAX, ..RETRIES };
        assert!(wait(long, 3, None, 1) >= Duration::MAX / 2);
    }
}
