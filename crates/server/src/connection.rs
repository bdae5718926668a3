//! One connection from its first byte to its last: every limit that hyper has is set here, and
//! those that it has not (silence before the first request, heads apart from idleness, a reader
//! that stalls, age) are watched, with one timer for all of them that is not touched by requests.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, TcpStream as StdTcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::BoxError;
use futures_util::FutureExt;
use futures_util::future::poll_fn;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tenfold_context::{Deadline, Moment};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::activity::{self, Activity, Lifetime, Patience, Stage, Verdict};
use crate::caller::Peer;
use crate::drain::{self, Phase};
use crate::metrics::{Cut, ShardMetrics};
use crate::per_address::PerAddress;
use crate::pipeline::Pipeline;
use crate::proxies::{IntroductionError, Proxies, introduced};
use crate::settings::ServerSettings;
use crate::socket::{Place, Socket};
use crate::streams::Streams;
use crate::tls::{HandshakeError, Handshakes};
use crate::upgraded::Stay;
use crate::wire::WireLimits;

/// What HTTP/2 may hold in memory for one answer that its reader does not take.
const HTTP2_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// The least that the protocol allows; more would only be a larger piece of memory at once.
const HTTP2_FRAME_BYTES_MAX: u32 = 16 * 1024;

/// What hyper's buffer on HTTP/1.1 holds more than a head.
const HTTP1_BUFFER_BYTES_MORE: usize = 8 * 1024;

/// Time in which a silent HTTP/2 client answers a ping, or is taken for dead.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// An answer whose reader takes nothing for so long gives its place behind the door to others, and
/// goes on without: it occupies memory, which has its own bound, and no core. It loses nothing by
/// that, so this may be as short as a round trip. Nor does it wait until others need the place: to
/// be in time for that it would have to look ten times a second, which took five hundred of them
/// a twentieth of a core, and many of them at the same moment.
const READER_REST: Duration = Duration::from_millis(100);

/// When there is no room for more such answers, and no place left either, readers have this long
/// and not `server.write_stall_timeout`: there are others who would read at once.
const PRESSED_STALL: Duration = Duration::from_secs(5);

/// What the connections of one shard share.
pub(crate) struct Connections {
    http: Builder<Streams>,
    handshakes: Option<Handshakes>,
    proxies: Proxies,
    per_address: PerAddress,
    patience: Patience,
    stay: Stay,
    lifetime: Lifetime,
    wire: WireLimits,
    pipeline: Arc<Pipeline>,
    metrics: Arc<ShardMetrics>,
    phase: watch::Receiver<Phase>,
}

impl Connections {
    pub(crate) fn new(
        settings: &ServerSettings,
        handshakes: Option<Handshakes>,
        per_address: PerAddress,
        pipeline: Pipeline,
        metrics: Arc<ShardMetrics>,
        phase: watch::Receiver<Phase>,
    ) -> Connections {
        Connections {
            http: http(settings),
            handshakes,
            proxies: Proxies::new(settings),
            per_address,
            patience: Patience {
                first_request: settings.first_request_timeout,
                header: settings.header_timeout,
                idle: settings.idle_timeout,
                stall: settings.write_stall_timeout,
                rest: READER_REST,
            },
            stay: Stay {
                idle_max: settings.upgraded_idle_timeout,
                age_max: settings.upgraded_age_max,
            },
            lifetime: Lifetime {
                age_max: settings.connection_age_max,
                requests_max: settings.connection_requests_max,
            },
            wire: WireLimits::of(settings),
            pipeline: Arc::new(pipeline),
            metrics,
            phase,
        }
    }

