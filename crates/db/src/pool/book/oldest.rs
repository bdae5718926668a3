//! What the book knows of those who have had a connection for long.

use std::time::Duration;

use tenfold_context::Moment;

use super::{Book, Link};
use crate::pool::holder::Holder;

impl<C: Link> Book<C> {
    /// For how long the one has had a connection that has had it for longest.
    pub(in crate::pool) fn longest_hold(&self, now: Moment) -> Option<Duration> {
        let held = self.out.values().find(|out| out.holding.is_some())?;
        Some(now.since(held.since))
    }

    /// All connections.
    pub(in crate::pool) fn connections(&self) -> impl Iterator<Item = &C> {
        let out = self.out.values().map(|out| &out.connection);
        self.idle.iter().map(|member| &member.connection).chain(out)
    }

    /// Those who have had one for longer than that.
    pub(in crate::pool) fn held_longer(&self, now: Moment, limit: Duration) -> Vec<(C, Holder)> {
        let old = self.out.values().take_while(|out| now.since(out.since) > limit);
        let named = old.filter_map(|out| {
            let holding = out.holding.as_ref()?;
            let is_running = out.connection.is_running();
            Some((out.connection.clone(), holding.holder(out.since, now, is_running)))
        });
        named.collect()
    }
}
