//! What becomes of a connection that was left in doubt: it is cleaned by a task of its own, which
//! keeps its place in the pool until Postgres has confirmed that nothing runs, nothing is open,
//! and the session is as it was.

use std::time::Duration;

use super::Permits;
use super::loan::Loan;
use crate::abandoned::Abandonment;
use crate::connection::{Connection, Left};
use crate::error::Result;
use crate::session;
use crate::settings::Pooler;

/// Time that cleaning may take before the connection is closed instead.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(2);

/// Stops what runs, rolls back what is open, undoes what was set, and puts the connection back;
/// closes it when Postgres does not confirm in time. The place goes back after it, so that
/// whoever comes in next finds it.
pub(super) async fn clean(
    loan: Loan,
    left: Left,
    _places: Permits,
    _abandonment: Option<Abandonment>,
) {
    let connection = loan.connection();
    match tokio::time::timeout(CLEAN_TIMEOUT, cleaned(&loan, left)).await {
        Ok(Ok(())) if may_stay(connection) => connection.set_clean(),
        Ok(Ok(())) => {
            tracing::debug!("connection closed since raw SQL has spoilt its session");
            connection.give_up();
        }
        Ok(Err(error)) => {
            connection.give_up();
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                left = left.name(),
                "connection closed that could not be cleaned"
            );
        }
        Err(_elapsed) => {
            connection.give_up();
            tracing::warn!(left = left.name(), "connection closed that was not clean in time");
        }
    }
    drop(loan);
}

async fn cleaned(loan: &Loan, left: Left) -> Result<()> {
    let connection = loan.connection();
    match left {
        Left::Running => loan.pool().stop_then(connection, "ROLLBACK").await?,
        Left::InTransaction => connection.batch("ROLLBACK").await?,
        Left::Clean | Left::SessionChanged | Left::Broken => {}
    }
    // Behind a pooler the session is another one by now, and its own affair to clean.
    let is_ours = loan.pool().0.connector.pooler() == Pooler::None;
    if is_ours && connection.is_session_changed() && may_stay(connection) {
        connection.batch(session::RESET).await?;
    }
    Ok(())
}

fn may_stay(connection: &Connection) -> bool {
    !connection.is_session_spoilt()
}
