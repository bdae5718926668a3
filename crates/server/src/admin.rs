//! The port of the one who runs the service. It has a thread and a runtime of its own, so that
//! health and metrics answer while every shard is stalled and the machine is drowning.

mod decided;
mod pages;

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::bind::{BindError, bind};
use crate::settings::AdminSettings;

pub use decided::Decided;
pub use pages::{AdminPages, BuildInfo};

/// A probe, a scraper and a few people: more than that is a mistake, and waits.
const CONNECTIONS_MAX: usize = 64;

/// Time for a request's head, and for a connection to stay without one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for a whole connection, so that readers who stop do not use up the places.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);

/// After a failure to accept, such as having no file descriptor.
const BACKOFF: Duration = Duration::from_millis(100);

/// The running admin port. Dropping it closes the port.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Why the admin port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartAdminError {
    /// The port could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system has no thread or no event queue for it.
    #[error("the thread of the admin port cannot be started: {0}")]
    Thread(#[source] io::Error),
}

impl Admin {
    /// Opens the port and answers on it from here on.
    ///
    /// # Errors
    /// Says which address, and why not.
    pub fn start(settings: &AdminSettings, pages: AdminPages) -> Result<Admin, StartAdminError> {
        let listener = bind(settings.listen, "admin.listen")?;
        let address = listener.local_addr().unwrap_or(settings.listen);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(StartAdminError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, Arc::new(pages)) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(serve);
        let thread = thread.map_err(StartAdminError::Thread)?;
        Ok(Admin { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Nothing on it blocks; a panic there has been reported by the hook.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, pages: Arc<AdminPages>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            return tracing::error!(error = &error as &dyn Error, "admin port does not work");
        }
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _peer)) => {
                tokio::spawn(serve(stream, pages.clone(), place));
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn Error, "accept on the admin port failed");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, pages: Arc<AdminPages>, _place: OwnedSemaphorePermit) {
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let answer = pages.answer(request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    // Whatever becomes of the connection is the client's business.
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
}
