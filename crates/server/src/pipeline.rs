//! Everything that a request crosses, in order, outermost first.
//!
//! It is one function and not a stack of tower layers: the order is read from top to bottom, a
//! step costs a call and not a boxed future, and what a step holds is a local variable.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::ACCEPT_ENCODING;
use http::{HeaderName, HeaderValue, Request};
use http_body::Body as _;
use http_body_util::Limited;
use hyper::body::Incoming;
use tenfold_context::{Context, Deadline, Moment, RequestId};
use tenfold_overload::Entrance;
use tower_service::Service;

use crate::access_log::AccessLog;
use crate::activity::Activity;
use crate::caller::{Caller, Peer};
use crate::event_stream::{Draining, ends_with_drain};
use crate::exchange::{AnswerBody, Exchange};
use crate::extract::{Resources, Shared, Within};
use crate::metrics::ShardMetrics;
use crate::proxies::Proxies;
use crate::respond::{self, Error, Failure};
use crate::route::NoteRoute;
use crate::settings::ServerSettings;
use crate::stream;

/// What carries the request's name in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What serves the requests of one shard: the service's own part.
#[derive(Clone, Debug)]
pub struct App {
    /// Every route of the service.
    pub router: Router,
    /// What its handlers can ask for.
    pub resources: Resources,
}

/// The way of a request through one shard.
pub(crate) struct Pipeline {
    request_timeout: Duration,
    /// Whether rows are encoded for those who accept that.
    compress: bool,
    /// The process's own: all shards stand at the same door.
    door: Entrance,
    metrics: Arc<ShardMetrics>,
    access_log: AccessLog,
    proxies: Proxies,
    shared: Arc<Shared>,
    router: Router,
}

impl Pipeline {
    pub(crate) fn new(
        app: App,
        settings: &ServerSettings,
        door: Entrance,
        metrics: Arc<ShardMetrics>,
        access_log: AccessLog,
        draining: Draining,
    ) -> Pipeline {
        let body_bytes_max = settings.body_max.as_usize();
        Pipeline {
            request_timeout: settings.request_timeout,
            compress: settings.rows_compressed,
            door,
            metrics,
            access_log,
            proxies: Proxies::new(settings),
            shared: Arc::new(Shared { resources: app.resources, body_bytes_max, draining }),
            router: app.router.layer(NoteRoute),
        }
    }

    /// Answers a request. Dropping the future is the client leaving: whatever it holds goes back.
    pub(crate) async fn answer(
        self: Arc<Pipeline>,
        request: Request<Incoming>,
        activity: Arc<Activity>,
        peer: Arc<Peer>,
    ) -> http::Response<AnswerBody> {
        // Whom limits and logs go by.
        let address = self.proxies.client(peer.address, request.headers());
        let caller = Caller { address, peer };
        // Named, and given a deadline and a class: everything inside asks the context.
        let context = self.context(&request);
        // In flight until the last byte of the answer, and measured whatever becomes of it.
        let (metrics, access_log) = (self.metrics.clone(), self.access_log.of(address));
        let mut exchange =
            Exchange::begin(context.clone(), &request, activity, metrics, access_log);
        // The context is the current one for all that follows, log lines included.
        let steps = async {
            // A panic costs its own request only: the connection and its other requests go on.
            let inside = AssertUnwindSafe(self.inside(request, caller, &context, &mut exchange));
            let answer = match inside.catch_unwind().await {
                Ok(answer) => answer,
                Err(panic) => Err(Failure::Panicked(panic).into()),
            };
            // The one place where a failure becomes an answer.
            answer.map_or_else(IntoResponse::into_response, respond::complete)
        };
        let mut response = context.clone().scope(steps).await;
        // The caller learns the name under which the log knows its request.
        response.headers_mut().insert(REQUEST_ID, header(context.request_id()));
        exchange.answer(response)
    }

    async fn inside(
        &self,
        request: Request<Incoming>,
        caller: Caller,
        context: &Context,
        exchange: &mut Exchange,
    ) -> Result<Response, Error> {
        // The door bounds what is worked on at once; past a bounded line it refuses in no time.
        let permit = self.door.enter(context).await;
        exchange.hold(permit.inspect_err(|refusal| self.metrics.refused(*refusal))?);
        // Nobody waits for an answer after the deadline, so nobody works on it either.
        let routed = self.route(request, caller);
        match tokio::time::timeout_at(context.deadline().instant(), routed).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(Failure::DeadlinePassed { after: self.request_timeout }.into()),
        }
    }

    async fn route(&self, request: Request<Incoming>, caller: Caller) -> Result<Response, Error> {
        // A body that says it is too large is refused unread; one that says nothing is cut off.
        let bytes_max = self.shared.body_bytes_max;
        if request.body().size_hint().lower() > bytes_max as u64 {
            return Err(Failure::BodyTooLarge { bytes_max }.into());
        }
        let mut request = request.map(|body| Body::new(Limited::new(body, bytes_max)));
        // axum's own limit of 2 MiB would come first for those who allow more.
        DefaultBodyLimit::disable().apply(&mut request);
        // What handlers ask for in their arguments is found here.
        let shared = self.shared.clone();
        request.extensions_mut().insert(Within { shared, caller });
        let accepted = request.headers().get(ACCEPT_ENCODING).filter(|_| self.compress).cloned();
        // The service's own routes, which fail only by answering.
        let Ok(response) = self.router.clone().call(request).await;
        if stream::is_rows(&response) {
            // What fails at once is an answer, and what does not is encoded. In a box, so that
            // requests for anything else do not carry its state.
            return Box::pin(stream::begin(response, accepted)).await;
        }
        // What has no end of its own has one in the drain.
        Ok(ends_with_drain(response, &self.shared.draining))
    }

    fn context(&self, request: &Request<Incoming>) -> Context {
        let arrived = Moment::now();
        let context = Context::arriving(arrived, Deadline::at(arrived + self.request_timeout));
        let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
        match given.and_then(RequestId::given) {
            Some(request_id) => context.with_request_id(request_id),
            None => context,
        }
    }
}

fn header(request_id: &RequestId) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(request_id.to_string()))
        .expect("a request id has only letters, digits and -_.:")
}
