//! Every way in which asking Postgres can fail, with what a caller needs to act on it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tenfold_overload::Refusal;
use tokio_postgres::error::{Severity, SqlState};

use crate::pool::Holder;
use crate::transaction::Spent;

/// Postgres' code for a session in which nothing was asked for too long; the driver has no name
/// for it.
const IDLE_SESSION_TIMEOUT: &str = "57P05";

/// Postgres' codes for values that no column, or not this one, can hold: a text that is too long
/// or has a zero byte in it, a number or a date out of range. Where types fit, as those of diesel
/// do, such a value has come from whoever asked.
const UNACCEPTABLE_VALUES: [&str; 5] = ["22001", "22003", "22008", "22021", "22P05"];

/// What the methods of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a query gave no answer. [`Error::class`] sorts the ways by what a caller can do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// [`Db::first`](crate::Db::first) found no row.
    NotFound,
    /// The gate in front of a lane turned the query away; nothing was sent.
    Refused {
        /// The lane.
        lane: Lane,
        /// Why.
        refusal: Refusal,
    },
    /// The gate in front of the exclusive lane turned the query away, and a good part of its
    /// connections had been held for longer than `database.pool_hold_max`; nothing was sent.
    HeldTooLong {
        /// Who had held one for longest.
        holder: Box<Holder>,
        /// Why.
        refusal: Refusal,
    },
    /// No connection to Postgres could be had; nothing was sent.
    Unreachable {
        /// What the last attempt to connect said.
        cause: Cause,
    },
    /// The connection broke while the statement ran: it may have happened or not.
    ConnectionLost {
        /// What broke it.
        cause: Cause,
    },
    /// COMMIT was sent and its answer did not come: the transaction may have happened or not. It
    /// is never tried again.
    CommitUnknown {
        /// The transaction's name.
        transaction: &'static str,
        /// Why there was no answer.
        cause: Cause,
    },
    /// The connection broke before the COMMIT of the transaction was sent: it has not happened.
    TransactionLost {
        /// The transaction's name.
        transaction: &'static str,
        /// What broke it.
        cause: Cause,
    },
    /// The deadline passed while Postgres worked. On the exclusive lane the statement is cancelled.
    DeadlinePassed {
        /// How long the statement had been running.
        after: Duration,
    },
    /// The transaction used up its time budget and was rolled back.
    OverBudget {
        /// The transaction's name.
        transaction: &'static str,
        /// The budget: of `database.transaction_budgets`, its own, or
        /// `database.transaction_budget`.
        budget: Duration,
        /// Where the time went.
        spent: Box<Spent>,
    },
    /// The deadline passed while the transaction was open, and it was rolled back.
    TransactionLate {
        /// The transaction's name.
        transaction: &'static str,
        /// Where the time went.
        spent: Box<Spent>,
    },
    /// The transaction lost against others (serialization failure, deadlock) each time that it
    /// was tried, and was rolled back.
    Contended {
        /// The transaction's name.
        transaction: &'static str,
        /// Where the time went, and how often it was tried.
        spent: Box<Spent>,
        /// What Postgres said the last time.
        lost: PostgresError,
    },
    /// The work of a transaction returned while a statement of it was still running, or used it
    /// after it had ended. What it did is rolled back.
    TransactionOver {
        /// The transaction's name.
        transaction: &'static str,
    },
    /// A statement of a transaction went to the handle of one part of it while another part had
    /// its turn: a nested part has a handle of its own, and the outer one rests meanwhile.
    TransactionParts {
        /// The transaction's name.
        transaction: &'static str,
    },
    /// Postgres said no.
    Postgres(PostgresError),
    /// The query or its answer could not be translated: a mistake in the program or its schema.
    Mistranslated {
        /// What could not be translated.
        cause: Cause,
    },
    /// A query cannot be read in chunks by key: its order is not that of a key, or its rows show
    /// that it is none.
    UnusableKey {
        /// What is missing.
        cause: Cause,
    },
    /// The reader of a stream took less than `database.stream_rate_min` and was kept no
    /// connection for any more.
    ReaderTooSlow {
        /// How long the stream had been open.
        after: Duration,
    },
    /// It kept a transaction open, and with it all that others have replaced since, for longer
    /// than `database.transaction_age_max`, and its connection was closed.
    Stopped {
        /// How long it had had its connection.
        after: Duration,
        /// The limit.
        limit: Duration,
    },
    /// The settings of the database cannot be used; the cause names them.
    Misconfigured {
        /// What is wrong with them.
        cause: Cause,
    },
    /// The service is stopping and hands out no connections any more.
    Closed,
}

