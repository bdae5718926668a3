//! Stops a statement that nobody waits for any more, over a connection of its own as the
//! protocol demands, and never over more than a few at once.

use std::io;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_util::either::Either;

use crate::connect::{Connector, Place};
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::open_ended::OpenEnded;

/// Sends cancellations, a bounded number at a time.
#[derive(Debug)]
pub(crate) struct Canceller {
    connector: Connector,
    places: Semaphore,
}

impl Canceller {
    /// For a pool of that many connections: a quarter of them may be cancelled at once.
    pub(crate) fn new(connector: Connector, connections_max: usize) -> Canceller {
        Canceller { connector, places: Semaphore::new(connections_max.div_ceil(4).max(1)) }
    }

    /// Stops what runs on this connection, if anything does, at the server that it leads to and
    /// as encrypted as it is. When this returns Postgres has passed the word on, so it cannot
    /// hit a statement that is sent afterwards.
    pub(crate) async fn cancel(&self, connection: &Connection) -> Result<()> {
        let Ok(_place) = self.places.acquire().await else { return Err(Error::Closed) };
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
