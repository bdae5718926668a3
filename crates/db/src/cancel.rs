//! Stops a statement that nobody waits for any more, over a connection of its own as the
//! protocol demands, and never over more than a few at once.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_postgres::NoTls;
use tokio_postgres::config::{Config, Host};

use crate::connection::Connection;
use crate::error::{Error, Result};

/// Sends cancellations, a bounded number at a time.
#[derive(Debug)]
pub(crate) struct Canceller {
    config: Config,
    places: Semaphore,
}

impl Canceller {
    /// For a pool of that many connections: a quarter of them may be cancelled at once.
    pub(crate) fn new(config: Config, connections_max: usize) -> Canceller {
        Canceller { config, places: Semaphore::new(connections_max.div_ceil(4).max(1)) }
    }

    /// Stops what runs on this connection, if anything does. When this returns Postgres has
    /// passed the word on, so it cannot hit a statement that is sent afterwards.
    pub(crate) async fn cancel(&self, connection: &Connection) -> Result<()> {
        let Ok(_place) = self.places.acquire().await else { return Err(Error::Closed) };
        let mut socket = self.dial().await.map_err(Error::unreachable)?;
        let token = connection.cancel_token();
        token.cancel_query_raw(&mut socket, NoTls).await.map_err(Error::unreachable)?;
        // Postgres answers nothing; it hangs up after it has signalled the other process.
        let hung_up = socket.read(&mut [0; 1]).await.map_err(Error::unreachable)?;
        debug_assert_eq!(hung_up, 0, "the protocol knows no answer to a cancellation");
        Ok(())
    }

    async fn dial(&self) -> io::Result<Box<dyn Socket>> {
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        match self.config.get_hosts().first() {
            Some(Host::Unix(folder)) => {
                let path = folder.join(format!(".s.PGSQL.{port}"));
                Ok(Box::new(UnixStream::connect(path).await?))
            }
            Some(Host::Tcp(name)) => Ok(Box::new(TcpStream::connect((name.as_str(), port)).await?)),
            None => Err(io::Error::new(io::ErrorKind::InvalidInput, "the URL names no host")),
        }
    }
}

trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}
