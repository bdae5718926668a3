//! The exclusive lane: a pool behind a gate, whose connections are clean when they come back,
//! not when the next one asks.
//!
//! A request that leaves in the middle of a transaction must not block others through the locks
//! it left behind. So a connection in doubt is cleaned by a task of its own, which keeps the
//! place in the pool until Postgres has confirmed that nothing runs and nothing is open.
//! Connections are made by tasks of their own too, so that whoever leaves takes none along, and
//! nobody hammers at a Postgres that is not there.

mod book;
mod clean;
mod holder;
mod keeper;
mod loan;
mod maker;
mod oldest;
mod size;

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenfold_context::{Context, Moment};
use tenfold_overload::{Entrance, Limits, Occupancy, Permit, Refusal};
use tokio::runtime::Handle;

use crate::cancel::Canceller;
use crate::connect::Connector;
use crate::connection::{Connection, Left};
use crate::error::{Error, Lane, Result};
use crate::metrics::PoolMetrics;
use crate::settings::{DatabaseSettings, Pooler};
use crate::transaction::idle_in_transaction_max;

use book::{Blame, Book, Bounds, Step, Want};
use holder::Holding;
use loan::{Loan, Waiting};
use size::{Share, UNASKED};

pub use holder::Holder;
pub(crate) use holder::Work;
pub(crate) use oldest::WeakPool;
pub use size::PoolSize;

/// The first pause before a statement that did not stop is cancelled again; doubled each time.
const CANCEL_AGAIN_MIN: Duration = Duration::from_millis(10);

/// The longest of these pauses: each cancellation is a connection to Postgres.
const CANCEL_AGAIN_MAX: Duration = Duration::from_millis(200);

/// The connections of the exclusive lane, for all shards. A clone is the same pool.
#[derive(Clone, Debug)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    statements_max: NonZeroUsize,
    share: Share,
    entrance: Entrance,
    /// Stands before the entrance for statements that come from the shared lane.
    detours: Entrance,
    book: Mutex<Book<Arc<Connection>>>,
    /// Where connections are made that are wanted from outside of every event loop.
    runtime: Handle,
    canceller: Canceller,
    metrics: PoolMetrics,
}

impl Pool {
    /// A pool without connections. The current runtime looks after them.
    pub(crate) fn new(
        connector: Connector,
        settings: &DatabaseSettings,
        metrics: PoolMetrics,
    ) -> Pool {
        // A transaction that nobody ends, because the network between is gone, must not keep its
        // locks: Postgres ends it by itself, long after our own budget has.
        let idle_max = idle_in_transaction_max(settings.transaction_budget);
        let connector = connector.with_timeout("idle_in_transaction_session_timeout", idle_max);
        let connections_max = if settings.pool_max == 0 { UNASKED } else { settings.pool_max };
        let entrance = Entrance::new(Limits {
            places: connections_max,
            waiting_max: settings.pool_waiting_max,
        });
        let detours = Entrance::new(Limits {
            places: detours_max(connections_max),
            waiting_max: settings.pool_waiting_max,
        });
        let pool = Pool(Arc::new(Inner {
            canceller: Canceller::new(connector.clone(), connections_max, metrics.cancels.clone()),
            connector,
            statements_max: settings.statements_max(),
            share: Share::new(settings),
            entrance,
            detours,
            book: Mutex::new(Book::new(Bounds {
                connections_min: settings.pool_min.min(connections_max),
                connections_max,
                lifetime: settings.pool_lifetime,
                idle_max: settings.pool_idle_max,
                hold_max: settings.pool_hold_max,
                health_interval: settings.pool_health_interval,
            })),
            runtime: Handle::current(),
            metrics,
        }));
        keeper::start(&pool);
        pool
    }

    /// A connection for the caller alone, waiting for one until the context's deadline.
    pub(crate) async fn take(&self, context: &Context, work: Work) -> Result<Exclusive> {
        let wait = self.0.metrics.wait.begin();
        let entered = self.enter(context, work).await;
        wait.ended(entered.as_ref().err());
        let (loan, permits) = entered.inspect_err(|error| self.count(error))?;
        let taken = Moment::now();
        Ok(Exclusive { held: Some(Held { loan, permits, taken, context: context.clone() }) })
    }

