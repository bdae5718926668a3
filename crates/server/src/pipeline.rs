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
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tenfold_context::{Context, Deadline, Moment, RequestId};
use tenfold_overload::Entrance;
use tower_service::Service;

use crate::access_log::AccessLog;
use crate::activity::Activity;
use crate::bytes_in_flight::BytesInFlight;
use crate::caller::{Caller, Peer};
use crate::event_stream::{Draining, ends_with_drain};
use crate::exchange::{AnswerBody, AnswerLimits, Exchange};
use crate::extract::{Resources, Shared, Within};
use crate::hosts::Hosts;
use crate::metrics::ShardMetrics;
use crate::proxies::Proxies;
use crate::request_body::{BodyLimits, BodyState, Progress, RequestBody};
use crate::respond::{Error, Failure};
use crate::route::NoteRoute;
use crate::settings::ServerSettings;
use crate::stream;
use crate::streams::Streams;
use crate::wire::{Fault, HeadLimits};

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

/// What the pipelines of all shards share.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// All stand at the same door.
    pub(crate) door: Entrance,
    pub(crate) bytes: BytesInFlight,
    pub(crate) draining: Draining,
}

/// The way of a request through one shard.
pub(crate) struct Pipeline {
    request_timeout: Duration,
    head: HeadLimits,
    hosts: Hosts,
    body: BodyLimits,
    http2_stream_window: u64,
    answer: AnswerLimits,
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
        process: Process,
        metrics: Arc<ShardMetrics>,
        access_log: AccessLog,
    ) -> Pipeline {
        let Process { door, bytes, draining } = process;
        Pipeline {
            request_timeout: settings.request_timeout,
            head: HeadLimits::of(settings),
            hosts: Hosts::new(&settings.allowed_hosts),
            body: BodyLimits {
                bytes_max: settings.body_max.as_u64(),
                grace: settings.body_timeout,
                bytes_per_second_min: settings.body_rate_min.as_u64(),
            },
            http2_stream_window: settings.http2_stream_window.as_u64(),
            answer: AnswerLimits { source_stall_timeout: settings.source_stall_timeout, bytes },
            compress: settings.rows_compressed,
            door,
            metrics,
            access_log,
            proxies: Proxies::new(settings),
            shared: Arc::new(Shared { resources: app.resources, draining }),
            router: app.router.layer(NoteRoute),
        }
    }

    /// Whether answers may rest: they occupy memory without a place behind the door.
    pub(crate) fn has_room_to_rest(&self) -> bool {
        let bytes = &self.answer.bytes;
        bytes.used() < bytes.max() / 4 * 3
    }

    /// Whether there is no place behind the door.
    pub(crate) fn is_full(&self) -> bool {
        self.door.occupancy().inside >= self.door.limits().places
    }

    /// Answers a request. Dropping the future is the client leaving: whatever it holds goes back.
    pub(crate) fn answer(
        self: Arc<Pipeline>,
        request: Request<Incoming>,
        activity: &Arc<Activity>,
        peer: Arc<Peer>,
    ) -> impl Future<Output = http::Response<AnswerBody>> + Send + use<> {
        // Whom limits and logs go by.
        let address = self.proxies.client(peer.address, request.headers());
        let caller = Caller { address, peer };
        // Named, and given a deadline and a class: everything inside asks the context.
        let context = self.context(&request);
        // In flight until the last byte of the answer, and measured whatever becomes of it.
        let (metrics, access_log) = (self.metrics.clone(), self.access_log.of(address));
        let exchange = Exchange::begin(context.clone(), &request, activity, metrics, access_log);
        if request.version() == Version::HTTP_2 {
            Streams::next_is(activity, exchange.place());
        }
        self.steps(request, caller, context, exchange)
    }

    async fn steps(
        self: Arc<Pipeline>,
        request: Request<Incoming>,
        caller: Caller,
        context: Context,
        exchange: Exchange,
    ) -> http::Response<AnswerBody> {
        // The context is the current one for all that follows, log lines included.
        let steps = async {
            // A panic costs its own request only: the connection and its other requests go on.
            let inside = AssertUnwindSafe(self.inside(request, caller, &context, &exchange));
            let answer = match inside.catch_unwind().await {
                Ok(answer) => answer,
                Err(panic) => Err(Failure::Panicked(panic).into()),
            };
            // The one place where a failure becomes an answer.
            answer.map_or_else(IntoResponse::into_response, |answer| exchange.complete(answer))
        };
        let mut response = context.clone().scope(steps).await;
        // The caller learns the name under which the log knows its request.
        response.headers_mut().insert(REQUEST_ID, header(context.request_id()));
        exchange.answer(response, &self.answer)
    }

    async fn inside(
        &self,
        request: Request<Incoming>,
        caller: Caller,
        context: &Context,
        exchange: &Exchange,
    ) -> Result<Response, Error> {
        // What is too large is refused at once: on HTTP/1.1 the socket has done so already.
        self.fits(&request).map_err(|fault| {
            self.metrics.limited(fault.reason());
            Failure::Fault(fault)
        })?;
        // What is meant for somebody else is not for our handlers.
        if !self.hosts.are_asked(&request) {
            self.metrics.limited("allowed_hosts");
            return Err(Failure::Misdirected.into());
        }
        // A body has its limits: of size, of time, and of what all of them may occupy together.
        let (request, body) = self.limit_body(request, exchange)?;
        // The door bounds what is worked on at once; past a bounded line it refuses in no time.
        let permit = self.door.enter(context).await;
        exchange.hold(permit.inspect_err(|refusal| self.metrics.refused(*refusal))?);
        // Nobody waits for an answer after the deadline, so nobody works on it either.
        let routed = self.route(request, caller);
        let routed = tokio::time::timeout_at(context.deadline().instant(), routed).await;
        let awaits_client = |body: &Arc<BodyState>| body.progress() == Progress::Clients;
        let answer = match routed {
            Ok(answer) => answer,
            Err(_elapsed) if body.as_ref().is_some_and(awaits_client) => Err(self.too_slow()),
            Err(_elapsed) => {
                self.metrics.limited("request_timeout");
                Err(Failure::DeadlinePassed { after: self.request_timeout }.into())
            }
        };
        match body {
            Some(body) => self.blame_body(&body, answer),
            None => answer,
        }
    }

    fn fits(&self, request: &Request<Incoming>) -> Result<(), Fault> {
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        let HeadLimits { uri_bytes_max, fields_max, .. } = self.head;
        if target > uri_bytes_max {
            return Err(Fault::UriTooLong { bytes_max: uri_bytes_max });
        }
        if request.headers().len() > fields_max {
            return Err(Fault::TooManyFields { fields_max });
        }
        Ok(())
    }

    fn limit_body(
        &self,
        request: Request<Incoming>,
        exchange: &Exchange,
    ) -> Result<(Request<Body>, Option<Arc<BodyState>>), Error> {
        if request.body().is_end_stream() {
            return Ok((request.map(|_none| Body::empty()), None));
        }
        // HTTP/1.1 reads what is asked for.
        let http2 = request.version() == Version::HTTP_2;
        let held_max = if http2 { self.http2_stream_window } else { 0 };
        let (head, body) = request.into_parts();
        let Some(body) = RequestBody::new(
            body,
            self.body,
            held_max,
            &self.answer.bytes,
            exchange.seat(&self.door),
        ) else {
            return Err(self.no_room());
        };
        let state = body.state();
        let mut request = Request::from_parts(head, Body::new(body));
        // For a route that has a limit of its own.
        request.extensions_mut().insert(state.clone());
        // axum's own limit of 2 MiB would come first for those who allow more.
        DefaultBodyLimit::disable().apply(&mut request);
        Ok((request, Some(state)))
    }

    async fn route(&self, mut request: Request<Body>, caller: Caller) -> Result<Response, Error> {
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

    /// Where a body came to no good end it is counted, and the answer says so, unless a handler
    /// has given it a form.
    fn blame_body(
        &self,
        body: &BodyState,
        answer: Result<Response, Error>,
    ) -> Result<Response, Error> {
        let failure = match body.progress() {
            Progress::Ours | Progress::Clients => return answer,
            Progress::Broken => Failure::BodyBroken("the client broke it off".into()).into(),
            Progress::TooLarge => {
                self.metrics.limited("body_max");
                Failure::BodyTooLarge { bytes_max: body.bytes_max() }.into()
            }
            Progress::TooSlow => self.too_slow(),
            Progress::NoRoom => self.no_room(),
            Progress::Refused => {
                let refusal = body.refusal();
                self.metrics.refused(refusal);
                Failure::Refused(refusal).into()
            }
        };
        if is_no_answer(&answer) { Err(failure) } else { answer }
    }

    fn too_slow(&self) -> Error {
        self.metrics.limited("body_timeout");
        Failure::BodyTooSlow.into()
    }

    fn no_room(&self) -> Error {
        self.metrics.limited("bytes_in_flight_max");
        Failure::NoRoom.into()
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

/// Whether a failed body is all that an answer can be about: it is an error, and no handler has
/// given it a form.
fn is_no_answer(answer: &Result<Response, Error>) -> bool {
    let Ok(response) = answer else { return true };
    let status = response.status();
    let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    (status.is_client_error() || status.is_server_error())
        && content_type.is_none_or(|content_type| content_type.starts_with(b"text/plain"))
}