    /// Serves a connection to its end. Runs on the shard whose it is.
    pub(crate) async fn serve(
        self: Arc<Connections>,
        stream: StdTcpStream,
        address: IpAddr,
        place: Place,
    ) {
        let lifetime = self.lifetime.by_chance();
        let activity = Arc::new(Activity::opened(Moment::now(), lifetime));
        let opened = tokio::select! {
            biased;
            opened = self.open(stream, address, place, &activity) => opened,
            () = drain::ended(self.phase.clone()) => Err(OpenError::DrainEnded),
        };
        let (socket, peer) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection not opened");
                return error.cut().into_iter().for_each(|cut| self.metrics.cut(cut));
            }
        };
        let mut ended = self.http(socket, activity.clone(), Arc::new(peer)).await;
        // A handler has the socket now, if the upgrade came about.
        if let (Ok(()), Some(upgraded)) = (ended, activity.upgraded()) {
            ended = upgraded.watch(self.stay, self.phase.clone()).await;
        }
        if let Err(cut) = ended {
            self.metrics.cut(cut);
        }
    }

    async fn open(
        &self,
        stream: StdTcpStream,
        address: IpAddr,
        mut place: Place,
        activity: &Arc<Activity>,
    ) -> Result<(Socket, Peer), OpenError> {
        let (activity, metrics) = (activity.clone(), self.metrics.clone());
        // An answer must not wait in the kernel for the next one.
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream)?;
        let mut peer = Peer { address, certificate: None };
        let deadline = Deadline::after(self.patience.first_request);
        if self.handshakes.is_some() || self.proxies.introduce(address) {
            // Who has said nothing when the drain begins loses nothing by it. The time for the first
            // byte is that of what it belongs to.
            tokio::select! {
                biased;
                _readable = timeout_at(deadline.instant(), stream.readable()) => {}
                () = activity::last_request_is_over(self.phase.clone()) => {
                    return Err(OpenError::Drained);
                }
            }
        }
        if self.proxies.introduce(address) {
            let introduced = introduced(&mut stream, deadline).await;
            self.metrics.introduced(&introduced);
            if let Some(client) = introduced? {
                let one_of_address = self.per_address.connect(client);
                place.belongs_to(one_of_address.ok_or(OpenError::TooMany { address: client })?);
                peer.address = client;
            }
        }
        let Some(handshakes) = &self.handshakes else {
            return Ok((Socket::clear(stream, place, self.wire, activity, metrics), peer));
        };
        let stream = handshakes.shake(stream, deadline).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        peer.certificate = shown.map(|certificate| certificate.clone().into_owned());
        Ok((Socket::tls(stream, place, self.wire, activity, metrics), peer))
    }

    /// How long the readers on a connection may make us wait, as things are. Those who do so for
    /// longer than a moment give their places to others.
    fn patience(&self, activity: &Activity, now: Moment) -> Patience {
        if !activity.has_readers() {
            return self.patience;
        }
        if self.pipeline.has_room_to_rest() {
            activity.rest(now, self.patience);
            return self.patience;
        }
        if !self.pipeline.is_full() {
            return self.patience;
        }
        Patience { stall: self.patience.stall.min(PRESSED_STALL), ..self.patience }
    }

    async fn http(
        &self,
        socket: Socket,
        activity: Arc<Activity>,
        peer: Arc<Peer>,
    ) -> Result<(), Cut> {
        let service = {
            let (pipeline, activity) = (self.pipeline.clone(), activity.clone());
            service_fn(move |request: Request<Incoming>| {
                let answer = pipeline.clone().answer(request, &activity, peer.clone());
                answer.map(Ok::<_, Infallible>)
            })
        };
        let io = TokioIo::new(socket);
        // With upgrades, so that WebSockets work.
        let mut connection = pin!(self.http.serve_connection_with_upgrades(io, service));
        let mut phase = self.phase.clone();
        let mut stage = Stage::Serving;
        // Whether it is counted already why it is to end.
        let mut told = false;
        let mut look = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            let now = Moment::now();
            let watched = activity.has_readers();
            let patience = self.patience(&activity, now);
            for _ in 0..activity.end_stalled(now, patience) {
                self.metrics.cut(Cut::Stalled);
            }
            match activity.verdict(now, stage, patience) {
                Verdict::Keep(until) => look.as_mut().reset(until.instant()),
                Verdict::Cut(Cut::Idle) if told => return Ok(()),
                Verdict::Cut(cut) => return Err(cut),
                Verdict::End(reason) => {
                    told = reason.is_some();
                    reason.into_iter().for_each(|reason| self.metrics.cut(reason));
                    stage = Stage::Ending { since: now };
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
                Verdict::LastAnswer(reason) => {
                    self.metrics.cut(reason);
                    activity.next_answer_is_the_last();
                    continue;
                }
                Verdict::Refuse => {
                    stage = Stage::Refused { since: now };
                    activity.expect(activity::Incoming::TooLate);
                    continue;
                }
            }
            let used_up = |stage| stage == Stage::Serving && activity.is_used_up();
            let step = poll_fn(|cx| match connection.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(Step::Ended(result)),
                Poll::Pending if used_up(stage) => Poll::Ready(Step::UsedUp),
                Poll::Pending if !watched && activity.has_readers() => Poll::Ready(Step::Watch),
                Poll::Pending => Poll::Pending,
            });
            tokio::select! {
                biased;
                step = step => match step {
                    Step::Ended(result) => {
                        if used_up(stage) {
                            self.metrics.cut(Cut::Requests);
                        }
                        // It was the socket that said so, and h2 that ended it.
                        return match judge(result) {
                            Err(Cut::Flood) if activity.incoming() == activity::Incoming::Flood => {
                                Err(Cut::ControlFrames)
                            }
                            judged => judged,
                        };
                    }
                    Step::Watch => {}
                    Step::UsedUp => {
                        self.metrics.cut(Cut::Requests);
                        stage = Stage::Ending { since: Moment::now() };
                        // On HTTP/1.1 its answer says so.
                        if activity.is_http2() {
                            connection.as_mut().graceful_shutdown();
                        }
                    }
                },
                () = look.as_mut() => {}
                next = drain::next(&mut phase) => match next {
                    Phase::Ended => return Err(Cut::Drain),
                    Phase::Serving | Phase::Draining => {
                        activity.next_answer_is_the_last();
                        stage = stage.drain(Moment::now());
                    }
                },
            }
        }
    }
}

