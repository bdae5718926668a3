//! A connection's bytes, in the clear or through TLS, together with its place among those that
//! may be open: whoever holds the bytes, such as a WebSocket that outlives HTTP, holds the place.
//!
//! Here the bytes of HTTP/1.1 are judged before hyper sees them (`wire.rs`). What is refused
//! reaches hyper as a byte that it must refuse as well, and what it then says is replaced on its
//! way out: so answers to earlier requests still come first, and hyper ends the connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tenfold_context::{Deadline, Moment};
use tenfold_runtime::Connected;
use tenfold_telemetry::metrics::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::activity::{Activity, Incoming};
use crate::metrics::ShardMetrics;
use crate::per_address::OneOfAddress;
use crate::upgraded::Wish;
use crate::wire::{Fault, HeadLimits, Wire, WireLimits, hypers_answer, hypers_fault, own_answer};

/// The place of one connection. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Place {
    _one_of_all: OwnedSemaphorePermit,
    _one_of_address: Option<OneOfAddress>,
    _on_its_shard: Connected,
    open: Gauge,
}

impl Place {
    pub(crate) fn take(
        one_of_all: OwnedSemaphorePermit,
        one_of_address: Option<OneOfAddress>,
        on_its_shard: Connected,
        open: Gauge,
    ) -> Place {
        open.increment();
        Place {
            _one_of_all: one_of_all,
            _one_of_address: one_of_address,
            _on_its_shard: on_its_shard,
            open,
        }
    }

    /// The connection goes to another shard.
    pub(crate) fn moves(&mut self, on_its_shard: Connected, open: Gauge) {
        open.increment();
        self.open.decrement();
        self._on_its_shard = on_its_shard;
        self.open = open;
    }

    /// The connection is that of another address than the one it came from.
    pub(crate) fn belongs_to(&mut self, one_of_address: OneOfAddress) {
        self._one_of_address = Some(one_of_address);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.decrement();
    }
}

/// An open connection.
pub(crate) struct Socket {
    bytes: Bytes,
    wire: Wire,
    limits: HeadLimits,
    activity: Arc<Activity>,
    metrics: Arc<ShardMetrics>,
    /// Whether the activity knows of a part of a head.
    within_head: bool,
    /// What was wrong with a request that came.
    fault: Option<Fault>,
    /// Whether nothing is read any more.
    deaf: bool,
    /// What hyper is still to read in the place of what came.
    refusal: &'static [u8],
    /// The answer to it, and how much of it has been sent.
    own_answer: Option<(Vec<u8>, usize)>,
    lingering: Option<Lingering>,
    _place: Place,
}

#[derive(Debug)]
enum Bytes {
    Clear(TcpStream),
    /// Boxed, because its state is a kilobyte.
    Tls(Box<TlsStream<TcpStream>>),
}

/// The end of a connection whose client may still be sending. To close it at once would make the
/// system reset it, and the client might lose the answer that says why (RFC 9112 §9.6).
#[derive(Debug)]
struct Lingering {
    until: Pin<Box<Sleep>>,
    bytes_left: usize,
}

/// How long, and for how much, a refused client may go on sending.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes that are part of no head and no chunk line, so that hyper refuses them too. It looks at
/// a head that comes in pieces only when it seems to be whole, hence the empty line.
const REFUSAL: &[u8] = b"\0\r\n\r\n";

/// The same for HTTP/2: a head in empty parts without an end. h2 takes it for a flood, as it
/// should, after a quarter more parts than the largest `server.header_max` needs, which is 80.
const HTTP2_REFUSAL: [u8; HTTP2_REFUSAL_FRAMES * HTTP2_FRAME_HEAD.len()] = {
    let mut refusal = [0; HTTP2_REFUSAL_FRAMES * HTTP2_FRAME_HEAD.len()];
    let mut at = 0;
    while at < refusal.len() {
        refusal[at] = HTTP2_FRAME_HEAD[at % HTTP2_FRAME_HEAD.len()];
        at += 1;
    }
    refusal[3] = HTTP2_HEADERS;
    refusal
};
const HTTP2_REFUSAL_FRAMES: usize = 100;
/// An empty CONTINUATION of stream 1 that is not the last one.
const HTTP2_FRAME_HEAD: [u8; 9] = [0, 0, 0, 9, 0, 0, 0, 0, 1];
const HTTP2_HEADERS: u8 = 1;

