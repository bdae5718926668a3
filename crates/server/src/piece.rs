//! A piece of an answer on its way to its reader, and when it has left us: hyper and h2 take a
//! piece whole, however little of it may be sent, and h2 says nothing when it has gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;

/// A piece as hyper has it.
#[derive(Debug)]
pub(crate) struct Piece {
    bytes: Bytes,
    _held: Option<Held>,
}

/// Who waits for a piece to be gone. There is one for an answer, and one piece at a time.
#[derive(Debug, Default)]
pub(crate) struct Departure(Option<Arc<State>>);

#[derive(Debug, Default)]
struct State {
    is_out: AtomicBool,
    waker: AtomicWaker,
}

/// Says so when the piece is dropped.
#[derive(Debug)]
struct Held(Arc<State>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.is_out.store(false, Ordering::Release);
        self.0.waker.wake();
    }
}

impl Piece {
    /// One whose end nobody waits for.
    pub(crate) fn unwatched(bytes: Bytes) -> Piece {
        Piece { bytes, _held: None }
    }
}

impl Departure {
    /// Gives out a piece; the next one is to wait until it has gone.
    pub(crate) fn watch(&mut self, bytes: Bytes) -> Piece {
        let state = self.0.get_or_insert_default();
        state.is_out.store(true, Ordering::Relaxed);
        Piece { bytes, _held: Some(Held(state.clone())) }
    }

    /// Ready when nobody has the last piece any more.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(state) = &self.0 else { return Poll::Ready(()) };
        if !state.is_out.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        state.waker.register(cx.waker());
        if state.is_out.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        self.bytes.copy_to_bytes(length)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;

    use super::*;

    #[test]
    fn a_piece_is_gone_when_it_is_dropped() {
        let cx = Context::from_waker(noop_waker_ref());
        let mut departure = Departure::default();
        assert!(departure.poll_gone(&cx).is_ready());
        for _ in 0..2 {
            let piece = departure.watch(Bytes::from_static(b"piece"));
            assert!(departure.poll_gone(&cx).is_pending());
            drop(piece);
            assert!(departure.poll_gone(&cx).is_ready());
        }
        let _unwatched = Piece::unwatched(Bytes::from_static(b"piece"));
        assert!(departure.poll_gone(&cx).is_ready());
    }
}
