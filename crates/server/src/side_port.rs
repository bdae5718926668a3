//! A small port beside the service's own, with a thread and a runtime of its own: whatever happens
//! on the shards, it answers, and whatever happens on it, the shards do not notice.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// After a failure to accept, such as having no file descriptor.
const BACKOFF: Duration = Duration::from_millis(100);

/// How long the end of the port waits for answers that are being sent.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

/// What its clients may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SideLimits {
    /// How many at once; more wait in the kernel.
    pub(crate) connections_max: usize,
    /// Time for a request's head, and for a connection to stay without one.
    pub(crate) header_timeout: Duration,
    /// Time for a whole connection.
    pub(crate) connection_timeout: Duration,
    /// Whether a connection may ask more than once.
    pub(crate) keep_alive: bool,
}

/// The running port. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct SidePort {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl SidePort {
    /// Answers on an open port from here on. `answer` must not block.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue.
    pub(crate) fn start(
        name: &'static str,
        listener: TcpListener,
        limits: SideLimits,
        answer: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
    ) -> io::Result<SidePort> {
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let address = listener.local_addr().unwrap_or(unknown);
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let places = Arc::new(Semaphore::new(limits.connections_max));
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(name, listener, limits, Arc::new(answer), &places) => {}
                    _ = stopped => {}
                }
                // Who is being answered gets the rest of it.
                let all = u32::try_from(limits.connections_max).unwrap_or(u32::MAX);
                let _all_ended = tokio::time::timeout(LAST_ANSWERS, places.acquire_many(all)).await;
            });
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(serve)?;
        Ok(SidePort { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SidePort {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nothing on it blocks; a panic there has been reported by the hook.
            let _ = thread.join();
        }
    }
}

async fn accept<F>(
    name: &'static str,
    listener: TcpListener,
    limits: SideLimits,
    answer: Arc<F>,
    places: &Arc<Semaphore>,
) where
    F: Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::error!(
                port = name,
                error = &error as &dyn Error,
                "port does not work"
            );
        }
    };
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _peer)) => {
                tokio::spawn(serve(stream, limits, answer.clone(), place));
            }
            Err(error) => {
                tracing::error!(port = name, error = &error as &dyn Error, "accept failed");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

async fn serve<F>(
    stream: TcpStream,
    limits: SideLimits,
    answer: Arc<F>,
    _place: OwnedSemaphorePermit,
) where
    F: Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .keep_alive(limits.keep_alive)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever becomes of the connection is the client's business.
    let _ = tokio::time::timeout(limits.connection_timeout, connection).await;
}
