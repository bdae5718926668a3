//! Who has a connection of the pool in hand, so that one that is held for too long has a name.

use std::fmt;
use std::time::Duration;

use tenfold_context::{Context, Moment};

/// What a connection is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// One statement.
    Statement,
    /// One statement that is sent here from the shared lane, where it would hold up others.
    Detour,
    /// The transaction of that name.
    Transaction(&'static str),
    /// Rows that somebody reads at a pace of their own.
    Stream,
    /// Rows in bulk.
    Copy,
}

impl Work {
    /// One word for metrics and logs.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Work::Statement | Work::Detour => "statement",
            Work::Transaction(_) => "transaction",
            Work::Stream => "stream",
            Work::Copy => "copy",
        }
    }

    pub(crate) const fn transaction(self) -> Option<&'static str> {
        match self {
            Work::Transaction(name) => Some(name),
            Work::Statement | Work::Detour | Work::Stream | Work::Copy => None,
        }
    }
}

/// A request that has a connection, or waits for one that is being made.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) context: Context,
    pub(super) work: Work,
}

impl Holding {
    /// What is known of it now. It has had the connection since `taken`.
    pub(super) fn holder(&self, taken: Moment, now: Moment, in_statement: bool) -> Holder {
        Holder {
            kind: self.work.kind(),
            transaction: self.work.transaction(),
            route: self.context.route().map(str::to_owned),
            request_id: self.context.request_id().to_string(),
            held: now.since(taken),
            in_statement,
        }
    }
}

/// Somebody who has had a connection of the pool for longer than `database.pool_hold_max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What for: `statement`, `transaction`, `stream` or `copy`.
    pub kind: &'static str,
    /// The transaction's name, if it is one.
    pub transaction: Option<&'static str>,
    /// The route of its request, if it has one.
    pub route: Option<String>,
    /// The name of its request in logs.
    pub request_id: String,
    /// For how long it has had the connection.
    pub held: Duration,
    /// Whether Postgres is at work on a statement of it: if not, the code holds the connection
    /// for something else, or has forgotten it.
    pub in_statement: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transaction {
            Some(name) => write!(f, "transaction {name:?}")?,
            None => write!(f, "a {}", self.kind)?,
        }
        if let Some(route) = &self.route {
            write!(f, " of {route}")?;
        }
        let doing = if self.in_statement {
            "a statement of it is running"
        } else {
            "no statement of it is running"
        };
        write!(f, " (request {}) for {} ms; {doing}", self.request_id, self.held.as_millis())
    }
}

/// Says in the log that so many requests got no connection because of this one, since the last
/// such word.
pub(super) fn say_blamed(holder: &Holder, refused: u64) {
    tracing::warn!(
        kind = holder.kind,
        transaction = holder.transaction,
        route = holder.route,
        holder_request_id = holder.request_id,
        held_ms = holder.held.as_millis() as u64,
        in_statement = holder.in_statement,
        refused,
        "requests get no connection while this one is held past database.pool_hold_max"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_named_with_all_that_is_known() {
        let context = Context::new();
        let request_id = context.request_id().to_string();
        let holding = Holding { context, work: Work::Stream };
        let now = Moment::from_nanos(12_000_000);
        let unknown = holding.holder(Moment::ZERO, now, false).to_string();
        assert_eq!(
            unknown,
            format!("a stream (request {request_id}) for 12 ms; no statement of it is running")
        );
        holding.context.set_route("/orders".into());
        let holding = Holding { work: Work::Transaction("place_order"), ..holding };
        let known = holding.holder(Moment::ZERO, now, true).to_string();
        assert_eq!(
            known,
            format!(
                "transaction \"place_order\" of /orders (request {request_id}) for 12 ms; \
                 a statement of it is running"
            )
        );
    }
}
