//! Who has had a connection for longest, and the end of whoever has had one for too long.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tenfold_context::Moment;

use super::{Holder, Inner, Pool};
use crate::connection::Connection;
use crate::error::Error;

/// Time for a cancellation; the connection is closed in any case.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// The pool for those who only look at it, and shall not keep it.
#[derive(Debug)]
pub(crate) struct WeakPool(Weak<Inner>);

impl WeakPool {
    /// The pool, if it is there and not closed.
    pub(crate) fn unless_closed(&self) -> Option<Pool> {
        self.0.upgrade().map(Pool).filter(|pool| !pool.0.entrance.is_closed())
    }
}

impl Pool {
    pub(crate) fn downgrade(&self) -> WeakPool {
        WeakPool(Arc::downgrade(&self.0))
    }

    /// For how long the one has had its connection that has had it for longest.
    pub(crate) fn longest_hold(&self) -> Option<Duration> {
        self.book().longest_hold(Moment::now())
    }

    /// The numbers of Postgres' processes behind all connections, as far as they are known.
    pub(crate) fn backend_pids(&self) -> Vec<i32> {
        self.book().connections().filter_map(|connection| connection.backend_pid()).collect()
    }

    /// Stops whoever has had a connection for longer than that, with a word about who it was.
    pub(crate) async fn stop_older_than(&self, limit: Duration) {
        let old = self.book().held_longer(Moment::now(), limit);
        join_all(old.into_iter().map(|(connection, holder)| self.stop(connection, holder, limit)))
            .await;
    }

    async fn stop(&self, connection: Arc<Connection>, holder: Holder, limit: Duration) {
        if !connection.stop(Error::Stopped { after: holder.held, limit }) {
            return;
        }
        let Holder { kind, transaction, route, request_id, held, in_statement } = holder;
        tracing::warn!(
            kind,
            transaction,
            route,
            request_id,
            held_ms = held.as_millis(),
            in_statement,
            "stopped, having kept a transaction open for longer than database.transaction_age_max"
        );
        self.0.metrics.stopped(kind, route.as_deref());
        // What runs hears the cancellation; what does not run, or cannot hear it because nobody
        // reads its rows, notices that the connection is gone.
        let cancelled = tokio::time::timeout(CANCEL_TIMEOUT, self.0.canceller.cancel(&connection));
        let _ = cancelled.await;
        connection.give_up();
    }
}
