//! One try of a transaction: from BEGIN until it is committed, rolled back, or left behind.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenfold_context::{Deadline, Moment};

use super::begin::Plan;
use super::spent::Spent;
use super::state::{Denied, PartId, State};
use crate::connection::{Connection, Left};
use crate::database::Db;
use crate::error::{Cause, Class, Error, PostgresError, Result};
use crate::pool::{Exclusive, Work};
use crate::types::CustomTypes;

#[derive(Debug)]
pub(super) struct Open {
    db: Db,
    connection: Arc<Connection>,
    /// The connection's place in the pool. It goes back when the transaction ends, not when the
    /// last handle does: the work may have kept one.
    exclusive: Mutex<Option<Exclusive>>,
    plan: Plan,
    begun: Moment,
    /// When its budget or the deadline is used up, whatever comes first.
    ends: Deadline,
    /// Where the time went before.
    spent: Spent,
    state: Mutex<State>,
    /// Held while dropped parts are undone, so that no statement overtakes that.
    undoing: tokio::sync::Mutex<()>,
}

/// Gives the connection back when the try is over, however it ended: with a statement of a kept
/// handle still running, the pool cancels that one first.
pub(super) struct Ends<'a>(pub(super) &'a Open);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.state().close();
        let exclusive = self.0.exclusive.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(exclusive);
    }
}

/// Counts a statement of the work for as long as it is under way.
struct UnderWay<'a>(&'a Open);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state().end(Moment::now());
    }
}

impl Open {
    /// Waits for a connection and sends BEGIN.
    pub(super) async fn begin(db: &Db, plan: &Plan, mut spent: Spent) -> Result<Arc<Open>> {
        let asked = Moment::now();
        let exclusive = db.take_exclusive(Work::Transaction(plan.name)).await?;
        let begun = Moment::now();
        spent.waiting += begun.since(asked);
        spent.tries += 1;
        let budget_left = plan.budget.saturating_sub(spent.open());
        let open = Open {
            db: db.clone(),
            connection: Arc::clone(exclusive.connection()),
            exclusive: Mutex::new(Some(exclusive)),
            plan: plan.clone(),
            begun,
            ends: Deadline::at(begun + budget_left).earlier(db.context().deadline()),
            spent,
            state: Mutex::default(),
            undoing: tokio::sync::Mutex::default(),
        };
        open.connection.set_in_transaction(true);
        let begin = open.note(PartId::WHOLE, open.connection.batch(&plan.sql));
        let began = tokio::time::timeout_at(open.ends.instant(), begin).await;
        let began = began.unwrap_or_else(|_elapsed| Err(open.out_of_time()));
        began.inspect_err(|error| db.failed(error))?;
        Ok(Arc::new(open))
    }

    /// Runs a statement of a part unless it is another one's turn; notes how long it took and
    /// whether it failed.
    pub(super) async fn note<T>(
        &self,
        part: PartId,
        statement: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let started = self.state().start(part, Moment::now());
        started.map_err(|denied| self.denied(denied))?;
        let _under_way = UnderWay(self);
        if self.state().dropped().is_some() {
            self.undo_dropped().await?;
        }
        let answer = statement.await.map_err(|error| self.lost_with(error));
        self.state().heard(&answer);
        answer
    }

    /// What an error means before COMMIT: of what was done until the connection broke, nothing
    /// has happened.
    fn lost_with(&self, error: Error) -> Error {
        match error {
            Error::Stopped { .. } | Error::CommitUnknown { .. } => error,
            error if error.class() == Class::Unknown => {
                Error::TransactionLost { transaction: self.plan.name, cause: Cause::new(error) }
            }
            error => error,
        }
    }

    pub(super) async fn commit(&self) -> Result<()> {
        if let Err(error) = self.end().await {
            self.roll_back().await;
            return Err(error);
        }
        let connection = &self.connection;
        // Not until the end of the budget: what has been sent cannot be rolled back for certain,
        // and its answer is worth waiting for.
        let deadline = self.db.context().deadline();
        let _under_way = self.under_way();
        match tokio::time::timeout_at(deadline.instant(), connection.batch("COMMIT")).await {
            Ok(Ok(())) => {
                connection.set_in_transaction(false);
                Ok(())
            }
            Ok(Err(Error::ConnectionLost { cause })) => {
                Err(self.unknown(format!("the connection to Postgres broke: {cause}")))
            }
            Ok(Err(error @ Error::Stopped { .. })) => {
                Err(self.unknown(format!("the connection was closed: {error}")))
            }
            // Postgres was told to end at this very moment, maybe just after it had committed.
            Ok(Err(error)) if matches!(error.class(), Class::Unknown | Class::Unreachable) => {
                Err(self.unknown(format!("the connection was ended: {error}")))
            }
            // A constraint that is checked at the end, or a conflict: Postgres has rolled back.
            Ok(Err(error)) => {
                connection.set_in_transaction(false);
                Err(error)
            }
            Err(_elapsed) => {
                let after = Moment::now().since(self.begun).as_millis();
                Err(self.unknown(format!(
                    "Postgres had not answered it when the deadline passed, {after} ms after BEGIN"
                )))
            }
        }
    }

