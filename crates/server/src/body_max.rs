//! How large the body of a request may be on a route of its own.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use tenfold_config::ByteSize;
use tower_layer::Layer;
use tower_service::Service;

use crate::request_body::BodyState;

/// Lets the bodies on a route be larger, or smaller, than `server.body_max`.
///
/// ```
/// use axum::Router;
/// use axum::routing::post;
/// use tenfold_config::ByteSize;
/// use tenfold_server::BodyMax;
///
/// async fn store(picture: axum::body::Bytes) {}
///
/// let router: Router =
///     Router::new().route("/pictures", post(store).layer(BodyMax(ByteSize::mib(20))));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyMax(pub ByteSize);

impl<S> Layer<S> for BodyMax {
    type Service = WithBodyMax<S>;

    fn layer(&self, inner: S) -> WithBodyMax<S> {
        WithBodyMax { inner, bytes_max: self.0.as_u64() }
    }
}

/// What is behind a [`BodyMax`].
#[derive(Clone, Debug)]
pub struct WithBodyMax<S> {
    inner: S,
    bytes_max: u64,
}

impl<S: Service<Request>> Service<Request> for WithBodyMax<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> S::Future {
        // A request without a body has none.
        if let Some(state) = request.extensions().get::<Arc<BodyState>>() {
            state.set_bytes_max(self.bytes_max);
        }
        self.inner.call(request)
    }
}
