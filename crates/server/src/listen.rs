//! The port: opens it, takes in as many as there is room for, and gives each connection to the
//! shard that has the fewest.
//!
//! What is not accepted costs nothing: at the bound, new connections wait in the kernel's queue,
//! and one that gives up there has cost no core a microsecond. A single socket that is shared
//! out beats one socket per shard with `SO_REUSEPORT`: the kernel would hash long-lived HTTP/2
//! connections unevenly, would send a stalled shard its share, and would reset what waits in a
//! socket's queue when it closes.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tenfold_context::{Deadline, Moment};
use tenfold_overload::{Entrance, Limits};
use tenfold_runtime::ShardHandle;
use tenfold_telemetry::log::LogSettings;
use tenfold_telemetry::metrics::{Gauge, Registry};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::access_log::AccessLog;
use crate::connection::Connections;
use crate::drain::{DrainTimes, Phase};
use crate::metrics::{AcceptMetrics, ShardMetrics};
use crate::pipeline::{App, Pipeline};
use crate::settings::ServerSettings;
use crate::socket::Place;
use crate::tls::{self, TlsError};

/// Connections that wait in the kernel. It takes fewer if `net.core.somaxconn` says so.
const BACKLOG: i32 = 4096;

/// A shard whose event loop is this late gets no new connection while another one is well.
const LAG_MAX: Duration = Duration::from_millis(100);

/// How long the end of accepting looks for the next one in the kernel's queue, and in all: under
/// a stream of new connections the queue is never empty.
const QUEUE_LOOK: Duration = Duration::from_millis(10);
const QUEUE_LOOKS_MAX: Duration = Duration::from_millis(100);

/// After a failure to accept: long enough not to spin, short enough not to be felt.
const BACKOFF_FIRST: Duration = Duration::from_millis(5);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// Why the port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process has it.
    #[error("{address} is in use: another process listens there; choose another `{setting}`")]
    InUse {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
    },
    /// The system does not let this user have it.
    #[error(
        "{address} is not permitted: ports below 1024 need a privilege; choose another `{setting}`"
    )]
    NotPermitted {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
    },
    /// The machine has no such address.
    #[error(
        "{address} is not available: this machine has no such address; choose another `{setting}`"
    )]
    NotAvailable {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
    },
    /// Something else.
    #[error("cannot listen on {address} (`{setting}`): {cause}")]
    Other {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
        /// What the system said.
        cause: io::Error,
    },
}

/// Why the server could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartServerError {
    /// The port could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The certificate and key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Opens a port; `setting` is the key that a message tells to change.
pub(crate) fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait until the connections of the last run are forgotten.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    listen().map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, setting },
        io::ErrorKind::PermissionDenied => BindError::NotPermitted { address, setting },
        io::ErrorKind::AddrNotAvailable => BindError::NotAvailable { address, setting },
        _ => BindError::Other { address, setting, cause },
    })
}

/// A server whose port is open: connections wait in the kernel until [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    settings: ServerSettings,
    access_log: AccessLog,
    registry: Registry,
}

impl Server {
    /// Reads the certificate, if there is one, and opens the port.
    ///
    /// # Errors
    /// Names the file or the address, and what is wrong with it.
    pub fn bind(
        settings: &ServerSettings,
        log: &LogSettings,
        registry: &Registry,
    ) -> Result<Server, StartServerError> {
        let tls = tls::config(settings)?;
        let listener = bind(settings.listen, "server.listen")?;
        Ok(Server {
            address: listener.local_addr().unwrap_or(settings.listen),
            listener,
            tls,
            settings: settings.clone(),
            access_log: AccessLog::new(log),
            registry: registry.clone(),
        })
    }

    /// Where it listens; with port 0 in the settings, the port that the system chose.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections in, from the runtime that this is called on, and gives them to the
    /// shards. `app` says what each shard serves, by its number.
    ///
    /// # Errors
    /// When the system cannot watch the port.
    ///
    /// # Panics
    /// Outside of a tokio runtime, and without any shard.
    pub fn serve(
        self,
        shards: &[ShardHandle],
        mut app: impl FnMut(usize) -> App,
    ) -> io::Result<Serving> {
        assert!(!shards.is_empty(), "a server needs a shard");
        let (phase, phases) = watch::channel(Phase::Serving);
        let settings = &self.settings;
        let door = Entrance::new(Limits {
            places: settings.requests_in_flight_max,
            waiting_max: settings.requests_waiting_max,
        });
        let shard = |handle: &ShardHandle| {
            let metrics = Arc::new(ShardMetrics::new(&self.registry));
            let (app, door) = (app(handle.index()), door.clone());
            let pipeline = Pipeline::new(app, settings, door, metrics.clone(), self.access_log);
            let (tls, phases) = (self.tls.clone(), phases.clone());
            let connections = Connections::new(settings, tls, pipeline, metrics.clone(), phases);
            let open = metrics.connections.clone();
            Shard { handle: handle.clone(), connections: Arc::new(connections), open }
        };
        let shards: Vec<_> = shards.iter().map(shard).collect();
        let open = shards.iter().map(|shard| shard.open.clone()).collect();
        let places = Arc::new(Semaphore::new(settings.connections_max));
        let (stop, stopped) = watch::channel(false);
        let acceptor = Acceptor {
            listener: tokio::net::TcpListener::from_std(self.listener)?,
            shards,
            places: places.clone(),
            metrics: AcceptMetrics::new(&self.registry),
            stopped,
        };
        Ok(Serving {
            address: self.address,
            phase,
            stop,
            accepting: tokio::spawn(acceptor.run()),
            places,
            places_max: settings.connections_max,
            open,
            drain_times: DrainTimes {
                delay: settings.drain_delay,
                timeout: settings.drain_timeout,
            },
        })
    }
}

