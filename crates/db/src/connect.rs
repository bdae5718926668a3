//! Makes connections: finds the server that is wanted among those that there are, agrees on
//! encryption with it, and says of each that was in vain why it was.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::config::{Config, SslMode as DriverSslMode};

use crate::address::{Address, Server, TargetSessionAttrs};
use crate::error::{Error, Result};
use crate::pooled::learn_types;
use crate::refused::{ConnectError, Refused};
use crate::role::Role;
use crate::settings::{DatabaseSettings, Pooler};
use crate::tls::{KeptTls, SslMode, Tls};

/// How long a server has for itself before the next one is tried beside it. One that is well
/// answers in a tenth of that; one whose machine is gone says nothing until the time limit, and
/// nobody should wait for that while another could serve.
const HEAD_START: Duration = Duration::from_millis(500);

/// Everything that is needed to connect. A clone shares what was learned of the servers.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    /// What every session begins with; names no server.
    session: Config,
    servers: Arc<[Server]>,
    in_random_order: bool,
    /// The server that answered last: the next attempt begins with it.
    last_good: Arc<AtomicUsize>,
    target: TargetSessionAttrs,
    ssl_mode: SslMode,
    tls: Arc<KeptTls>,
    timeout: Duration,
    pooler: Pooler,
}

/// A new connection.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Drives the socket; ends when the connection does.
    pub(crate) driver: JoinHandle<()>,
    pub(crate) place: Place,
}

/// Where a connection leads to, so that a word about it can be sent to the same server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Tcp { name: String, address: SocketAddr },
    Unix { socket: PathBuf },
}

impl Connector {
    /// Reads the settings and the files that they name.
    pub(crate) fn new(settings: &DatabaseSettings, application_name: &str) -> Result<Connector> {
        let address = Address::read(settings).map_err(Error::misconfigured)?;
        let ssl_mode = address.tls.mode;
        let tls = KeptTls::new(address.tls).map_err(Error::misconfigured)?;
        let mut session = address.session;
        session.connect_timeout(settings.connect_timeout);
        if session.get_application_name().is_none() {
            session.application_name(application_name);
        }
        Ok(Connector {
            session,
            servers: address.servers.into(),
            in_random_order: address.in_random_order,
            last_good: Arc::default(),
            target: address.target,
            ssl_mode,
            tls: Arc::new(tls),
            timeout: settings.connect_timeout,
            pooler: settings.pooler,
        })
    }

    /// The same, with one of Postgres' own time limits set in each session. A pooler takes no
    /// such wishes, and its sessions are everybody's.
    pub(crate) fn with_timeout(mut self, name: &str, timeout: Duration) -> Connector {
        if self.pooler == Pooler::None {
            let options = self.session.get_options().unwrap_or_default();
            let options = format!("{options} -c {name}={}", timeout.as_millis().max(1));
            self.session.options(options.trim());
        }
        self
    }

    /// The same under a name that tells it from those whose work it watches.
    pub(crate) fn for_watching(mut self) -> Connector {
        let name = self.session.get_application_name().unwrap_or_default();
        let name = format!("{name} watch");
        self.session.application_name(name);
        self
    }

    /// One for each of the servers and its name; each takes its server, whatever that is.
    pub(crate) fn each_server(&self) -> impl Iterator<Item = (String, Connector)> {
        self.servers.iter().map(|server| {
            let connector = Connector {
                servers: Arc::new([server.clone()]),
                last_good: Arc::default(),
                target: TargetSessionAttrs::Any,
                ..self.clone()
            };
            (server.to_string(), connector)
        })
    }

    /// Whether only a server will do that takes writes.
    pub(crate) fn wants_writes(&self) -> bool {
        self.target == TargetSessionAttrs::ReadWrite
    }

    pub(crate) fn pooler(&self) -> Pooler {
        self.pooler
    }

    pub(crate) fn tls(&self) -> Arc<Tls> {
        self.tls.current()
    }

    /// No attempt to connect takes longer: a name is looked up, its addresses are tried (the last
    /// of some of them), and a standby that is preferred may have been waited for in vain before.
    pub(crate) fn time_max(&self) -> Duration {
        let head_starts = u32::try_from(self.servers.len()).unwrap_or(u32::MAX).saturating_mul(4);
        self.timeout.saturating_mul(3) + HEAD_START.saturating_mul(head_starts)
    }

    /// Connects to the first server that is as wanted. Each has as long as
    /// `database.connect_timeout` says for each of its addresses.
    pub(crate) async fn connect(&self) -> Result<Connected> {
        let target = if self.target == TargetSessionAttrs::PreferStandby {
            // A standby that says nothing must not keep anybody from a server that does, of which
            // there may be one only: each has its head start and no more.
            let servers = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
            let limit = HEAD_START.saturating_mul(servers).min(self.timeout / 2);
            let standby = self.connect_to(TargetSessionAttrs::Standby);
            if let Ok(Ok(connected)) = tokio::time::timeout(limit, standby).await {
                return Ok(connected);
            }
            TargetSessionAttrs::Any
        } else {
            self.target
        };
        let connect = self.connect_to(target);
        match tokio::time::timeout(self.time_max(), connect).await {
            Ok(connected) => connected.map_err(Error::unreachable),
            Err(_elapsed) => Err(Error::unreachable("no answer to any of the attempts to connect")),
        }
    }

