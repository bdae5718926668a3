//! Named, short transactions: begun on a connection of their own, bounded by a budget, tried
//! again when they lost against another one, and never committed by half.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenfold_context::{Deadline, Moment};

use crate::connection::{Connection, Left};
use crate::database::Db;
use crate::error::{Cause, Class, Error, Result};
use crate::pool::Exclusive;
use crate::query::{Statement, Yields};
use crate::run;
use crate::types::CustomTypes;

/// The first pause before a transaction is begun again; doubled each time.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// An open transaction. Its statements see what those before them did, and all of them happen
/// or none. It ends when the work that it was given to returns; kept beyond that it refuses.
#[derive(Debug)]
pub struct Transaction(Arc<Open>);

/// Gives the connection back when the transaction is over, however it ended: with a statement
/// of a kept handle still running, the pool cancels that one first.
struct Ends<'a>(&'a Open);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
        let exclusive = self.0.exclusive.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(exclusive);
    }
}

/// The transaction itself, shared by the work's handle and by who commits it. By value, since a
/// future that holds a reference to a generic closure's argument cannot be shown to be `Send`.
#[derive(Debug)]
struct Open {
    connection: Arc<Connection>,
    /// The connection's place in the pool. It goes back when the transaction ends, not when the
    /// last handle does: the work may have kept one.
    exclusive: Mutex<Option<Exclusive>>,
    types: Arc<CustomTypes>,
    name: &'static str,
    budget: Duration,
    begun: Moment,
    ends: Deadline,
    in_statements_nanos: AtomicU64,
    /// Statements of the work that are under way.
    running: AtomicUsize,
    /// Whether the work has returned.
    over: AtomicBool,
    /// The first error of a statement. After one Postgres refuses everything until the
    /// rollback, and takes a COMMIT for one without saying so.
    failed: Mutex<Option<Error>>,
}

impl Transaction {
    /// The first row of the answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none; see [`Error`] for the others.
    pub async fn first<U>(&self, query: impl Yields<U>) -> Result<U> {
        self.optional(query).await?.ok_or(Error::NotFound)
    }

    /// The first row of the answer, if there is one.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn optional<U>(&self, query: impl Yields<U>) -> Result<Option<U>> {
        let Transaction(open) = self;
        open.note(run::optional(&open.connection, &open.types, query)).await
    }

    /// All rows of the answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn load<U>(&self, query: impl Yields<U>) -> Result<Vec<U>> {
        let Transaction(open) = self;
        open.note(run::load(&open.connection, &open.types, query)).await
    }

    /// Runs a statement for its effect; the number of rows that it touched.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn execute(&self, query: impl Statement) -> Result<u64> {
        let Transaction(open) = self;
        open.note(run::execute(&open.connection, &open.types, query)).await
    }

    /// The name that was given to it.
    pub fn name(&self) -> &'static str {
        self.0.name
    }
}