    /// Connects and puts the connection away, so that the first request finds one, and a wrong
    /// address is found at start-up. Over it, asks Postgres how many there may be.
    pub(crate) async fn warm_up(&self, context: &Context) -> Result<PoolSize> {
        let first = self.take(context, Work::Statement).await?;
        let asked = size::ask(first.connection().client(), &self.0.connector, self.0.share);
        let size = asked.await;
        self.resize(size.connections_max);
        Ok(size)
    }

    /// Changes how many connections there may be. Fewer come about as those above come back.
    pub(crate) fn resize(&self, connections_max: usize) {
        let before = self.book().resize(connections_max);
        self.0.canceller.resize(before, connections_max);
        self.fit();
        self.settle();
    }

    /// Hands out nothing any more and closes what is idle. Connections in use are closed when
    /// they come back.
    pub(crate) fn close(&self) {
        self.0.detours.close();
        self.0.entrance.close();
        let idle = self.book().close();
        drop(idle);
        self.settle();
    }

    /// Stops what runs on a connection, and then runs `sql`, which may be run twice.
    ///
    /// A cancellation that comes before Postgres has begun with the statement hits nothing, and
    /// the statement runs on, with all its locks, even if the connection is closed. So it is
    /// cancelled again until what was sent behind it is answered.
    ///
    /// Behind a pooler it has a moment to end by itself first, as a COPY does whose rows have
    /// ended early: cancelled at that very moment it is answered once more than PgBouncer (1.24)
    /// counts, and from then on everybody hears the answers of others.
    pub(crate) async fn stop_then(&self, connection: &Arc<Connection>, sql: &str) -> Result<()> {
        let mut again = CANCEL_AGAIN_MIN;
        let mut may_end = self.0.connector.pooler() != Pooler::None;
        loop {
            let mut batch = pin!(connection.batch(sql));
            loop {
                if !std::mem::take(&mut may_end) {
                    self.0.canceller.cancel(connection).await?;
                }
                match tokio::time::timeout(again, &mut batch).await {
                    // It hit this one instead.
                    Ok(Err(error)) if is_cancelled(&error) => break,
                    Ok(done) => return done,
                    Err(_elapsed) => again = (again * 2).min(CANCEL_AGAIN_MAX),
                }
            }
        }
    }

    pub(crate) fn occupancy(&self) -> Occupancy {
        let Occupancy { inside, waiting } = self.0.entrance.occupancy();
        Occupancy { inside, waiting: waiting + self.0.detours.occupancy().waiting }
    }

    /// How many connections there may be.
    pub(crate) fn connections_max(&self) -> usize {
        self.book().connections_max()
    }

    /// How many connections are in somebody's hands, or are cleaned after that.
    pub(crate) fn used_count(&self) -> usize {
        self.book().used_count()
    }

    /// How many connections are being made.
    pub(crate) fn opening_count(&self) -> usize {
        self.book().opening_count()
    }

    pub(crate) fn idle_count(&self) -> usize {
        self.book().idle_count()
    }

    /// A place, and a connection for it.
    async fn enter(&self, context: &Context, work: Work) -> Result<(Loan, Permits)> {
        let let_in = async |entrance: &Entrance| {
            entrance.enter(context).await.map_err(|refusal| self.refused(refusal))
        };
        let detour = match work {
            Work::Detour => Some(let_in(&self.0.detours).await?),
            _ => None,
        };
        let permits = (let_in(&self.0.entrance).await?, detour);
        Ok((self.borrow(context, work).await?, permits))
    }

    /// A connection for somebody who has a place.
    async fn borrow(&self, context: &Context, work: Work) -> Result<Loan> {
        let holding = Holding { context: context.clone(), work };
        let here = std::thread::current().id();
        let want = self.book().want(Moment::now(), here, holding);
        match want {
            Want::Ready { lent, open } => {
                if open {
                    maker::make(self);
                }
                Ok(Loan::new(lent, self))
            }
            Want::Wait(answer) => {
                let waiting = Waiting::new(answer, self);
                self.settle();
                waiting.loan(context.deadline()).await
            }
            Want::Unreachable(cause) => Err(Error::Unreachable { cause }),
            Want::Closed => Err(Error::Closed),
        }
    }

