//! One connection from its first byte to its last: every limit that hyper has is set here, and
//! those that it has not (silence before the first request, a reader that stalls) are watched.

use std::convert::Infallible;
use std::io;
use std::net::TcpStream as StdTcpStream;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::BoxError;
use futures_util::FutureExt;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tenfold_context::{Deadline, Moment};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::activity::{Activity, Patience, Stage, Verdict};
use crate::caller::Peer;
use crate::drain::{self, Phase};
use crate::metrics::{Cut, ShardMetrics};
use crate::pipeline::Pipeline;
use crate::proxies::{IntroductionError, Proxies, introduced};
use crate::settings::ServerSettings;
use crate::socket::{Place, Socket};
use crate::tls::{HandshakeError, Handshakes};

/// What HTTP/2 may hold in memory for one answer that its reader does not take.
const HTTP2_SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Time in which a silent HTTP/2 client answers a ping, or is taken for dead.
const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What the connections of one shard share.
pub(crate) struct Connections {
    http: Builder<TokioExecutor>,
    handshakes: Option<Handshakes>,
    proxies: Proxies,
    patience: Patience,
    pipeline: Arc<Pipeline>,
    metrics: Arc<ShardMetrics>,
    phase: watch::Receiver<Phase>,
}

impl Connections {
    pub(crate) fn new(
        settings: &ServerSettings,
        handshakes: Option<Handshakes>,
        pipeline: Pipeline,
        metrics: Arc<ShardMetrics>,
        phase: watch::Receiver<Phase>,
    ) -> Connections {
        Connections {
            http: http(settings),
            handshakes,
            proxies: Proxies::new(settings),
            patience: Patience {
                first_request: settings.first_request_timeout,
                idle: settings.idle_timeout,
                stall: settings.write_stall_timeout,
            },
            pipeline: Arc::new(pipeline),
            metrics,
            phase,
        }
    }

    /// Serves a connection to its end. Runs on the shard whose it is.
    pub(crate) async fn serve(self: Arc<Connections>, stream: StdTcpStream, place: Place) {
        let activity = Arc::new(Activity::opened(Moment::now()));
        let (socket, peer) = match self.open(stream, place).await {
            Ok(opened) => opened,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "connection not opened");
                return error.cut().into_iter().for_each(|cut| self.metrics.cut(cut));
            }
        };
        if let Err(cut) = self.http(socket, activity, Arc::new(peer)).await {
            self.metrics.cut(cut);
        }
    }

    async fn open(&self, stream: StdTcpStream, place: Place) -> Result<(Socket, Peer), OpenError> {
        // An answer must not wait in the kernel for the next one.
        stream.set_nodelay(true)?;
        let stream = TcpStream::from_std(stream)?;
        let mut stream = stream;
        let mut peer = Peer { address: stream.peer_addr()?.ip().to_canonical(), certificate: None };
        let deadline = Deadline::after(self.patience.first_request);
        if self.proxies.introduce(peer.address) {
            let introduced = introduced(&mut stream, deadline).await;
            self.metrics.introduced(&introduced);
            peer.address = introduced?.unwrap_or(peer.address);
        }
        let Some(handshakes) = &self.handshakes else {
            return Ok((Socket::clear(stream, place), peer));
        };
        let stream = handshakes.shake(stream, deadline).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        peer.certificate = shown.map(|certificate| certificate.clone().into_owned());
        Ok((Socket::tls(stream, place), peer))
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
                let answer = pipeline.clone().answer(request, activity.clone(), peer.clone());
                answer.map(Ok::<_, Infallible>)
            })
        };
        let io = TokioIo::new(socket);
        // With upgrades, so that WebSockets work.
        let mut connection = pin!(self.http.serve_connection_with_upgrades(io, service));
        let mut phase = self.phase.clone();
        let mut stage = Stage::Serving;
        let mut look = pin!(tokio::time::sleep(Duration::ZERO));
        loop {
            let now = Moment::now();
            match activity.verdict(now, stage, self.patience) {
                Verdict::Keep(until) => look.as_mut().reset(until.instant()),
                Verdict::Cut(cut) => return Err(cut),
                Verdict::End => {
                    stage = Stage::Ending { since: now };
                    connection.as_mut().graceful_shutdown();
                    continue;
                }
            }
            tokio::select! {
                result = connection.as_mut() => return judge(result),
                () = look.as_mut() => {}
                next = drain::next(&mut phase) => match next {
                    Phase::Ended => return Err(Cut::Drain),
                    Phase::Serving | Phase::Draining => {
                        activity.drain();
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
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl OpenError {
    fn cut(&self) -> Option<Cut> {
        match self {
            // It was the client who ended it.
            OpenError::Socket(_) => None,
            OpenError::Introduction(_) => Some(Cut::Proxy),
            OpenError::Handshake(_) => Some(Cut::Handshake),
        }
    }
}

/// Everything that hyper can limit. A limit that is not set here is hyper's default on purpose:
/// 100 headers (setting it costs an allocation per request), no half-closed connections, the
/// date header. `pipeline_flush` stays off, because it takes the bound off the write buffer.
fn http(settings: &ServerSettings) -> Builder<TokioExecutor> {
    let header_bytes_max = settings.header_max.as_usize();
    let mut http = Builder::new(TokioExecutor::new());
    // Without a timer hyper has no time limit at all, whatever is set.
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(settings.header_timeout)
        .max_buf_size(header_bytes_max);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.http2_streams_max)
        .initial_stream_window_size(small(settings.http2_stream_window.as_u64()))
        .initial_connection_window_size(small(settings.http2_connection_window.as_u64()))
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

/// A client that goes away is no event. Neither is one that lets its connection idle on
/// HTTP/1.1, which hyper ends with a timeout. What is left broke the protocol.
fn judge(result: Result<(), BoxError>) -> Result<(), Cut> {
    let Err(error) = result else { return Ok(()) };
    let hyper = error.downcast_ref::<hyper::Error>();
    if hyper.is_some_and(hyper::Error::is_timeout) {
        return Err(Cut::Idle);
    }
    if hyper.is_some_and(hyper::Error::is_parse) {
        return Err(Cut::Protocol);
    }
    tracing::debug!(error = &*error as &(dyn std::error::Error + 'static), "connection broke");
    Ok(())
}