    /// Rolls back. If that fails the pool does it again, or closes the connection.
    pub(super) async fn roll_back(&self) {
        self.state().close();
        if self.connection.left() == Left::Running {
            // The pool stops what runs first.
            return;
        }
        let _under_way = self.under_way();
        let rolled_back =
            tokio::time::timeout_at(self.ends.instant(), self.connection.batch("ROLLBACK"));
        if let Ok(Ok(())) = rolled_back.await {
            self.connection.set_in_transaction(false);
        }
    }

    /// Undoes the nested parts whose work was dropped, and stops the statement that it left
    /// running, if it left one.
    pub(super) async fn undo_dropped(&self) -> Result<()> {
        let _under_way = self.under_way();
        let _turn = self.undoing.lock().await;
        let Some(part) = self.state().dropped() else { return Ok(()) };
        // Not released afterwards, so that this may be done twice: who does it may be dropped
        // meanwhile.
        let sql = format!("ROLLBACK TO SAVEPOINT {}", part.savepoint());
        let undone = match self.connection.left() {
            Left::Running => self.db.pool().stop_then(&self.connection, &sql).await,
            _ => self.connection.batch(&sql).await,
        };
        if let Err(error) = undone.map_err(|error| self.lost_with(error)) {
            self.state().heard::<()>(&Err(error.clone()));
            return Err(error);
        }
        // Postgres answers in order, so whatever was left unread has come to its end.
        self.connection.set_caught_up();
        self.state().undo_part(part);
        Ok(())
    }

    /// Why the time was up: its own budget, or the deadline of the request that it is part of.
    pub(super) fn out_of_time(&self) -> Error {
        let Plan { name, budget, .. } = self.plan;
        let spent = Box::new(self.spent());
        if spent.open() < budget {
            return Error::TransactionLate { transaction: name, spent };
        }
        Error::OverBudget { transaction: name, budget, spent }
    }

    /// Where the time went, up to now.
    pub(super) fn spent(&self) -> Spent {
        let now = Moment::now();
        let busy = self.state().busy(now);
        Spent {
            in_statements: self.spent.in_statements + busy,
            idle: self.spent.idle + now.since(self.begun).saturating_sub(busy),
            ..self.spent
        }
    }

    /// Counts what we send ourselves.
    fn under_way(&self) -> UnderWay<'_> {
        self.state().enter(Moment::now());
        UnderWay(self)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first error of a statement that counts still.
    pub(super) fn failed(&self) -> Option<Error> {
        self.state().failed().cloned()
    }

    /// What was lost against another transaction.
    pub(super) fn lost(&self) -> Option<PostgresError> {
        self.state().lost()
    }

    pub(super) fn name(&self) -> &'static str {
        self.plan.name
    }

    pub(super) fn ends(&self) -> Deadline {
        self.ends
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    pub(super) fn types(&self) -> &Arc<CustomTypes> {
        self.db.types()
    }

    pub(super) fn denied(&self, denied: Denied) -> Error {
        let transaction = self.plan.name;
        match denied {
            Denied::Over => Error::TransactionOver { transaction },
            Denied::OtherPart => Error::TransactionParts { transaction },
        }
    }

    /// Whether the work may be kept: an error if a statement of it failed, or still runs. A
    /// statement that it began and dropped may have failed without anybody having read of it.
    pub(super) fn sound(&self) -> Result<()> {
        let state = self.state();
        if state.is_busy() || self.connection.left() == Left::Running {
            return Err(self.denied(Denied::Over));
        }
        state.failed().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Lets no statement of the work in any more; an error if it cannot be committed.
    async fn end(&self) -> Result<()> {
        {
            let mut state = self.state();
            state.close();
            if state.is_nested() {
                return Err(self.denied(Denied::Over));
            }
        }
        if self.state().dropped().is_some() {
            let undone = tokio::time::timeout_at(self.ends.instant(), self.undo_dropped());
            undone.await.unwrap_or_else(|_elapsed| Err(self.out_of_time()))?;
        }
        self.sound()
    }

    fn unknown(&self, why: String) -> Error {
        Error::CommitUnknown { transaction: self.plan.name, cause: Cause::new(why) }
    }
}
