//! The port: opens it, takes in as many as there is room for, and gives each connection to the
//! shard that has the fewest.
//!
//! What is not accepted costs nothing: at the bound, new connections wait in the kernel's queue,
//! and one that gives up there has cost no core a microsecond. A single socket that is shared
//! out beats one socket per shard with `SO_REUSEPORT`: the kernel would hash long-lived HTTP/2
//! connections unevenly, would send a stalled shard its share, and would reset what waits in a
//! socket's queue when it closes.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::SockRef;
use tenfold_overload::{Entrance, Limits};
use tenfold_runtime::ShardHandle;
use tenfold_telemetry::log::LogSettings;
use tenfold_telemetry::metrics::{Gauge, Registry};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

use crate::accept::{Acceptor, Shard};
use crate::access_log::AccessLog;
use crate::bind::{BindError, bind};
use crate::bytes_in_flight::BytesInFlight;
use crate::connection::Connections;
use crate::drain::{DrainTimes, Phase};
use crate::event_stream::Draining;
use crate::files::connections_possible;
use crate::handover::Handover;
use crate::metrics::{AcceptMetrics, ShardMetrics, watch_bytes, watch_door};
use crate::per_address::PerAddress;
use crate::pipeline::{App, Pipeline, Process};
use crate::proxies::Proxies;
use crate::redirect::Redirect;
use crate::settings::ServerSettings;
use crate::tls::{Handshakes, Reload, Tls, TlsError, Watch};

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

/// Ports that somebody else has opened, such as systemd.
#[derive(Debug, Default)]
pub struct OpenPorts {
    /// Instead of `server.listen`.
    pub server: Option<TcpListener>,
    /// Instead of `server.redirect_listen`.
    pub redirect: Option<TcpListener>,
}

/// A server whose port is open: connections wait in the kernel until [`Server::serve`].
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    /// For those who come in cleartext, if the settings want it.
    redirect: Option<TcpListener>,
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
        Server::bind_or_adopt(settings, OpenPorts::default(), log, registry)
    }

    /// The same, with ports that are open already: those are used instead of `server.listen` and
    /// `server.redirect_listen`.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn bind_or_adopt(
        settings: &ServerSettings,
        open: OpenPorts,
        log: &LogSettings,
        registry: &Registry,
    ) -> Result<Server, StartServerError> {
        let tls = Tls::load(settings, registry)?;
        let listener = match open.server {
            Some(listener) => listener,
            None => bind(settings.listen, "server.listen")?,
        };
        let redirect = match (open.redirect, settings.redirect_listen) {
            (Some(listener), _) => Some(listener),
            (None, Some(address)) => Some(bind(address, "server.redirect_listen")?),
            (None, None) => None,
        };
        if redirect.is_some() && tls.is_none() {
            return Err(TlsError::NoTls { given: "redirect_listen" }.into());
        }
        Ok(Server {
            address: listener.local_addr().unwrap_or(settings.listen),
            listener,
            redirect,
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
        watch_door(&self.registry, &door);
        let bytes = BytesInFlight::new(settings.bytes_in_flight_max.as_u64());
        watch_bytes(&self.registry, &bytes);
        let process = Process { door, bytes, draining: Draining::new(phases.clone(), settings) };
        let per_address = PerAddress::new(settings.connections_per_address_max);
        let shard = |handle: &ShardHandle| {
            let metrics = Arc::new(ShardMetrics::new(&self.registry));
            let app = app(handle.index());
            let (process, metrics_too) = (process.clone(), metrics.clone());
            let pipeline = Pipeline::new(app, settings, process, metrics_too, self.access_log);
            let handshakes = self.tls.clone().map(|tls| {
                Handshakes::new(tls, (settings.tls_handshakes_max / shards.len()).max(1))
            });
            let (per_address, phases, metrics_too) =
                (per_address.clone(), phases.clone(), metrics.clone());
            let connections =
                Connections::new(settings, handshakes, per_address, pipeline, metrics_too, phases);
            let open = metrics.connections.clone();
            Shard { handle: handle.clone(), connections: Arc::new(connections), open }
        };
        let shards: Vec<_> = shards.iter().map(shard).collect();
        let open = shards.iter().map(|shard| shard.open.clone()).collect();
        let connections_max = connections_possible(settings.connections_max);
        let places = Arc::new(Semaphore::new(connections_max));
        let watch = |tls: &Arc<Tls>| Watch::start(tls.clone(), settings.tls_reload_interval);
        let certificates = self.tls.as_ref().map(watch).transpose()?;
        let redirect = self.redirect.zip(self.tls.clone()).map(|(listener, tls)| {
            Redirect::start(listener, settings.redirect_port, tls, &self.registry)
        });
        let (stop, stopped) = watch::channel(false);
        let metrics = AcceptMetrics::new(&self.registry);
        let acceptor = Acceptor {
            listener: nonblocking(self.listener)?,
            handover: Handover::new(shards, metrics.moved.clone()),
            places: places.clone(),
            per_address,
            proxies: Proxies::new(settings),
            metrics,
            stopped,
        };
        Ok(Serving {
            address: self.address,
            phase,
            stop,
            accepting: tokio::spawn(acceptor.run()),
            places,
            places_max: connections_max,
            open,
            certificates,
            redirect: redirect.transpose()?,
            drain_times: DrainTimes {
                delay: settings.drain_delay,
                timeout: settings.drain_timeout,
            },
        })
    }
}

/// What the kernel takes of an answer ahead of what its reader's window and the network let it
/// send. Without a limit that is some 3 MiB for each reader that takes nothing, which is memory that
/// nobody counts, and time: a thousand of them kept a shard busy with filling it for seconds. Two
/// pieces of an answer are enough to have one ready when the other has gone.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// The port as tokio watches it. One that was handed over may still block.
fn nonblocking(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    // Connections have it from the port.
    if let Err(error) = SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the system does not limit what it holds of an answer");
    }
    tokio::net::TcpListener::from_std(listener)
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
    /// Exchanges them when their files change; nothing in cleartext.
    certificates: Option<Watch>,
    redirect: Option<Redirect>,
    drain_times: DrainTimes,
}

impl Serving {
    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for cleartext requests that belong to https, if it does.
    pub fn redirect_address(&self) -> Option<SocketAddr> {
        self.redirect.as_ref().map(Redirect::local_address)
    }

    /// How many connections are open now, those that have become WebSockets included.
    pub fn connections_open(&self) -> usize {
        let open: i64 = self.open.iter().map(Gauge::get).sum();
        usize::try_from(open).unwrap_or(0)
    }

    /// What has the files of the certificates read again: for SIGHUP. Nothing in cleartext.
    pub fn certificates(&self) -> Option<Reload> {
        self.certificates.as_ref().map(Watch::reload)
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
