//! What can be set about the way to Postgres, with the reason for each default.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tenfold_config::{ByteSize, Secret, at_most, between};

use crate::address::{Address, TargetSessionAttrs, UnusableAddress};
use crate::tls::SslMode;
use crate::transaction::NamedBudget;

/// The longest time that any of these may be: who needs a longer one does not want a limit.
const LONGEST: Duration = Duration::from_secs(60 * 60);

tenfold_config::words! {
    /// What stands between the service and Postgres.
    pub enum Pooler {
        /// Nothing: a connection is one to Postgres itself, or as good as one.
        None = "none",
        /// A pooler that lends a session for one transaction at a time.
        Transaction = "transaction",
        /// The same, and it gives each session the prepared statements of whoever has it.
        TransactionPrepared = "transaction-prepared",
    }
}

tenfold_config::settings! {
    /// The way to Postgres: the shared lane, the pool, and their bounds.
    pub struct DatabaseSettings in "database" {
        /// Where Postgres is: postgres://user:password@host:port/database, or with a Unix
        /// socket postgres:///database?host=/folder&user=name. It may name several servers,
        /// postgres://a,b:5433/database: they are tried in this order (in any order with
        /// load_balance_hosts=random), beginning with the one that answered last. The next is
        /// tried when one fails, or has not answered for 500 ms.
        #[environment("DATABASE_URL")]
        pub url: Option<Secret> = None,
        /// Where replicas of that Postgres are, as a URL of the same form, which may name several:
        /// each of them takes reads that the program allows to be a little old (db.replica), as
        /// long as it is known to be fresh enough. It may name all servers, the primary too: one
        /// that is no standby at the moment takes none. Each shard has its shared lane to each of
        /// them, and each has a pool of its own, as large as that to the primary.
        #[environment("DATABASE_REPLICA_URL")]
        pub replica_url: Option<Secret> = None,
        /// How often it is measured how old the data of each replica may be: one small question
        /// to the primary and to each of them.
        #[check(between(Duration::from_millis(10), LONGEST))]
        pub replica_check_interval: Duration = Duration::from_millis(500),
        /// Which of several servers will do: any, read-write, read-only, primary, standby, or
        /// prefer-standby (a standby, else any). With read-write, connections go to the new
        /// primary as soon as it has been promoted. The URL may say it too; not set means any.
        pub target_session_attrs: Option<TargetSessionAttrs> = None,
        /// How connections are encrypted: disable; prefer (if Postgres offers it: keeps nobody
        /// out); require (always, to whoever answers); verify-ca (to a certificate of an
        /// authority in sslrootcert); verify-full (to one for the host's name: the only safe
        /// choice over a network that others use). Unix sockets never are. The URL may say it
        /// too; not set means prefer. Where Postgres asks for a password as SCRAM, that is
        /// bound to the encrypted connection; channel_binding=require in the URL refuses to give
        /// it in any other way.
        pub sslmode: Option<SslMode> = None,
        /// File with the certificates of the authorities that may vouch for Postgres, in PEM, or
        /// the word system: those that this machine trusts. Not set means system for
        /// verify-full. With sslmode=require it is the same as verify-ca. A file that changes is
        /// read again for the next connection, and so are those of sslcert and sslkey.
        pub sslrootcert: Option<PathBuf> = None,
        /// File with the certificate (and those between it and its authority) that shows
        /// Postgres who we are, in PEM. Needs sslkey.
        pub sslcert: Option<PathBuf> = None,
        /// File with the private key of sslcert, in PEM.
        pub sslkey: Option<PathBuf> = None,
        /// What stands between here and Postgres: none; transaction (a pooler that lends a
        /// session for one transaction at a time, such as PgBouncer with pool_mode=transaction);
        /// transaction-prepared (the same with prepared statements carried over, as PgBouncer
        /// does from 1.21 on with max_prepared_statements above 0). With transaction, statements
        /// are sent without names, which costs Postgres their planning each time. With either,
        /// nothing is set for a session, so shared_statement_timeout and the end of idle
        /// transactions are not Postgres' to keep: set query_timeout and idle_transaction_timeout
        /// in the pooler, or ALTER ROLE name SET statement_timeout. Migrations hold their lock in
        /// an open transaction instead of a session.
        pub pooler: Pooler = Pooler::None,
        /// Time an attempt to connect may take, for each address of each server.
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
        /// Time that a statement may take by itself on the shared lane: one that took longer goes
        /// to the exclusive lane from then on, until it has been quick there, less than half of
        /// this. One that waits for a lock for as long is stopped, and run there instead (not
        /// behind a pooler, which would set this for others).
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub shared_slow_after: Duration = Duration::from_millis(50),
        /// Connections in the pool of the exclusive lane, for all shards together. 0 means as many
        /// as Postgres takes, shared among expected_replicas, and no more than 8 for each core; the
        /// log at start and /config say how many these are and why (16 behind a pooler, which does
        /// not say what it takes).
        #[check(at_most(10_000))]
        pub pool_max: usize = 0,
        /// Processes of this service that share Postgres when as many run as ever will.
        #[check(between(1, 10_000))]
        pub expected_replicas: usize = 1,
        /// Connections of the pool that are kept, used or not.
        #[check(at_most(10_000))]
        pub pool_min: usize = 1,
        /// Time after which a connection is replaced, so that nothing grows old in Postgres, and
        /// servers that come back get their share. Each lives for up to a quarter less, so that
        /// they do not all go at once.
        #[check(between(Duration::from_millis(1), LONGEST * 24))]
        pub pool_lifetime: Duration = Duration::from_secs(30 * 60),
        /// Time after which a connection above pool_min is closed that nobody uses.
        #[check(between(Duration::from_millis(1), LONGEST * 24))]
        pub pool_idle_max: Duration = Duration::from_secs(10 * 60),
        /// Time after which a connection that nobody uses is asked whether it is well, before
        /// somebody needs it.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub pool_health_interval: Duration = Duration::from_secs(30),
        /// Time for which a request may hold a connection. One that holds it longer keeps it, but
        /// is named in the log, and in the errors of others if a quarter of all are held so long.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub pool_hold_max: Duration = Duration::from_secs(10),
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
        /// What the reader of a stream that holds a connection has to take per second, as bytes
        /// of rows; time in which Postgres is waited for does not count. One that is slower for
        /// longer than stream_rate_window loses the connection, and its answer is cut off.
        #[check(between(ByteSize::bytes(1), ByteSize::mib(1024)))]
        pub stream_rate_min: ByteSize = ByteSize::kib(16),
        /// Time for which the reader of such a stream may stop, if it was quick enough before.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub stream_rate_window: Duration = Duration::from_secs(10),
        /// Time a transaction may be open before it is rolled back, all its tries together;
        /// waiting for a connection does not count. Postgres looks for deadlocks only after
        /// deadlock_timeout (1 s unless set): with a shorter budget it is that which ends one.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub transaction_budget: Duration = Duration::from_millis(250),
        /// Other budgets by the transaction's name, such as close_month=5s; they count more than
        /// what the program says.
        pub transaction_budgets: Vec<NamedBudget> = Vec::new(),
        /// The longest that a transaction, a stream or a statement on the exclusive lane may have
        /// its connection, whatever its own limits say: then it is named in the log and stopped.
        /// While one is open, Postgres keeps every version of every row that anybody replaces.
        /// Transactions of others that are older are named in the log.
        #[check(between(Duration::from_millis(1), LONGEST))]
        pub transaction_age_max: Duration = Duration::from_secs(10 * 60),
        /// How often Postgres is asked for open transactions of others, over a connection that is
        /// made for the question.
        #[check(between(Duration::from_millis(10), LONGEST))]
        pub transaction_watch_interval: Duration = Duration::from_secs(15),
        /// How often a transaction is begun again that lost against another one
        /// (serialization failure, deadlock).
        #[check(at_most(100))]
        pub transaction_retries_max: u32 = 3,
        /// Prepared statements kept per connection; the least recently used makes room.
        #[check(between(1, 100_000))]
        pub statements_max: usize = 256,
    }
    check(settings, problems) {
        if settings.url.is_some()
            && let Err(UnusableAddress { setting, message }) = Address::read(settings)
        {
            problems.add(setting, message);
        }
        if let Some(replicas) = settings.of_replicas()
            && let Err(UnusableAddress { setting, message }) = Address::read(&replicas)
        {
            problems.add(if setting == "url" { "replica_url" } else { setting }, message);
        }
        let age_max = settings.transaction_age_max;
        let longer = "must not be longer than `database.transaction_age_max`";
        if settings.transaction_budget > age_max {
            problems.add("transaction_budget", longer);
        }
        for (index, named) in settings.transaction_budgets.iter().enumerate() {
            let name = &named.transaction;
            if !(Duration::from_millis(1)..=LONGEST).contains(&named.budget) {
                problems.add(
                    "transaction_budgets",
                    format!("gives {name:?} a budget that is not from 1 ms to 1 h"),
                );
            }
            if named.budget > age_max {
                problems.add("transaction_budgets", format!("gives {name:?} a budget that {longer}"));
            }
            if settings.transaction_budgets[..index].iter().any(|other| &other.transaction == name)
            {
                problems.add("transaction_budgets", format!("names {name:?} twice"));
            }
        }
        if settings.pool_max > 0 && settings.streams_max >= settings.pool_max {
            problems.add(
                "streams_max",
                "must be less than `database.pool_max`: streams have to leave connections to others",
            );
        }
    }
}

impl DatabaseSettings {
    /// The same for the replicas, if there are any.
    pub(crate) fn of_replicas(&self) -> Option<DatabaseSettings> {
        let url = Some(self.replica_url.clone()?);
        Some(DatabaseSettings { url, target_session_attrs: None, ..self.clone() })
    }

    pub(crate) fn statements_max(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.statements_max).unwrap_or(NonZeroUsize::MIN)
    }
}