/// What kind of way a query failed: whose fault, and whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// There is no such row.
    NotFound,
    /// Too much is going on here. Trying again later helps.
    Saturated,
    /// Postgres is not there. Trying again later helps.
    Unreachable,
    /// It took too long. Trying again may help, if it may be done twice.
    TooSlow,
    /// A constraint holds against it, or a value in it is none that there can be. Trying again
    /// does not help.
    Constraint,
    /// It lost against another transaction. Trying again at once helps.
    Conflict,
    /// Nobody knows whether it happened. Look before trying again.
    Unknown,
    /// A mistake in the program or its schema.
    Mistake,
}

impl Class {
    /// One word for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Class::NotFound => "not_found",
            Class::Saturated => "saturated",
            Class::Unreachable => "unreachable",
            Class::TooSlow => "too_slow",
            Class::Constraint => "constraint",
            Class::Conflict => "conflict",
            Class::Unknown => "unknown",
            Class::Mistake => "mistake",
        }
    }
}

/// The two ways to Postgres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Many requests pipelined over few connections.
    Shared,
    /// A connection of one's own, from the pool.
    Exclusive,
    /// A connection of one's own for as long as somebody reads rows from it.
    Stream,
}

impl Lane {
    /// One word for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Shared => "shared",
            Lane::Exclusive => "exclusive",
            Lane::Stream => "stream",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An error from below, shareable because several waiters may hear of the same one.
#[derive(Clone)]
pub struct Cause(Arc<dyn StdError + Send + Sync>);

impl Cause {
    pub(crate) fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Cause {
        Cause(Arc::from(error.into()))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    /// The error and what caused it, outermost first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// What Postgres answered, field by field.
#[derive(Clone, Debug)]
pub struct PostgresError(Arc<tokio_postgres::error::DbError>);

impl PostgresError {
    /// The five characters of its SQLSTATE, such as `23505`.
    pub fn code(&self) -> &str {
        self.0.code().code()
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        self.0.message()
    }

    /// The detail, which may quote values of the row.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail()
    }

    /// The violated constraint's name.
    pub fn constraint(&self) -> Option<&str> {
        self.0.constraint()
    }

    /// The table that it is about.
    pub fn table(&self) -> Option<&str> {
        self.0.table()
    }

    /// The column that it is about.
    pub fn column(&self) -> Option<&str> {
        self.0.column()
    }

    /// Whether one statement was to write the same row twice: an upsert of several rows of which
    /// two have the same key.
    pub fn is_repeated(&self) -> bool {
        // The same code is that of a subquery with too many rows; messages may be in any language.
        self.state() == &SqlState::CARDINALITY_VIOLATION
            && match self.0.routine() {
                Some(routine) => ["ExecOnConflictUpdate", "ExecMergeMatched"].contains(&routine),
                None => self.message().contains("affect row a second time"),
            }
    }

    /// Whether a unique or exclusion constraint holds against it: the row is there already.
    pub fn is_duplicate(&self) -> bool {
        [SqlState::UNIQUE_VIOLATION, SqlState::EXCLUSION_VIOLATION].contains(self.0.code())
    }

    /// Whether a prepared statement was refused because the schema has changed under it, or
    /// because the session has lost it. Postgres had not begun with it.
    pub(crate) fn is_stale_statement(&self) -> bool {
        // Inside of a function it is that function's own statement. The message may be in any
        // language, the routine is not.
        if self.0.where_().is_some() {
            return false;
        }
        match self.code() {
            "26000" => true,
            "0A000" => match self.0.routine() {
                Some(routine) => routine == "RevalidateCachedQuery",
                None => self.message().contains("cached plan"),
            },
            _ => false,
        }
    }

    /// Whether Postgres has no type of that number any more: somebody made the type anew.
    pub(crate) fn is_type_gone(&self) -> bool {
        // An internal message is in English everywhere. The other code may come from anywhere
        // within a function, but then it says where.
        self.message().contains("cache lookup failed for type")
            || (self.code() == "42704" && self.0.where_().is_none())
    }

    /// Whether it was stopped because it had waited for a lock for as long as may be, and not
    /// because it did not want to wait.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        self.state() == &SqlState::LOCK_NOT_AVAILABLE
            && self.0.routine() == Some("ProcessInterrupts")
    }