impl Socket {
    pub(crate) fn clear(
        stream: TcpStream,
        place: Place,
        limits: WireLimits,
        activity: Arc<Activity>,
        metrics: Arc<ShardMetrics>,
    ) -> Socket {
        Socket::new(Bytes::Clear(stream), place, limits, activity, metrics)
    }

    pub(crate) fn tls(
        stream: TlsStream<TcpStream>,
        place: Place,
        limits: WireLimits,
        activity: Arc<Activity>,
        metrics: Arc<ShardMetrics>,
    ) -> Socket {
        Socket::new(Bytes::Tls(Box::new(stream)), place, limits, activity, metrics)
    }

    fn new(
        bytes: Bytes,
        place: Place,
        limits: WireLimits,
        activity: Arc<Activity>,
        metrics: Arc<ShardMetrics>,
    ) -> Socket {
        Socket {
            bytes,
            wire: Wire::new(limits, Moment::now()),
            limits: limits.head,
            activity,
            metrics,
            within_head: false,
            fault: None,
            deaf: false,
            refusal: &[],
            own_answer: None,
            lingering: None,
            _place: place,
        }
    }

    /// Judges what has just been read, and keeps from hyper what it must not see.
    fn judge(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        if self.activity.incoming() == Incoming::Upgraded {
            return self.wire.let_through();
        }
        match self.wire.look(&buffer.filled()[before..]) {
            Ok(looked_at) if self.wire.is_http2() => self.count_frames(buffer, before + looked_at),
            Ok(_all) => {}
            Err((at, fault)) => {
                self.refuse(fault);
                buffer.set_filled(before + at);
                self.give_refusal(buffer);
            }
        }
        let within_head = self.wire.is_within_head();
        if within_head != self.within_head {
            self.within_head = within_head;
            if within_head {
                self.activity.head_begins(Moment::now());
            } else {
                self.activity.head_ends();
            }
        }
    }

    /// Counts the frames of HTTP/2 that have just been read from there on. After one too many h2
    /// is given what it ends the connection for with the right code.
    fn count_frames(&mut self, buffer: &mut ReadBuf<'_>, before: usize) {
        // What goes through a tunnel (CONNECT) is work that nobody here sees.
        if self.activity.incoming() == Incoming::Upgraded {
            return;
        }
        let (bytes, with_work) =
            (&buffer.filled()[before..], self.activity.take_frames_with_work());
        if let Err(at) = self.wire.look_at_frames(bytes, with_work, Moment::now()) {
            self.deaf = true;
            self.activity.expect(Incoming::Flood);
            self.refusal = &HTTP2_REFUSAL;
            buffer.set_filled(before + at);
            self.give_refusal(buffer);
        }
    }

    fn refuse(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.deaf = true;
        self.refusal = REFUSAL;
        self.metrics.limited(fault.reason());
    }