/// Counts a statement of the work for as long as it is under way.
struct UnderWay<'a>(&'a Open);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Open {
    /// Runs a statement unless the transaction is over; notes how long it took and whether it
    /// failed.
    async fn note<T>(&self, statement: impl Future<Output = Result<T>>) -> Result<T> {
        // In this order here and the other one in `end`: one of the two sees the other.
        self.running.fetch_add(1, Ordering::SeqCst);
        let _under_way = UnderWay(self);
        if self.over.load(Ordering::SeqCst) {
            return Err(Error::TransactionOver { transaction: self.name });
        }
        let sent = Moment::now();
        let answer = statement.await;
        let nanos = Moment::now().since(sent).as_nanos();
        self.in_statements_nanos
            .fetch_add(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
        if let Err(error) = &answer {
            self.failed().get_or_insert_with(|| error.clone());
        }
        answer
    }

    /// Lets no statement of the work in any more; an error if one failed, or still runs.
    fn end(&self) -> Result<()> {
        self.over.store(true, Ordering::SeqCst);
        if self.running.load(Ordering::SeqCst) > 0 {
            return Err(Error::TransactionOver { transaction: self.name });
        }
        // A statement that the work began and dropped may have failed without anybody having
        // read of it, and then Postgres would take the COMMIT for a ROLLBACK.
        if self.connection.left() == Left::Running {
            return Err(Error::TransactionOver { transaction: self.name });
        }
        self.failed().take().map_or(Ok(()), Err)
    }

    async fn begin(db: &Db, name: &'static str) -> Result<Arc<Open>> {
        let exclusive = db.take_exclusive().await?;
        let budget = db.settings().transaction_budget;
        let begun = Moment::now();
        let open = Open {
            connection: Arc::clone(exclusive.connection()),
            exclusive: Mutex::new(Some(exclusive)),
            types: Arc::clone(db.types()),
            name,
            budget,
            begun,
            ends: Deadline::at(begun + budget).earlier(db.context().deadline()),
            in_statements_nanos: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            failed: Mutex::new(None),
        };
        open.connection.set_in_transaction(true);
        let began = tokio::time::timeout_at(open.ends.instant(), open.connection.batch("BEGIN"));
        began.await.unwrap_or_else(|_elapsed| Err(open.out_of_time()))?;
        Ok(Arc::new(open))
    }

    async fn commit(&self) -> Result<()> {
        if let Err(error) = self.end() {
            self.roll_back().await;
            return Err(error);
        }
        let connection = &self.connection;
        let commit = tokio::time::timeout_at(self.ends.instant(), connection.batch("COMMIT"));
        match commit.await {
            Ok(Ok(())) => {
                connection.set_in_transaction(false);
                Ok(())
            }
            Ok(Err(Error::ConnectionLost { cause })) => {
                Err(Error::CommitUnknown { transaction: self.name, cause })
            }
            // Postgres was told to end at this very moment, maybe just after it had committed.
            Ok(Err(error)) if error.class() == Class::Unreachable => {
                Err(Error::CommitUnknown { transaction: self.name, cause: Cause::new(error) })
            }
            // A constraint that is checked at the end, or a conflict: Postgres has rolled back.
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => {
                let cause = Cause::new(self.out_of_time());
                Err(Error::CommitUnknown { transaction: self.name, cause })
            }
        }
    }

    /// Rolls back. If that fails the pool does it again, or closes the connection.
    async fn roll_back(&self) {
        self.over.store(true, Ordering::SeqCst);
        let connection = &self.connection;
        let rolled_back =
            tokio::time::timeout_at(self.ends.instant(), connection.batch("ROLLBACK"));
        if let Ok(Ok(())) = rolled_back.await {
            connection.set_in_transaction(false);
        }
    }

    /// Why the time was up: its own budget, or the deadline of the request that it is part of.
    fn out_of_time(&self) -> Error {
        let after = Moment::now().since(self.begun);
        if after < self.budget {
            return Error::DeadlinePassed { after };
        }
        Error::OverBudget {
            transaction: self.name,
            budget: self.budget,
            in_statements: Duration::from_nanos(self.in_statements_nanos.load(Ordering::Relaxed)),
        }
    }

    fn failed(&self) -> std::sync::MutexGuard<'_, Option<Error>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lost_a_conflict(&self) -> bool {
        self.failed().as_ref().is_some_and(|error| error.class() == Class::Conflict)
    }
}

impl Db {
    /// Runs `work` in a transaction: committed when it returns `Ok`, rolled back when it
    /// returns `Err`, is dropped, or takes longer than `database.transaction_budget`.
    ///
    /// A transaction that lost against another one (serialization failure, deadlock) is begun
    /// again, at most `database.transaction_retries_max` times and within the deadline; so
    /// `work` may run more than once and should touch nothing but the transaction.
    ///
    /// # Errors
    /// What `work` returned, or what went wrong around it. [`Error::CommitUnknown`] is never
    /// tried again.
    pub async fn transaction<T, E, F, W>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: Fn(Transaction) -> W,
        W: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        let mut pause = RETRY_PAUSE;
        for retries_left in (0..=self.settings().transaction_retries_max).rev() {
            let open = Open::begin(self, name).await?;
            let ends = Ends(&open);
            let worked = work(Transaction(Arc::clone(&open)));
            let error = match tokio::time::timeout_at(open.ends.instant(), worked).await {
                Ok(Ok(value)) => match open.commit().await {
                    Ok(()) => return Ok(value),
                    Err(error) if error.class() == Class::Conflict => E::from(error),
                    Err(error) => return Err(error.into()),
                },
                Ok(Err(error)) => {
                    let again = open.lost_a_conflict();
                    open.roll_back().await;
                    if !again {
                        return Err(error);
                    }
                    error
                }
                // Dropped with its statement running: the pool cancels and rolls back.
                Err(_elapsed) => {
                    open.over.store(true, Ordering::SeqCst);
                    return Err(open.out_of_time().into());
                }
            };
            drop(ends);
            pause = pause.mul_f64(1.0 + fastrand::f64());
            if retries_left == 0 || self.context().deadline().remaining() < pause {
                return Err(error);
            }
            self.metrics().transaction_retries.increment();
            tokio::time::sleep(pause).await;
        }
        unreachable!("the last round returns")
    }
}
