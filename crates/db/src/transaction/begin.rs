//! How a transaction shall be, and its tries: again after it lost against another one, as long as
//! that makes sense.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tenfold_context::aside;

use super::Transaction;
use super::budget::{budget_of, idle_in_transaction_max};
use super::open::{Ends, Open};
use super::spent::Spent;
use super::state::PartId;
use crate::database::Db;
use crate::error::{Error, PostgresError, Result};
use crate::replica::REPLICA_LOST;

/// The first pause before a transaction is begun again, at most; doubled each time. Long enough
/// for whom it lost against to commit.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(5);

/// The longest pause: the budget has no time for more.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(100);

impl Db {
    /// Runs `work` in a transaction: committed when it returns `Ok`, rolled back when it
    /// returns `Err`, is dropped, or takes longer than its budget
    /// (`database.transaction_budgets`, `database.transaction_budget`).
    ///
    /// A transaction that lost against another one (serialization failure, deadlock) is begun
    /// again, at most `database.transaction_retries_max` times and within budget and deadline;
    /// so `work` may run more than once and should touch nothing but the transaction.
    ///
    /// [`Db::begin`] is the same with a choice of isolation and more.
    ///
    /// # Errors
    /// What `work` returned, or what went wrong around it. [`Error::CommitUnknown`] is never
    /// tried again.
    #[track_caller]
    pub fn transaction<T, E, F, W>(
        &self,
        name: &'static str,
        work: F,
    ) -> impl Future<Output = Result<T, E>>
    where
        F: Fn(Transaction) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        self.begin(name).run(work)
    }

    /// A transaction with a choice of what it promises. Nothing happens before [`Begin::run`].
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tenfold_db::{Db, Error};
    /// # async fn example(db: Db, count: impl tenfold_db::Yields<i64> + Clone) -> Result<i64, Error> {
    /// db.begin("close_month")
    ///     .serializable()
    ///     .budget(Duration::from_secs(2))
    ///     .run(async |tx| tx.first(count.clone()).await)
    ///     .await
    /// # }
    /// ```
    pub fn begin(&self, name: &'static str) -> Begin<'_> {
        let retries_max = self.settings().transaction_retries_max;
        Begin {
            db: self,
            otherwise: None,
            name,
            isolation: None,
            read_only: false,
            deferrable: false,
            budget: None,
            retries_max,
        }
    }
}

/// A transaction that has not begun: how it shall be. Made by [`Db::begin`].
#[derive(Clone, Debug)]
#[must_use = "nothing happens before `run`"]
pub struct Begin<'a> {
    db: &'a Db,
    /// Where it is begun again if that is a replica and is lost.
    otherwise: Option<&'a Db>,
    name: &'static str,
    /// In SQL; none for what Postgres is set to, which is READ COMMITTED unless somebody changed it.
    isolation: Option<&'static str>,
    read_only: bool,
    deferrable: bool,
    budget: Option<Duration>,
    retries_max: u32,
}

impl<'a> Begin<'a> {
    /// It only reads, and is begun again there if its server is lost.
    pub(crate) fn or_of(self, otherwise: Option<&'a Db>) -> Self {
        Begin { otherwise, ..self }
    }

    /// Each statement sees what was committed before it. Postgres does so unless it is set to
    /// something else.
    pub fn read_committed(self) -> Self {
        Begin { isolation: Some("READ COMMITTED"), ..self }
    }

    /// All statements see what was committed before the first of them. One that writes to a row
    /// that somebody else has changed since then loses, and the transaction is begun again.
    pub fn repeatable_read(self) -> Self {
        Begin { isolation: Some("REPEATABLE READ"), ..self }
    }

    /// As if it had been alone: where that cannot be, it loses, and is begun again. This is what
    /// makes a check that is followed by a write safe without locks.
    pub fn serializable(self) -> Self {
        Begin { isolation: Some("SERIALIZABLE"), ..self }
    }

    /// It cannot write.
    pub fn read_only(self) -> Self {
        Begin { read_only: true, ..self }
    }

    /// Serializable and read only, and it never loses: its first statement waits until Postgres
    /// has a snapshot that no other transaction can spoil. That may take as long as those that
    /// write take, and counts as time in statements; made for reports, with a longer budget.
    pub fn deferrable(self) -> Self {
        Begin { deferrable: true, ..self.serializable().read_only() }
    }

    /// How long it may be open, all its tries together, instead of `database.transaction_budget`.
    /// What `database.transaction_budgets` says for its name counts more.
    pub fn budget(self, budget: Duration) -> Self {
        Begin { budget: Some(budget), ..self }
    }

    /// How often it is begun again at most after it lost against another one, instead of
    /// `database.transaction_retries_max`; 0 for work that must not run twice.
    pub fn retries_max(self, retries_max: u32) -> Self {
        Begin { retries_max, ..self }
    }