    async fn connect_to(&self, target: TargetSessionAttrs) -> Result<Connected, ConnectError> {
        let order = self.order();
        let attempts = order.iter().map(|&index| async move {
            let server = &self.servers[index];
            let connected = self.connect_to_server(server, target).await;
            connected.map(|connected| (index, connected)).map_err(|why| (server.to_string(), why))
        });
        match first_of(attempts).await {
            Ok((index, connected)) => {
                self.last_good.store(index, Ordering::Relaxed);
                Ok(connected)
            }
            Err(tried) => Err(ConnectError { tried }),
        }
    }

    /// The servers in the order in which they are tried.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.servers.len()).collect();
        if self.in_random_order {
            fastrand::shuffle(&mut order);
        } else {
            order.rotate_left(self.last_good.load(Ordering::Relaxed) % self.servers.len());
        }
        order
    }

    async fn connect_to_server(
        &self,
        server: &Server,
        target: TargetSessionAttrs,
    ) -> Result<Connected, Refused> {
        match server {
            Server::Unix { folder, port } => {
                let mut config = self.session.clone();
                // What does not leave the machine is not encrypted, says libpq too.
                config.ssl_mode(DriverSslMode::Disable).host_path(folder).port(*port);
                let place = Place::Unix { socket: folder.join(format!(".s.PGSQL.{port}")) };
                self.connect_to_place(config, place, target).await
            }
            Server::Tcp { name, address, port } => {
                let addresses = self.addresses(name, *address, *port).await?;
                let attempts = addresses.into_iter().map(|address| {
                    let mut config = self.session.clone();
                    config.ssl_mode(self.driver_ssl_mode());
                    config.host(name).hostaddr(address.ip()).port(*port);
                    let place = Place::Tcp { name: name.clone(), address };
                    self.connect_to_place(config, place, target)
                });
                first_of(attempts).await.map_err(Refused::most_telling)
            }
        }
    }

    async fn addresses(
        &self,
        name: &str,
        address: Option<IpAddr>,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Refused> {
        if let Some(address) = address {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let lookup = tokio::time::timeout(self.timeout, tokio::net::lookup_host((name, port)));
        let found = match lookup.await {
            Ok(found) => found.map_err(Refused::NotFound)?,
            Err(_elapsed) => return Err(Refused::Silent { limit: self.timeout }),
        };
        let mut addresses: Vec<_> = found.collect();
        if self.in_random_order {
            fastrand::shuffle(&mut addresses);
        }
        Ok(addresses)
    }

    async fn connect_to_place(
        &self,
        mut config: Config,
        place: Place,
        target: TargetSessionAttrs,
    ) -> Result<Connected, Refused> {
        let tls = self.tls();
        let attempt = async {
            let connect = config.connect(tls.connect.clone());
            let (client, connection) = match connect.await {
                Err(error) if tls.mode == SslMode::Prefer && Refused::is_handshake(&error) => {
                    // It offers encryption and cannot agree on how: `prefer` goes on without.
                    config.ssl_mode(DriverSslMode::Disable);
                    config.connect(tls.connect.clone()).await
                }
                connected => connected,
            }
            .map_err(|error| Refused::of(error, &tls))?;
            let role = Role::announced(&connection);
            let driver = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "connection to postgres lost"
                    );
                }
            });
            if target != TargetSessionAttrs::Any {
                let role = match role {
                    Some(role) => role,
                    None => Role::ask(&client).await.map_err(|e| Refused::of(e, &tls))?,
                };
                role.check(target)?;
            }
            if self.pooler == Pooler::Transaction {
                learn_types(&client).await.map_err(|error| Refused::of(error, &tls))?;
            }
            Ok(Connected { client, driver, place })
        };
        match tokio::time::timeout(self.timeout, attempt).await {
            Ok(connected) => connected,
            Err(_elapsed) => Err(Refused::Silent { limit: self.timeout }),
        }
    }

    fn driver_ssl_mode(&self) -> DriverSslMode {
        match self.ssl_mode {
            SslMode::Disable => DriverSslMode::Disable,
            SslMode::Prefer => DriverSslMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverSslMode::Require,
        }
    }
}

/// The first success; each attempt starts when the one before it has failed or has had its head
/// start. What is still under way then is dropped. All failures, in the order of the attempts'
/// ends, if there is none.
async fn first_of<T, E>(
    attempts: impl Iterator<Item = impl Future<Output = Result<T, E>>>,
) -> Result<T, Vec<E>> {
    let (mut waiting, mut running) = (attempts.fuse(), FuturesUnordered::new());
    let mut failures = Vec::new();
    loop {
        let started = waiting.next().map(|attempt| running.push(attempt)).is_some();
        if running.is_empty() {
            return Err(failures);
        }
        let head_start = async {
            if !started {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(HEAD_START).await;
        };
        tokio::select! {
            Some(ended) = running.next() => match ended {
                Ok(success) => return Ok(success),
                Err(failure) => failures.push(failure),
            },
            () = head_start => {}
        }
    }
}
