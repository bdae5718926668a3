//! Tells the context which route was matched: only the router knows, and the pipeline around it
//! wants to count by it.

use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll};

use axum::extract::{MatchedPath, Request};
use tenfold_context::Context;
use tower_layer::Layer;
use tower_service::Service;

/// The layer around each endpoint of the router.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoteRoute;

impl<S> Layer<S> for NoteRoute {
    type Service = NotingRoute<S>;

    fn layer(&self, inner: S) -> NotingRoute<S> {
        NotingRoute { inner, route: Arc::default() }
    }
}

/// One endpoint that notes its route.
#[derive(Clone, Debug)]
pub(crate) struct NotingRoute<S> {
    inner: S,
    /// The route of this endpoint, so that it is allocated once and not per request.
    route: Arc<OnceLock<Arc<str>>>,
}

impl<S> NotingRoute<S> {
    fn note(&self, matched: &str) {
        let Some(context) = Context::current() else { return };
        let known = self.route.get_or_init(|| matched.into());
        // One endpoint can stand at several paths, as those of a nested service do.
        let route = if **known == *matched { known.clone() } else { matched.into() };
        context.set_route(route);
    }
}

impl<S: Service<Request>> Service<Request> for NotingRoute<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        if let Some(matched) = request.extensions().get::<MatchedPath>() {
            self.note(matched.as_str());
        }
        self.inner.call(request)
    }
}
