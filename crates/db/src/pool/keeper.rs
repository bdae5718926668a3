//! Looks after the connections in the background: closes those that are old or not needed, makes
//! those that are missing, sees whether those that were silent are well, and names who holds one
//! for too long.

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::join_all;
use tenfold_context::Moment;

use super::loan::Loan;
use super::{Inner, Pool};

/// How often it looks, at least.
const TICK_MAX: Duration = Duration::from_secs(1);

/// How often it looks, at most.
const TICK_MIN: Duration = Duration::from_millis(10);

/// How long a connection that is asked whether it is well may take. Nothing else runs on it, so
/// one that takes longer is gone, or as good as gone.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// Starts the task, on the current runtime. It ends with the pool.
pub(super) fn start(pool: &Pool) {
    tokio::spawn(keep(Arc::downgrade(&pool.0), tick(pool)));
}

/// Often enough that nothing is noticed much later than when its time has come.
fn tick(pool: &Pool) -> Duration {
    let book = pool.book();
    let bounds = book.bounds();
    let shortest =
        bounds.lifetime.min(bounds.idle_max).min(bounds.hold_max).min(bounds.health_interval);
    (shortest / 8).clamp(TICK_MIN, TICK_MAX)
}

async fn keep(pool: Weak<Inner>, tick: Duration) {
    loop {
        tokio::time::sleep(tick).await;
        let Some(pool) = pool.upgrade().map(Pool) else { return };
        if pool.book().is_closed() {
            return;
        }
        let now = Moment::now();
        name_overdue(&pool, now);
        let swept = pool.book().sweep(now);
        drop(swept);
        pool.book().try_more(now);
        pool.fit();
        pool.settle();
        let doubtful = pool.book().doubtful(now);
        join_all(doubtful.into_iter().map(|lent| check(Loan::new(lent, &pool)))).await;
    }
}

fn name_overdue(pool: &Pool, now: Moment) {
    let overdue = pool.book().overdue(now);
    for holder in overdue {
        pool.0.metrics.held_too_long(holder.kind);
        tracing::warn!(
            kind = holder.kind,
            transaction = holder.transaction,
            route = holder.route,
            holder_request_id = holder.request_id,
            held_ms = holder.held.as_millis() as u64,
            in_statement = holder.in_statement,
            "connection held past database.pool_hold_max"
        );
    }
}

async fn check(loan: Loan) {
    let asked = loan.connection().client().check_connection();
    if let Ok(Ok(())) = tokio::time::timeout(HEALTH_TIMEOUT, asked).await {
        loan.put_unused();
    } else {
        tracing::warn!("idle connection closed on which postgres does not answer");
        loan.connection().give_up();
    }
}
