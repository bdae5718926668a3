//! Opens a connection to the service, with TLS where it is asked for.

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::ending::{Failure, NotOffered};
use crate::files::exhausted;
use crate::plan::Plan;
use crate::scenario::Protocol;

/// A connection, with TLS or without.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NoConnection {
    /// The service did not take it.
    Failed(Failure),
    /// This machine had nothing left to open it with.
    Exhausted(NotOffered),
}

impl From<Failure> for NoConnection {
    fn from(failure: Failure) -> NoConnection {
        NoConnection::Failed(failure)
    }
}

/// Opens a connection. Ends when the caller drops it: the patience of the client that waits for
/// it is the caller's to know.
pub(crate) async fn open(plan: &Plan) -> Result<Stream, NoConnection> {
    let stream = connect(plan).await?;
    let Some(tls) = &plan.tls else { return Ok(Stream::Plain(stream)) };
    let stream =
        tls.connector.connect(tls.name.clone(), stream).await.map_err(|_| Failure::Handshake)?;
    let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if plan.behaviour.protocol == Protocol::Http2 && !agreed {
        return Err(Failure::Handshake.into());
    }
    Ok(Stream::Tls(Box::new(stream)))
}

async fn connect(plan: &Plan) -> Result<TcpStream, NoConnection> {
    let mut why = NoConnection::Failed(Failure::Connect);
    for (address, is_reachable) in &plan.addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                is_reachable.store(true, Ordering::Relaxed);
                stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
                return Ok(stream);
            }
            Err(error) => {
                // Once this machine has failed, the other addresses prove nothing of the service.
                if let Some(reason) = exhausted(&error, is_reachable.load(Ordering::Relaxed)) {
                    why = NoConnection::Exhausted(reason);
                }
            }
        }
    }
    Err(why)
}

impl Stream {
    /// Lets the kernel hold little of what is not read, so that the service feels a slow reader.
    pub(crate) fn read_slowly(&self) {
        let stream = match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        // A kernel that does not take it makes the reader less slow, and nothing wrong.
        let _ = SockRef::from(stream).set_recv_buffer_size(4096);
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
