//! A connection out of the pool, which finds its way back from wherever it is dropped.

use std::sync::Arc;

use tenfold_context::{Deadline, Moment};
use tokio::sync::oneshot;

use super::Pool;
use super::book::{Answer, Lent, Link};
use crate::connection::{Connection, Left};
use crate::error::{Error, Result};

impl Link for Arc<Connection> {
    fn is_closed(&self) -> bool {
        Connection::is_closed(self)
    }

    fn is_running(&self) -> bool {
        self.left() == Left::Running
    }
}

/// A connection that is out. Dropped, it is idle again or goes to the next one who waits, if it
/// is clean; if it is not, it is closed.
#[derive(Debug)]
pub(super) struct Loan {
    /// `Some` until dropped.
    lent: Option<Lent<Arc<Connection>>>,
    pool: Pool,
}

impl Loan {
    pub(super) fn new(lent: Lent<Arc<Connection>>, pool: &Pool) -> Loan {
        Loan { lent: Some(lent), pool: pool.clone() }
    }

    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.lent().member.connection
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Puts it back as one that nobody has used.
    pub(super) fn put_unused(mut self) {
        let Some(lent) = self.lent.take() else { return };
        let closing = self.pool.book().put_unused(Moment::now(), lent);
        drop(closing);
        self.pool.settle();
    }

    fn lent(&self) -> &Lent<Arc<Connection>> {
        self.lent.as_ref().expect("only what consumes it takes it out")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let Some(lent) = self.lent.take() else { return };
        // What is to be closed is dropped when the book is not locked any more.
        let closing = match lent.member.connection.left() {
            Left::Clean => self.pool.book().put(Moment::now(), lent),
            _ => {
                lent.member.connection.give_up();
                Some(self.pool.book().lose(lent))
            }
        };
        drop(closing);
        self.pool.settle();
    }
}

/// Somebody who has a place in the pool and waits for a connection. What it is given after it
/// has left goes on to the next.
pub(super) struct Waiting {
    answer: oneshot::Receiver<Answer<Arc<Connection>>>,
    since: Moment,
    pool: Pool,
}

impl Waiting {
    pub(super) fn new(answer: oneshot::Receiver<Answer<Arc<Connection>>>, pool: &Pool) -> Waiting {
        Waiting { answer, since: Moment::now(), pool: pool.clone() }
    }

    pub(super) async fn loan(mut self, deadline: Deadline) -> Result<Loan> {
        match tokio::time::timeout_at(deadline.instant(), &mut self.answer).await {
            Ok(Ok(Ok(lent))) => Ok(Loan::new(lent, &self.pool)),
            Ok(Ok(Err(cause))) => Err(Error::Unreachable { cause }),
            Ok(Err(_forgotten)) => Err(Error::Closed),
            Err(_elapsed) => Err(self.pool.late(Moment::now().since(self.since))),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.answer.close();
        if let Ok(Ok(lent)) = self.answer.try_recv() {
            drop(Loan::new(lent, &self.pool));
        }
    }
}
