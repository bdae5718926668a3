//! Makes connections, off the path of the requests that want them: one that leaves does not take
//! along what it began, and while Postgres is not there one attempt after the other is made for
//! all of them together.

use std::sync::{Arc, Weak};

use tenfold_context::Moment;
use tokio::runtime::Handle;

use super::book::{Full, Opened};
use super::{Inner, Pool};
use crate::backoff::Backoff;
use crate::connection::Connection;
use crate::error::{Cause, Error};
use crate::refused::is_full;

/// Makes one connection, which is counted already. Its socket is driven where this is called: it
/// is most likely to be wanted there again. False if it is not made: the event loop here has ended,
/// and whoever asks for another one at once would ask for ever.
pub(super) fn make(pool: &Pool) -> bool {
    let maker = Maker { pool: Arc::downgrade(&pool.0), counted: true };
    let runtime = Handle::try_current().unwrap_or_else(|_outside| pool.0.runtime.clone());
    !runtime.spawn(maker.run()).is_finished()
}

/// One connection that is being made.
struct Maker {
    /// Not the pool itself: nobody should go on trying for a pool that nobody has any more.
    pool: Weak<Inner>,
    /// Whether it is still counted as one that is being made.
    counted: bool,
}

impl Maker {
    async fn run(mut self) {
        let mut backoff = Backoff::new();
        while let Some(pool) = self.pool() {
            let (connector, statements_max) = (pool.0.connector.clone(), pool.0.statements_max);
            drop(pool);
            let opened = Connection::open(&connector, statements_max).await;
            let Some(pool) = self.pool() else { return };
            match opened {
                Ok((connection, _driver)) => return self.opened(&pool, connection),
                Err(error) => {
                    if !self.failed(&pool, error) {
                        return;
                    }
                }
            }
            drop(pool);
            tokio::time::sleep(backoff.next()).await;
            let Some(pool) = self.pool() else { return };
            self.counted = pool.book().tries_again();
            if !self.counted {
                return pool.settle();
            }
        }
    }

    fn opened(mut self, pool: &Pool, connection: Arc<Connection>) {
        pool.0.metrics.connected(true);
        let home = std::thread::current().id();
        self.counted = false;
        let Opened { was_down, was_full, closing } =
            pool.book().opened(Moment::now(), connection, home);
        drop(closing);
        if let Some(was_down) = was_down {
            tracing::info!(
                lane = "exclusive",
                down_ms = was_down.as_millis() as u64,
                "postgres is there again"
            );
        }
        if let Some(was_full) = was_full {
            tracing::info!(
                full_ms = was_full.as_millis() as u64,
                "postgres takes as many connections as the pool may have again"
            );
        }
        pool.fit();
        pool.settle();
    }

    /// Whether to try again.
    fn failed(&mut self, pool: &Pool, error: Error) -> bool {
        pool.0.metrics.connected(false);
        let cause = match error {
            Error::Unreachable { cause } => cause,
            error => Cause::new(error),
        };
        let full = match is_full(&cause) {
            true => pool.book().full(Moment::now()),
            false => Full::Empty,
        };
        self.counted = match full {
            Full::Empty => {
                let (is_news, goes_on) = pool.book().failed(Moment::now(), cause.clone());
                if is_news {
                    tracing::warn!(cause = %cause, lane = "exclusive", "cannot connect to postgres");
                }
                goes_on
            }
            Full::Known => false,
            Full::News { connections_max } => {
                tracing::warn!(
                    cause = %cause,
                    connections_max,
                    "postgres takes fewer connections than the pool may have"
                );
                false
            }
        };
        pool.fit();
        pool.settle();
        self.counted
    }

    fn pool(&self) -> Option<Pool> {
        self.pool.upgrade().map(Pool)
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        if self.counted
            && let Some(pool) = self.pool()
        {
            pool.book().maker_gone();
        }
    }
}
