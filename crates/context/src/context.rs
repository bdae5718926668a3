//! The context as one cheap value, and where the running task finds its own.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::{Deadline, Identity, Moment, Priority, RequestId};

tokio::task_local! {
    static CURRENT: Context;
}

/// Everything that travels with a request or a job. A clone is one reference count.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    request_id: RequestId,
    arrived: Moment,
    deadline: Deadline,
    priority: Priority,
    identity: Option<Identity>,
    attempt: u32,
    /// Filled when routing has happened, hence the cell: the pipeline outside of the router
    /// wants to know the route when the answer comes back.
    route: OnceLock<Arc<str>>,
}

impl Context {
    /// What a piece of work gets that nobody gave a deadline: work without one does not exist.
    pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);

    /// A fresh context that arrives now: normal priority, first attempt,
    /// [`Context::DEADLINE_DEFAULT`] to go.
    pub fn new() -> Context {
        let arrived = Moment::now();
        Context::arriving(arrived, Deadline::at(arrived + Self::DEADLINE_DEFAULT))
    }

    /// A fresh context that arrived at `arrived` and ends at `deadline`.
    pub fn arriving(arrived: Moment, deadline: Deadline) -> Context {
        Context(Arc::new(Inner {
            request_id: RequestId::random(),
            arrived,
            deadline,
            priority: Priority::default(),
            identity: None,
            attempt: 0,
            route: OnceLock::new(),
        }))
    }

    /// The same with another deadline, later ones included: shortening is
    /// [`Deadline::earlier`]'s business.
    #[must_use]
    pub fn with_deadline(self, deadline: Deadline) -> Context {
        self.change(|inner| inner.deadline = deadline)
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(self, priority: Priority) -> Context {
        self.change(|inner| inner.priority = priority)
    }

    /// The same in the name of a caller.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Context {
        self.change(|inner| inner.identity = Some(identity))
    }

    /// The same under another request id.
    #[must_use]
    pub fn with_request_id(self, request_id: RequestId) -> Context {
        self.change(|inner| inner.request_id = request_id)
    }

    /// The same as a retry: 0 is the first try.
    #[must_use]
    pub fn with_attempt(self, attempt: u32) -> Context {
        self.change(|inner| inner.attempt = attempt)
    }

    /// The name of this request in logs.
    pub fn request_id(&self) -> &RequestId {
        &self.0.request_id
    }

    /// When it came in.
    pub fn arrived(&self) -> Moment {
        self.0.arrived
    }

    /// Until when it is worth doing.
    pub fn deadline(&self) -> Deadline {
        self.0.deadline
    }

    /// How much it matters.
    pub fn priority(&self) -> Priority {
        self.0.priority
    }

    /// Whose it is, if anybody said.
    pub fn identity(&self) -> Option<&Identity> {
        self.0.identity.as_ref()
    }

    /// Which try this is; 0 is the first.
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// The matched route (`/products/{id}`), once routing has happened.
    pub fn route(&self) -> Option<&str> {
        self.0.route.get().map(|route| &**route)
    }

    /// Says which route was matched. The first word counts.
    pub fn set_route(&self, route: Arc<str>) {
        // A second route would be that of a nested router, which the outer one already named whole.
        let _ = self.0.route.set(route);
    }

    /// Runs `future` with this as the current context of every poll.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// The context of the running task, if it has one.
    pub fn current() -> Option<Context> {
        CURRENT.try_with(Context::clone).ok()
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Context {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Default for Context {
    fn default() -> Context {
        Context::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_current_context_is_the_scopes() {
        assert!(Context::current().is_none());
        let context = Context::new().with_attempt(3);
        let seen = context.scope(async { Context::current().map(|context| context.attempt()) });
        assert_eq!(seen.await, Some(3));
        assert_eq!(Context::current().map(|context| context.attempt()), None);
    }

    #[test]
    fn a_change_leaves_other_clones_alone() {
        let original = Context::new();
        let changed = original.clone().with_priority(Priority::Critical);
        assert_eq!(original.priority(), Priority::Normal);
        assert_eq!(changed.priority(), Priority::Critical);
        assert_eq!(changed.request_id(), original.request_id());
    }

    #[test]
    fn a_route_is_named_once_and_seen_by_all_clones() {
        let context = Context::new();
        let clone = context.clone();
        clone.set_route("/a".into());
        clone.set_route("/b".into());
        assert_eq!(context.route(), Some("/a"));
    }
}