/// A server that lets connections in. Dropping it cuts all of them off;
/// [`Serving::drain`] is the orderly end.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    phase: watch::Sender<Phase>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    places: Arc<Semaphore>,
    places_max: usize,
    /// Each shard's part of the number of open connections.
    open: Vec<Gauge>,
    drain_times: DrainTimes,
}

impl Serving {
    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open now, those that have become WebSockets included.
    pub fn connections_open(&self) -> usize {
        let open: i64 = self.open.iter().map(Gauge::get).sum();
        usize::try_from(open).unwrap_or(0)
    }

    pub(crate) fn drain_times(&self) -> DrainTimes {
        self.drain_times
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Closes the port once those in its queue are in.
    pub(crate) async fn stop_accepting(&self) {
        self.stop.send_replace(true);
        self.stop.closed().await;
    }

    /// Waits until no connection is open. Call it when nobody new can come.
    pub(crate) async fn all_ended(&self) {
        let all = u32::try_from(self.places_max).unwrap_or(u32::MAX);
        // An error would mean that somebody had closed the semaphore, which nobody does.
        let _all = self.places.acquire_many(all).await;
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// A shard, and what its connections share.
struct Shard {
    handle: ShardHandle,
    connections: Arc<Connections>,
    open: Gauge,
}

/// Takes connections out of the kernel's queue.
struct Acceptor {
    listener: tokio::net::TcpListener,
    shards: Vec<Shard>,
    places: Arc<Semaphore>,
    metrics: AcceptMetrics,
    stopped: watch::Receiver<bool>,
}

impl Acceptor {
    async fn run(self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept() => {}
            // An error means that the server is gone, which stops it as well.
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        self.empty_queue().await;
    }

    /// Lets in one after the other, for ever.
    async fn accept(&self) {
        let mut backoff = BACKOFF_FIRST;
        loop {
            // The place first: whoever is accepted must be served.
            let place = self.place().await;
            match self.listener.accept().await.and_then(|(stream, _peer)| stream.into_std()) {
                Ok(stream) => {
                    backoff = BACKOFF_FIRST;
                    self.hand_over(stream, place);
                }
                // It had left before its turn.
                Err(error) if is_the_clients(&error) => {}
                // No file descriptors or no memory: the next attempt would fail as well, and
                // the queue stays readable, so a loop without a pause would burn the core.
                Err(error) => {
                    self.metrics.failed.increment();
                    tracing::error!(
                        error = &error as &dyn Error,
                        pause_ms = backoff.as_millis() as u64,
                        "accept failed"
                    );
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                }
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return place;
        }
        self.metrics.full.increment();
        let place = self.places.clone().acquire_owned().await;
        place.expect("nobody closes the semaphore")
    }

    /// Lets in those who wait, as far as there is room, without waiting for more.
    async fn empty_queue(&self) {
        let deadline = Deadline::after(QUEUE_LOOKS_MAX);
        while let Ok(place) = self.places.clone().try_acquire_owned()
            && !deadline.is_past(Moment::now())
        {
            // A timeout, and not a single poll: tokio asks the system only after it was told
            // that somebody waits, which takes a turn of its event loop.
            let accepted = tokio::time::timeout(QUEUE_LOOK, self.listener.accept()).await;
            match accepted.map(|accepted| accepted.and_then(|(stream, _peer)| stream.into_std())) {
                Ok(Ok(stream)) => self.hand_over(stream, place),
                Ok(Err(error)) if is_the_clients(&error) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let least = |shard: &&Shard| (shard.handle.lag() > LAG_MAX, shard.handle.connections());
        let Some(shard) = self.shards.iter().min_by_key(least) else { return };
        let place = Place::take(permit, shard.handle.connect(), shard.open.clone());
        shard.handle.spawn(shard.connections.clone().serve(stream, place));
    }
}

/// Whether the connection failed and not the port.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let taken = bind(([127, 0, 0, 1], 0).into(), "server.listen").unwrap();
        let address = taken.local_addr().unwrap();
        let said = bind(address, "server.listen").unwrap_err().to_string();
        assert!(said.starts_with(&format!("{address} is in use")), "{said}");
        assert!(said.ends_with("`server.listen`"), "{said}");
    }

    #[test]
    fn an_address_of_another_machine_is_not_available() {
        let error = bind(([192, 0, 2, 1], 0).into(), "server.listen").unwrap_err();
        assert!(matches!(error, BindError::NotAvailable { .. }), "{error}");
    }
}