    /// Runs it, as [`Db::transaction`] does.
    ///
    /// # Errors
    /// What `work` returned, or what went wrong around it: [`Error::OverBudget`],
    /// [`Error::TransactionLate`], [`Error::Contended`], [`Error::CommitUnknown`] and
    /// [`Error::TransactionOver`] come only from here.
    #[track_caller]
    pub fn run<T, E, F, W>(self, work: F) -> impl Future<Output = Result<T, E>>
    where
        F: Fn(Transaction) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        aside::aside("another transaction", self.tries(work))
    }

    async fn tries<T, E, F, W>(mut self, work: F) -> Result<T, E>
    where
        F: Fn(Transaction) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let plan = self.plan();
        let mut spent = Spent::default();
        loop {
            let open = match Open::begin(self.db, &plan, spent).await {
                Ok(open) => open,
                Err(error) if self.goes_on(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let ends = Ends(&open);
            let worked = work(Transaction { open: Arc::clone(&open), part: PartId::WHOLE });
            let worked = aside::in_transaction(self.name, worked);
            let lost = match tokio::time::timeout_at(open.ends().instant(), worked).await {
                Ok(Ok(value)) => match open.commit().await {
                    Ok(()) => return Ok(value),
                    Err(Error::Postgres(said)) if said.conflict().is_some() => said,
                    Err(error) if self.goes_on(&error) => {
                        spent = open.spent();
                        continue;
                    }
                    Err(error) => return Err(self.failed(error).into()),
                },
                Ok(Err(_)) if open.failed().is_some_and(|error| self.goes_on(&error)) => {
                    spent = open.spent();
                    continue;
                }
                Ok(Err(error)) => {
                    let lost = open.lost();
                    open.roll_back().await;
                    match lost {
                        Some(lost) => lost,
                        None => return Err(error),
                    }
                }
                // Dropped with its statement running: the pool cancels and rolls back.
                Err(_elapsed) => return Err(self.failed(open.out_of_time()).into()),
            };
            spent = open.spent();
            drop(ends);
            if let Err(error) = self.pause(&plan, spent, lost).await {
                return Err(self.failed(error).into());
            }
        }
    }

    /// Whether it is begun again on the primary: only on a replica, once, and if that has been
    /// lost, or gives it up for what it has to replay.
    fn goes_on(&mut self, error: &Error) -> bool {
        if !error.is_of_its_server() {
            return false;
        }
        let Some(primary) = self.otherwise.take() else { return false };
        self.db = primary;
        primary.metrics().run_again(REPLICA_LOST);
        true
    }

    /// The pause before it is begun again; an error if that makes no sense.
    async fn pause(&self, plan: &Plan, spent: Spent, lost: PostgresError) -> Result<()> {
        // Anywhere up to the whole of it: those who lost against each other must not meet again.
        let doubled = RETRY_PAUSE_MIN.saturating_mul(1 << (spent.tries - 1).min(16));
        let pause = doubled.min(RETRY_PAUSE_MAX).mul_f64(fastrand::f64());
        let may = spent.tries <= self.retries_max
            && spent.open() < plan.budget
            && self.db.context().deadline().remaining() > pause;
        if !may {
            let spent = Box::new(spent);
            return Err(Error::Contended { transaction: self.name, spent, lost });
        }
        let reason = lost.conflict().unwrap_or("other");
        self.db.metrics().transaction_retried(self.name, reason);
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn plan(&self) -> Plan {
        let settings = self.db.settings();
        let budget = budget_of(settings, self.name, self.budget);
        Plan { name: self.name, budget, sql: self.sql(budget) }
    }

    fn sql(&self, budget: Duration) -> Cow<'static, str> {
        let mut sql = Cow::Borrowed("BEGIN");
        if let Some(isolation) = self.isolation {
            sql += " ISOLATION LEVEL ";
            sql += isolation;
        }
        if self.read_only {
            sql += " READ ONLY";
        }
        if self.deferrable {
            sql += " DEFERRABLE";
        }
        // The connection has this for the usual budget.
        let idle_max = idle_in_transaction_max(budget);
        if idle_max > idle_in_transaction_max(self.db.settings().transaction_budget) {
            // Postgres takes no more milliseconds than that.
            let idle_max_ms = i32::try_from(idle_max.as_millis()).unwrap_or(i32::MAX);
            sql += Cow::Owned(format!(
                "; SET LOCAL idle_in_transaction_session_timeout = {idle_max_ms}"
            ));
        }
        sql
    }

    fn failed(&self, error: Error) -> Error {
        self.db.metrics().failed(&error);
        error
    }
}

/// What all tries of a transaction have in common.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) budget: Duration,
    /// What begins it.
    pub(super) sql: Cow<'static, str>,
}
