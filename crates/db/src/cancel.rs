//! Stops a statement that nobody waits for any more, over a connection of its own as the
//! protocol demands, and never over more than a few at once.

use std::io;
use std::time::Duration;

use tenfold_telemetry::metrics::{Counter, Registry};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_util::either::Either;

use crate::connect::{Connector, Place};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::open_ended::OpenEnded;

/// Time for one cancellation: a server that has not heard of it by then has to be given up.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends cancellations, a bounded number at a time.
#[derive(Debug)]
pub(crate) struct Canceller {
    connector: Connector,
    places: Semaphore,
    metrics: CancelMetrics,
}

/// What became of cancellations.
#[derive(Clone, Debug)]
pub(crate) struct CancelMetrics {
    sent: Counter,
    failed: Counter,
}

impl CancelMetrics {
    pub(crate) fn new(registry: &Registry) -> CancelMetrics {
        let counter = |outcome| {
            registry.counter(
                "tenfold_db_cancels_total",
                "Cancellations of statements that nobody waits for, by outcome.",
                &[("outcome", outcome)],
            )
        };
        CancelMetrics { sent: counter("success"), failed: counter("failure") }
    }
}

impl Canceller {
    /// For a pool of that many connections.
    pub(crate) fn new(
        connector: Connector,
        connections_max: usize,
        metrics: CancelMetrics,
    ) -> Canceller {
        let places = Semaphore::new(Canceller::connections_max(connections_max));
        Canceller { connector, places, metrics }
    }

    /// How many connections cancellations need at once, beside those of a pool of that many: a
    /// quarter of them may be cancelled at a time, the next one waits.
    pub(crate) fn connections_max(pool_connections_max: usize) -> usize {
        pool_connections_max.div_ceil(4).max(1)
    }

    /// The pool has another number of connections from now on.
    pub(crate) fn resize(&self, connections_max_before: usize, connections_max: usize) {
        let before = Canceller::connections_max(connections_max_before);
        let now = Canceller::connections_max(connections_max);
        self.places.add_permits(now.saturating_sub(before));
        self.places.forget_permits(before.saturating_sub(now));
    }

    /// Stops what runs on this connection, if anything does, at the server that it leads to and
    /// as encrypted as it is. When this returns Postgres has passed the word on, so it cannot
    /// hit a statement that is sent afterwards.
    pub(crate) async fn cancel(&self, connection: &Connection) -> Result<()> {
        let Ok(_place) = self.places.acquire().await else { return Err(Error::Closed) };
        let cancelled = tokio::time::timeout(CANCEL_TIMEOUT, self.send(connection)).await;
        let cancelled = cancelled.unwrap_or_else(|_elapsed| {
            Err(Error::unreachable("no answer to an attempt to cancel a statement"))
        });
        match &cancelled {
            Ok(()) => self.metrics.sent.increment(),
            Err(_) => self.metrics.failed.increment(),
        }
        cancelled
    }

    async fn send(&self, connection: &Connection) -> Result<()> {
        let place = connection.place();
        let (socket, mut end) = dial(place).await.map_err(Error::unreachable)?;
        let name = match place {
            Place::Tcp { name, .. } => name.as_str(),
            Place::Unix { .. } => "",
        };
        let mut connect = self.connector.tls().connect.clone();
        let Ok(tls) = MakeTlsConnect::<OpenEnded<Socket>>::make_tls_connect(&mut connect, name);
        connection
            .cancel_token()
            .cancel_query_raw(OpenEnded(socket), OpenEnded(tls))
            .await
            .map_err(Error::unreachable)?;
        hung_up(&mut end).await.map_err(Error::unreachable)
    }
}

/// Postgres answers nothing; it hangs up after it has signalled the other process. Over TLS its
/// farewell comes first, and since it does not wait for ours, the end may be a reset.
async fn hung_up(end: &mut Socket) -> io::Result<()> {
    loop {
        match end.read(&mut [0; 64]).await {
            Ok(0) => return Ok(()),
            Ok(_farewell) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

type Socket = Either<TcpStream, UnixStream>;

/// The same socket twice, since the driver keeps the one that it is given and we want to see its
/// end.
async fn dial(place: &Place) -> io::Result<(Socket, Socket)> {
    Ok(match place {
        Place::Unix { socket } => {
            let socket = UnixStream::connect(socket).await?.into_std()?;
            let end = UnixStream::from_std(socket.try_clone()?)?;
            (Either::Right(UnixStream::from_std(socket)?), Either::Right(end))
        }
        Place::Tcp { address, .. } => {
            let socket = TcpStream::connect(address).await?.into_std()?;
            let end = TcpStream::from_std(socket.try_clone()?)?;
            (Either::Left(TcpStream::from_std(socket)?), Either::Left(end))
        }
    })
}
