//! What can be set about the way to Postgres, with the reason for each default.

use std::num::NonZeroUsize;
use std::time::Duration;

use tenfold_config::{Secret, at_most, between};
use tokio_postgres::config::{Config, SslMode};

use crate::error::{Error, Result};

/// The longest time that any of these may be: who needs a longer one does not want a limit.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long Postgres' machine may leave what was sent without a word: after that the network
/// between has swallowed the connection, and waiting on does not bring it back.
const SILENCE_MAX: Duration = Duration::from_secs(10);

tenfold_config::settings! {
    /// The way to Postgres: the shared lane, the pool, and their bounds.
    pub struct DatabaseSettings in "database" {
        /// Where Postgres is: postgres://user:password@host:port/database, or with a Unix
        /// socket postgres:///database?host=/folder&user=name.
        #[environment("DATABASE_URL")]
        pub url: Option<Secret> = None,
        /// Time an attempt to connect may take.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub connect_timeout: Duration = Duration::from_secs(5),
        /// Connections of the shared lane on each shard. One is enough until its Postgres
        /// process needs more than a core.
        #[check(between(1, 64))]
        pub shared_connections: usize = 1,
        /// Statements in flight on one connection of the shared lane. More only makes each of
        /// them wait longer.
        #[check(between(1, 10_000))]
        pub shared_in_flight_max: usize = 64,
        /// Statements that may wait for the shared lane of a shard; the next is refused.
        #[check(at_most(1_000_000))]
        pub shared_waiting_max: usize = 1024,
        /// Time a statement may run on the shared lane, where others wait behind it. Longer
        /// ones belong on the exclusive lane.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub shared_statement_timeout: Duration = Duration::from_secs(5),
        /// Connections in the pool of the exclusive lane, for all shards together.
        #[check(between(1, 10_000))]
        pub pool_max: usize = 16,
        /// Requests that may wait for a connection of the pool; the next is refused.
        #[check(at_most(1_000_000))]
        pub pool_waiting_max: usize = 1024,
        /// Connections of the pool that streams may hold at once, so that slow readers leave
        /// enough to everybody else.
        #[check(between(1, 10_000))]
        pub streams_max: usize = 4,
        /// Time a stream may wait for its next row from Postgres, while its reader waits too.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub stream_row_timeout: Duration = Duration::from_secs(30),
        /// Time a transaction may be open before it is rolled back.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub transaction_budget: Duration = Duration::from_millis(250),
        /// How often a transaction is begun again that lost against another one
        /// (serialization failure, deadlock).
        #[check(at_most(100))]
        pub transaction_retries_max: u32 = 3,
        /// Prepared statements kept per connection; the least recently used makes room.
        #[check(between(1, 100_000))]
        pub statements_max: usize = 256,
    }
    check(settings, problems) {
        if let Some(Err(problem)) = settings.url.as_ref().map(read_url) {
            problems.add("url", problem.to_string());
        }
        if settings.streams_max >= settings.pool_max {
            problems.add(
                "streams_max",
                "must be less than `database.pool_max`: streams have to leave connections to others",
            );
        }
    }
}

impl DatabaseSettings {
    pub(crate) fn statements_max(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.statements_max).unwrap_or(NonZeroUsize::MIN)
    }

    /// What tokio-postgres needs to connect.
    pub(crate) fn postgres_config(&self, application_name: &str) -> Result<Config> {
        let url = self.url.as_ref().ok_or_else(|| {
            Error::mistranslated("database.url is not set, and neither is DATABASE_URL")
        })?;
        let mut config = read_url(url).map_err(Error::mistranslated)?;
        config.connect_timeout(self.connect_timeout);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE_MAX);
        }
        config.keepalives_idle(SILENCE_MAX).keepalives_interval(SILENCE_MAX / 5);
        if config.get_application_name().is_none() {
            config.application_name(application_name);
        }
        Ok(config)
    }
}

/// The same connection with one of Postgres' own time limits set.
pub(crate) fn with_timeout(mut config: Config, name: &str, timeout: Duration) -> Config {
    let options = config.get_options().unwrap_or_default();
    let options = format!("{options} -c {name}={}", timeout.as_millis().max(1));
    config.options(options.trim());
    config
}

fn read_url(url: &Secret) -> std::result::Result<Config, UnusableUrl> {
    let config: Config = url.expose().parse().map_err(UnusableUrl::Unreadable)?;
    match config.get_hosts() {
        [_] if config.get_ssl_mode() == SslMode::Require => Err(UnusableUrl::Encrypted),
        [_] => Ok(config),
        hosts => Err(UnusableUrl::Hosts(hosts.len())),
    }
}

/// Why a URL cannot be used. It is not shown: it may hold a password.
#[derive(Debug, thiserror::Error)]
enum UnusableUrl {
    #[error("is no Postgres URL ({0}): postgres://user:password@host:port/database is needed")]
    Unreadable(#[source] tokio_postgres::Error),
    #[error("names {0} hosts: exactly one is needed")]
    Hosts(usize),
    #[error("asks for sslmode=require: connections to Postgres are not encrypted yet")]
    Encrypted,
}
