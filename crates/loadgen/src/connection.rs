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
use crate::tls;

/// A connection, with TLS or without.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(crate) enum NoConnection {
    /// The service did not take it.
    Failed {
        failure: Failure,
        /// What was said.
        cause: String,
    },
    /// This machine had nothing left to open it with.
    Exhausted(NotOffered),
}

impl NoConnection {
    fn unreachable(error: &io::Error) -> NoConnection {
        let words = error.to_string();
        // The number that Rust puts behind the words of a system says nothing to most people.
        let cause = words.split(" (os error ").next().unwrap_or_default().to_owned();
        NoConnection::Failed { failure: Failure::Connect, cause }
    }

    fn no_agreement(cause: String) -> NoConnection {
        NoConnection::Failed { failure: Failure::Handshake, cause }
    }
}

/// Opens a connection. Ends when the caller drops it: the patience of the client that waits for
/// it is the caller's to know.
pub(crate) async fn open(plan: &Plan) -> Result<Stream, NoConnection> {
    let stream = connect(plan).await?;
    let Some(tls) = &plan.tls else { return Ok(Stream::Plain(stream)) };
    let stream = tls
        .connector
        .connect(tls.name.clone(), stream)
        .await
        .map_err(|error| NoConnection::no_agreement(tls::words(&error)))?;
    let agreed = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    if plan.behaviour.protocol == Protocol::Http2 && !agreed {
        let cause = "TLS: the service does not offer HTTP/2 (ALPN h2)".to_owned();
        return Err(NoConnection::no_agreement(cause));
    }
    Ok(Stream::Tls(Box::new(stream)))
}

async fn connect(plan: &Plan) -> Result<TcpStream, NoConnection> {
    let mut why = None;
    for (address, is_reachable) in &plan.addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                is_reachable.store(true, Ordering::Relaxed);
                stream.set_nodelay(true).map_err(|error| NoConnection::unreachable(&error))?;
                return Ok(stream);
            }
            Err(error) => {
                // Once this machine has failed, the other addresses prove nothing of the service.
                if let Some(reason) = exhausted(&error, is_reachable.load(Ordering::Relaxed)) {
                    why = Some(NoConnection::Exhausted(reason));
                } else {
                    why.get_or_insert_with(|| NoConnection::unreachable(&error));
                }
            }
        }
    }
    Err(why
        .unwrap_or_else(|| NoConnection::unreachable(&io::Error::other("the name has no address"))))
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