/// Why a connection did not come as far as HTTP.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Socket(#[from] io::Error),
    #[error(transparent)]
    Introduction(#[from] IntroductionError),
    #[error("{address} has as many connections as it may have")]
    TooMany { address: IpAddr },
    #[error("it had said nothing when the server began to drain")]
    Drained,
    #[error("it had not come so far when the drain was over")]
    DrainEnded,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl OpenError {
    fn cut(&self) -> Option<Cut> {
        match self {
            // It was the client who ended it, or it had not begun.
            OpenError::Socket(_) | OpenError::Drained => None,
            OpenError::DrainEnded => Some(Cut::Drain),
            OpenError::Introduction(_) => Some(Cut::Proxy),
            OpenError::TooMany { .. } => Some(Cut::Address),
            OpenError::Handshake(_) => Some(Cut::Handshake),
        }
    }
}

/// What hyper has come to with a connection.
enum Step {
    Ended(Result<(), BoxError>),
    /// It has had the last request that it may have.
    UsedUp,
    /// A reader has not taken all that was ready for it.
    Watch,
}

/// Everything that hyper can limit. A limit that is not set here is hyper's default on purpose:
/// no half-closed connections, the date header; and hyper's timer for heads is off, because it is
/// the one for idleness as well, and armed for each request. `pipeline_flush` stays off, because it takes the bound off the write buffer.
fn http(settings: &ServerSettings) -> Builder<Streams> {
    // The socket's own limit comes first, and says which it is.
    let buffer_bytes_max = settings.header_max.as_usize() + HTTP1_BUFFER_BYTES_MORE;
    let mut http = Builder::new(Streams);
    http.http1().header_read_timeout(None).max_buf_size(buffer_bytes_max);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.http2_streams_max)
        .initial_stream_window_size(small(settings.http2_stream_window.as_u64()))
        .initial_connection_window_size(small(settings.http2_connection_window.as_u64()))
        .max_frame_size(HTTP2_FRAME_BYTES_MAX)
        .max_send_buf_size(HTTP2_SEND_BUFFER_BYTES)
        .max_header_list_size(small(settings.header_max.as_u64()))
        .keep_alive_interval(settings.http2_ping_interval)
        .keep_alive_timeout(HTTP2_PING_TIMEOUT)
        // Rapid reset (CVE-2023-44487): requests that are taken back before they begin.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(1024);
    http
}

fn small(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A client that goes away is no event. What is left broke the protocol, or flooded us.
fn judge(result: Result<(), BoxError>) -> Result<(), Cut> {
    let Err(error) = result else { return Ok(()) };
    let hyper = error.downcast_ref::<hyper::Error>();
    if hyper.is_some_and(hyper::Error::is_timeout) {
        return Err(Cut::Silent);
    }
    // HTTP/1.1 that cannot be read has been refused, and counted, by the socket.
    let http2 =
        hyper.and_then(std::error::Error::source).and_then(|h2| h2.downcast_ref::<h2::Error>());
    let reason = http2.filter(|error| error.is_library()).and_then(h2::Error::reason);
    match reason {
        Some(h2::Reason::NO_ERROR) | None => {}
        Some(h2::Reason::ENHANCE_YOUR_CALM) => return Err(Cut::Flood),
        Some(_) => return Err(Cut::Protocol),
    }
    tracing::debug!(error = &*error as &(dyn std::error::Error + 'static), "connection broke");
    Ok(())
}