    /// What it lost, if it lost against another transaction, or against a change of the schema:
    /// one word for metrics.
    pub(crate) fn conflict(&self) -> Option<&'static str> {
        let state = self.state();
        if self.is_stale_statement() {
            return Some("stale_statement");
        }
        if state == &SqlState::T_R_SERIALIZATION_FAILURE {
            Some("serialization")
        } else if state == &SqlState::T_R_DEADLOCK_DETECTED {
            Some("deadlock")
        } else {
            None
        }
    }

    /// Whether its disk is full.
    pub fn is_disk_full(&self) -> bool {
        self.0.code() == &SqlState::DISK_FULL
    }

    /// Whether Postgres ends the connection, or itself, with it: severity FATAL or PANIC.
    pub fn ends_the_connection(&self) -> bool {
        matches!(self.0.parsed_severity(), Some(Severity::Fatal | Severity::Panic))
    }

    pub(crate) fn state(&self) -> &SqlState {
        self.0.code()
    }

    fn class(&self) -> Class {
        let state = self.state();
        let is = |states: &[SqlState]| states.contains(state);
        // No session says so that has begun with a statement: it is refused, or has been idle.
        if is(&[SqlState::CANNOT_CONNECT_NOW, SqlState::TOO_MANY_CONNECTIONS])
            || state.code() == IDLE_SESSION_TIMEOUT
        {
            return Class::Unreachable;
        }
        // Postgres may have committed what it was told to before it was told to end.
        if self.ends_the_connection() || state.code().starts_with("57P") {
            return Class::Unknown;
        }
        let is_constraint = state.code().starts_with("23")
            || UNACCEPTABLE_VALUES.contains(&state.code())
            || self.is_repeated();
        if is_constraint {
            Class::Constraint
        } else if self.conflict().is_some() {
            Class::Conflict
        } else if is(&[SqlState::QUERY_CANCELED]) || self.is_lock_timeout() {
            Class::TooSlow
        } else if is(&[SqlState::LOCK_NOT_AVAILABLE]) {
            // NOWAIT: somebody else has the row at this moment.
            Class::Conflict
        } else if state.code().starts_with("53") {
            Class::Saturated
        } else {
            Class::Mistake
        }
    }
}

impl Error {
    /// What kind of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Error::NotFound => Class::NotFound,
            // Late or not: nothing was sent, so trying again is safe.
            Error::Refused { .. } | Error::HeldTooLong { .. } => Class::Saturated,
            Error::DeadlinePassed { .. }
            | Error::OverBudget { .. }
            | Error::TransactionLate { .. }
            | Error::Stopped { .. }
            | Error::ReaderTooSlow { .. } => Class::TooSlow,
            Error::Contended { .. } => Class::Conflict,
            Error::Unreachable { .. } | Error::TransactionLost { .. } | Error::Closed => {
                Class::Unreachable
            }
            Error::ConnectionLost { .. } | Error::CommitUnknown { .. } => Class::Unknown,
            Error::Postgres(error) => error.class(),
            Error::Mistranslated { .. }
            | Error::UnusableKey { .. }
            | Error::Misconfigured { .. }
            | Error::TransactionOver { .. }
            | Error::TransactionParts { .. } => Class::Mistake,
        }
    }

    /// What Postgres answered, if it is Postgres that said no.
    pub fn postgres(&self) -> Option<&PostgresError> {
        match self {
            Error::Postgres(error) | Error::Contended { lost: error, .. } => Some(error),
            _ => None,
        }
    }

    /// Why a gate let nobody in.
    pub(crate) fn refused(lane: Lane, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Closed => Error::Closed,
            refusal => Error::Refused { lane, refusal },
        }
    }

    /// Whether it is about the server that was asked, or the way to it, so that another one might
    /// answer. Also where a standby has to give up a read for what it has to replay.
    pub(crate) fn is_of_its_server(&self) -> bool {
        matches!(self.class(), Class::Unknown | Class::Unreachable | Class::Conflict)
            && !matches!(self, Error::Closed)
    }

    /// An error of a statement that had been sent.
    pub(crate) fn of_statement(error: tokio_postgres::Error) -> Error {
        match error.as_db_error() {
            Some(said) => Error::Postgres(PostgresError(Arc::new(said.clone()))),
            None if error.is_closed() => Error::ConnectionLost { cause: Cause::new(error) },
            // tokio-postgres keeps its kinds to itself; those that do not come from the
            // socket are all about translating values or messages.
            None if has_io_source(&error) => Error::ConnectionLost { cause: Cause::new(error) },
            // Nobody knows which answer the next one would be.
            None if error.to_string() == OUT_OF_STEP => {
                Error::ConnectionLost { cause: Cause::new(error) }
            }
            None => Error::Mistranslated { cause: Cause::new(error) },
        }
    }

    /// An error of an attempt to connect.
    pub(crate) fn unreachable(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::Unreachable { cause: Cause::new(error) }
    }

    /// Settings that contradict each other, or name what is not there.
    pub(crate) fn misconfigured(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::Misconfigured { cause: Cause::new(error) }
    }

    /// An order that cannot carry a stream from chunk to chunk.
    pub(crate) fn unusable_key(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::UnusableKey { cause: Cause::new(error) }
    }

    /// A query that diesel could not build, or a value that it could not read.
    pub(crate) fn mistranslated(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::Mistranslated { cause: Cause::new(error) }
    }
}