    fn give_refusal(&mut self, buffer: &mut ReadBuf<'_>) {
        let (now, later) = self.refusal.split_at(self.refusal.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.refusal = later;
    }

    /// What to write in the place of these bytes, if they are an answer of hyper's own; or how
    /// many of them come before it.
    fn replace(&mut self, bytes: &[u8]) -> Option<usize> {
        let start = hypers_answer(bytes, self.fault.is_some())?;
        // An answer of ours may look like that as well. hyper's is to a head that it has not
        // made a request of.
        let unread = self.wire.is_within_head() || self.wire.heads() > self.activity.requests();
        if self.fault.is_none() && !unread {
            return None;
        }
        if start == 0 {
            let fault = self.fault.unwrap_or_else(|| {
                let fault = hypers_fault(bytes, self.limits);
                self.refuse(fault);
                fault
            });
            self.own_answer = Some((own_answer(fault, bytes), bytes.len()));
        }
        Some(start)
    }

    /// Sends the answer that stands for one of hyper's, which then has been written.
    fn poll_own_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some((answer, hypers_length)) = &mut self.own_answer else {
            return Poll::Ready(Ok(0));
        };
        while !answer.is_empty() {
            let written = match &mut self.bytes {
                Bytes::Clear(stream) => Pin::new(stream).poll_write(cx, answer),
                Bytes::Tls(stream) => Pin::new(&mut **stream).poll_write(cx, answer),
            };
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => drop(answer.drain(..written)),
            }
        }
        let length = *hypers_length;
        self.own_answer = None;
        Poll::Ready(Ok(length))
    }

    /// Whether it may be used. Only one that has become something else than HTTP is told that it
    /// may not: HTTP has others who end it.
    fn may(&self, wish: Wish, cx: &Context<'_>) -> io::Result<()> {
        self.activity.upgraded().map_or(Ok(()), |upgraded| upgraded.allows(wish, cx))
    }

    /// So many bytes have come or gone.
    fn moved(&self, bytes: usize) {
        if bytes > 0
            && let Some(upgraded) = self.activity.upgraded()
        {
            upgraded.moved(Moment::now());
        }
    }

    /// Whether the client has not sent all of what it began, or was refused.
    fn is_cut_short(&self) -> bool {
        self.deaf || self.wire.is_within_request()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(upgraded) = self.activity.upgraded() {
            upgraded.is_gone();
        }
    }
}

/// The same call on whichever it is.
macro_rules! either {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &mut $socket.bytes {
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
        let this = self.get_mut();
        if this.deaf {
            this.give_refusal(buffer);
            return Poll::Ready(Ok(()));
        }
        if this.activity.incoming() == Incoming::TooLate && this.wire.is_http1() {
            this.refuse(Fault::HeadTooSlow);
            this.give_refusal(buffer);
            return Poll::Ready(Ok(()));
        }
        this.may(Wish::Read, cx)?;
        let before = buffer.filled().len();
        ready!(either!(this, stream => stream.poll_read(cx, buffer)))?;
        this.moved(buffer.filled().len() - before);
        if this.wire.is_http1() {
            this.judge(buffer, before);
        } else if this.wire.is_http2() {
            this.count_frames(buffer, before);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.own_answer.is_some() {
            return this.poll_own_answer(cx);
        }
        this.may(Wish::Write, cx)?;
        let buffer = match this.replace(buffer) {
            Some(0) => return this.poll_own_answer(cx),
            Some(start) => &buffer[..start],
            None => buffer,
        };
        let written = ready!(either!(this, stream => stream.poll_write(cx, buffer)))?;
        this.moved(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = buffers {
            return self.poll_write(cx, only);
        }
        let this = self.get_mut();
        this.may(Wish::Write, cx)?;
        let written = ready!(either!(this, stream => stream.poll_write_vectored(cx, buffers)))?;
        this.moved(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.bytes {
            Bytes::Clear(stream) => stream.is_write_vectored(),
            Bytes::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(either!(this, stream => stream.poll_shutdown(cx)))?;
            if !this.is_cut_short() {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = this.lingering.get_or_insert_with(|| Lingering {
            until: Box::pin(tokio::time::sleep_until(Deadline::after(LINGER).instant())),
            bytes_left: LINGER_BYTES_MAX,
        });
        let mut unwanted = [std::mem::MaybeUninit::uninit(); 4096];
        while lingering.bytes_left > 0 && lingering.until.as_mut().poll(cx).is_pending() {
            let mut unwanted = ReadBuf::uninit(&mut unwanted);
            let read = either!(this, stream => stream.poll_read(cx, &mut unwanted));
            // What fails or has ended needs no patience.
            if ready!(read).is_err() || unwanted.filled().is_empty() {
                break;
            }
            lingering.bytes_left = lingering.bytes_left.saturating_sub(unwanted.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
