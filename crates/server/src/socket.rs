//! A connection's bytes, in the clear or through TLS, together with its place among those that
//! may be open: whoever holds the bytes, such as a WebSocket that outlives HTTP, holds the place.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tenfold_runtime::Connected;
use tenfold_telemetry::metrics::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;

/// The place of one connection. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    /// Held for its drop.
    #[allow(dead_code, reason = "its drop is what it is for")]
    on_its_shard: Connected,
    open: Gauge,
}

impl Place {
    pub(crate) fn take(permit: OwnedSemaphorePermit, connected: Connected, open: Gauge) -> Place {
        open.increment();
        Place { _one_of_all: permit, on_its_shard: connected, open }
    }

    /// The connection goes to another shard.
    pub(crate) fn moves(&mut self, connected: Connected, open: Gauge) {
        open.increment();
        self.open.decrement();
        self.on_its_shard = connected;
        self.open = open;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.decrement();
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    bytes: Bytes,
    _place: Place,
}

#[derive(Debug)]
enum Bytes {
    Clear(TcpStream),
    /// Boxed, because its state is a kilobyte.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    pub(crate) fn clear(stream: TcpStream, place: Place) -> Socket {
        Socket { bytes: Bytes::Clear(stream), _place: place }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, place: Place) -> Socket {
        Socket { bytes: Bytes::Tls(Box::new(stream)), _place: place }
    }
}

/// The same call on whichever it is.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &mut $socket.get_mut().bytes {
            Bytes::Clear(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Bytes::Tls(stream) => {
                let $stream = Pin::new(&mut **stream);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.bytes {
            Bytes::Clear(stream) => stream.is_write_vectored(),
            Bytes::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}