/// What the driver says when a message comes that it did not expect; there is no other sign of it.
const OUT_OF_STEP: &str = "unexpected message from server";

fn has_io_source(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(<dyn StdError>::is::<std::io::Error>)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound => f.write_str("no such row"),
            Error::Refused { lane, refusal } => {
                write!(f, "the {lane} lane to the database is taken: {refusal}")
            }
            Error::HeldTooLong { holder, refusal } => write!(
                f,
                "connections of the exclusive lane are held past database.pool_hold_max, one of \
                 them by {holder}: {refusal}"
            ),
            Error::Unreachable { cause } => write!(f, "cannot reach Postgres: {cause}"),
            Error::ConnectionLost { cause } => {
                write!(f, "the connection to Postgres broke while a statement ran: {cause}")
            }
            Error::CommitUnknown { transaction, cause } => write!(
                f,
                "nobody knows whether transaction {transaction:?} has happened: its COMMIT was \
                 sent, and {cause}"
            ),
            Error::TransactionLost { transaction, cause } => write!(
                f,
                "transaction {transaction:?} has not happened: its connection to Postgres was lost \
                 before COMMIT: {cause}"
            ),
            Error::DeadlinePassed { after } => {
                write!(f, "the deadline passed {} ms into the statement", after.as_millis())
            }
            Error::OverBudget { transaction, budget, spent } => write!(
                f,
                "transaction {transaction:?} was rolled back after its budget of {} ms: {spent}",
                budget.as_millis()
            ),
            Error::TransactionLate { transaction, spent } => write!(
                f,
                "transaction {transaction:?} was rolled back when the deadline passed: {spent}"
            ),
            Error::Contended { transaction, spent, lost } => write!(
                f,
                "transaction {transaction:?} was given up, having lost against others each time \
                 ({} tries): {} (SQLSTATE {})",
                spent.tries,
                lost.message(),
                lost.code()
            ),
            Error::TransactionOver { transaction } => write!(
                f,
                "a statement of transaction {transaction:?} was still to run when its work had \
                 returned"
            ),
            Error::TransactionParts { transaction } => write!(
                f,
                "a statement of transaction {transaction:?} went to the handle of one part while \
                 another had its turn: inside of a nested part use the handle that it is given, \
                 and await it before the outer one goes on"
            ),
            Error::Postgres(error) => {
                write!(f, "Postgres says: {} (SQLSTATE {})", error.message(), error.code())?;
                if error.class() == Class::Unknown {
                    f.write_str(", and has ended the connection: it may have happened or not")?;
                }
                Ok(())
            }
            Error::Mistranslated { cause } => {
                write!(f, "a query or its answer could not be translated: {cause}")
            }
            Error::UnusableKey { cause } => write!(
                f,
                "a stream by key is not possible: {cause}. Db::stream reads any query, with a \
                 connection held meanwhile"
            ),
            Error::ReaderTooSlow { after } => write!(
                f,
                "the stream was ended after {} ms, since its reader took less than \
                 database.stream_rate_min",
                after.as_millis()
            ),
            Error::Stopped { after, limit } => write!(
                f,
                "stopped after {} ms: no transaction may be open for longer than \
                 database.transaction_age_max, {} ms",
                after.as_millis(),
                limit.as_millis()
            ),
            Error::Misconfigured { cause } => write!(f, "{cause}"),
            Error::Closed => f.write_str("the database is closed: the service is stopping"),
        }
    }
}

impl StdError for Error {}
