//! What an error means for a statement and its connection: whether it is sent again, and whether the
//! connection is of use any more.

use std::sync::atomic::Ordering;

use super::{Connection, Running};
use crate::error::{Class, Error, PostgresError, Result};
use crate::types::CustomTypes;

/// How often a statement is sent again because the schema has changed. From the second time on it is
/// prepared and run in one, so that nobody changes the schema in between.
const STALE_MAX: u32 = 3;

impl Connection {
    /// Takes note of an error, and forgets what Postgres does not accept any more because the
    /// schema has changed. `Ok` says that the statement is to be prepared and sent again: Postgres
    /// refused it before it began with it. Not in a transaction, which the error has ended.
    #[cold]
    pub(super) fn failed_to_run(
        &self,
        running: Running,
        types: &CustomTypes,
        error: Error,
        again: &mut u32,
    ) -> Result<()> {
        let Some(said) = error.postgres() else {
            running.end();
            return Err(error);
        };
        // Behind a pooler the driver has looked up a type that is newer than the connection,
        // with a statement that another session has: the next connection knows the type.
        if !self.names_statements && ["26000", "42P05"].contains(&said.code()) {
            self.broken.store(true, Ordering::Relaxed);
        }
        if said.is_lock_timeout() {
            running.end_with(&error);
            return Err(error);
        }
        let type_is_gone = said.is_type_gone();
        if type_is_gone {
            types.forget();
        }
        let is_stale = said.is_stale_statement();
        let in_transaction = self.in_transaction.load(Ordering::Relaxed);
        if is_stale && in_transaction {
            // Begun again, the transaction must not stumble over its next statement.
            self.statements.clear();
        } else if (is_stale || type_is_gone)
            && let Some(sent) = running.sent()
        {
            self.statements.forget(&sent.key, sent.number);
        }
        running.end();
        let may = (is_stale || type_is_gone) && self.names_statements && !in_transaction;
        if !may || *again == STALE_MAX {
            return Err(error);
        }
        *again += 1;
        tracing::debug!(error = &error as &dyn std::error::Error, "statement is prepared again");
        Ok(())
    }

    /// Whether its server refuses a write, and takes none any more though one is wanted that does:
    /// somebody else is the primary, and nothing has closed the connections to the former one.
    /// This one is of no use then, and the next is made to whoever takes writes.
    pub(crate) fn lost_its_server(&self, said: &PostgresError) -> bool {
        let is_lost = self.wants_writes && said.refuses_writes() && !self.is_session_changed();
        if is_lost {
            self.broken.store(true, Ordering::Relaxed);
        }
        is_lost
    }

    /// What an error of the driver means to whoever has this connection.
    pub(crate) fn failed(&self, error: tokio_postgres::Error) -> Error {
        if let Some(why) = self.stopped.get() {
            return why.clone();
        }
        let error = Error::of_statement(error);
        if let Some(said) = error.postgres()
            && !self.in_transaction.load(Ordering::Relaxed)
            && self.lost_its_server(said)
        {
            return Error::unreachable(error);
        }
        if matches!(error.class(), Class::Unreachable | Class::Unknown) {
            self.broken.store(true, Ordering::Relaxed);
        }
        error
    }
}