    /// Lets as many in as there may be connections. Who comes too late with an old figure is
    /// corrected by the keeper.
    fn fit(&self) {
        let connections_max = self.book().connections_max();
        if self.0.entrance.limits().places != connections_max {
            self.0.entrance.set_places(connections_max);
            self.0.detours.set_places(detours_max(connections_max));
        }
    }

    /// Why somebody did not get in, as far as that can be said.
    fn refused(&self, refusal: Refusal) -> Error {
        let mut blamed = None;
        let error = {
            let mut book = self.book();
            if refusal == Refusal::Closed {
                Error::Closed
            } else if let Some(cause) = book.unreachable() {
                Error::Unreachable { cause }
            } else if let Some(blame) = book.culprit(Moment::now()) {
                let holder = Box::new(blame.holder.clone());
                blamed = Some(blame);
                Error::HeldTooLong { holder, refusal }
            } else {
                Error::Refused { lane: Lane::Exclusive, refusal }
            }
        };
        if let Some(Blame { holder, refused: Some(refused) }) = blamed {
            holder::say_blamed(&holder, refused);
        }
        error
    }

    /// Why somebody who had a place had no connection when the deadline came.
    fn late(&self, waited: Duration) -> Error {
        let (unreachable, is_full) = {
            let book = self.book();
            (book.unreachable(), book.is_full())
        };
        match unreachable {
            Some(cause) => Error::Unreachable { cause },
            // It was let in when there were to be more, and waited for those of others.
            None if is_full => self.refused(Refusal::Late { waited }),
            None => Error::unreachable(
                "a connection was being made, and was not there when the deadline came",
            ),
        }
    }

    /// Counts somebody who got no connection.
    fn count(&self, error: &Error) {
        self.0.metrics.refused(match error {
            Error::Refused { refusal, .. } => refusal.reason(),
            Error::HeldTooLong { .. } => "held_too_long",
            Error::Closed => Refusal::Closed.reason(),
            _ => "unreachable",
        });
    }

    /// Does what the book says has to be done.
    fn settle(&self) {
        loop {
            // Taken out of the lock first: whom it wakes, or drops, may want the lock.
            let Some(step) = self.book().step(Moment::now()) else { return };
            match step {
                Step::Answer(waiter, answer) => {
                    if let Err(Ok(lent)) = waiter.send(answer) {
                        drop(Loan::new(lent, self));
                    }
                }
                Step::Forget(waiter) => drop(waiter),
                Step::Open if maker::make(self) => {}
                Step::Open => return,
            }
        }
    }

    fn book(&self) -> MutexGuard<'_, Book<Arc<Connection>>> {
        // Nothing under the lock panics half-way, so a poisoned one is sound still.
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is sent here from the shared lane may have half of the connections: many that wait for one
/// lock must leave some to transactions, and to those who hold the lock.
fn detours_max(connections_max: usize) -> usize {
    (connections_max / 2).max(1)
}

/// What somebody holds who has a connection; the second, who came from the shared lane.
type Permits = (Permit, Option<Permit>);

fn is_cancelled(error: &Error) -> bool {
    error.postgres().is_some_and(|error| error.code() == "57014")
}

/// A connection of the pool in somebody's hands; back to the pool when dropped.
#[derive(Debug)]
pub(crate) struct Exclusive {
    /// `Some` until dropped.
    held: Option<Held>,
}

/// The connection goes back before the place does, so that whoever comes in finds it.
#[derive(Debug)]
struct Held {
    loan: Loan,
    permits: Permits,
    taken: Moment,
    context: Context,
}

impl Exclusive {
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.held.as_ref().expect("only `drop` takes it out").loan.connection()
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        let Some(Held { loan, permits, taken, context }) = self.held.take() else { return };
        let metrics = &loan.pool().0.metrics;
        metrics.hold.record(Moment::now().since(taken));
        let left = loan.connection().left();
        metrics.returned(left);
        match left {
            Left::Clean | Left::Broken => {
                drop(loan);
                drop(permits);
            }
            Left::Running | Left::InTransaction | Left::SessionChanged => {
                // To undo what was set takes no longer than it has to.
                let is_abandoned = left != Left::SessionChanged;
                let abandonment =
                    is_abandoned.then(|| metrics.abandoned.begin(Lane::Exclusive, context));
                let runtime = loan.connection().runtime().clone();
                runtime.spawn(clean::clean(loan, left, permits, abandonment));
            }
        }
    }
}
