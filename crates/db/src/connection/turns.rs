//! What may wait for a lock takes turns on a shared connection: Postgres works at one statement
//! after the other, so that each that waits makes all behind it wait as well.
//!
//! - Few of those that may wait are in flight together: what writes, locks or calls functions,
//!   and what is to be prepared. So nobody stands behind more than these.
//! - Who has waited for as long as may be goes to the exclusive lane, and so do those of its kind
//!   whose turn comes later.
//! - For a while after that, the next ones wait for hardly any time.
//! - A plain read waits only for somebody who changes its table, and takes no turn. If one does,
//!   all reads leave the connection, as many as there may stand behind it, and are sent over a
//!   fresh one.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use futures_util::FutureExt;
use tenfold_context::Moment;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Connection;
use crate::error::{Error, Result};
use crate::query::Key;

/// How many statements that may wait for a lock are in flight on one connection. With two,
/// Postgres need not wait for the next one, and others wait for two at most. Measured with 64
/// callers who update rows of their own: as many updates per second as with 64 in flight where
/// commits are waited for, two thirds of them with `synchronous_commit = off`.
const IN_FLIGHT_MAX: usize = 2;

/// One millisecond is the least that Postgres knows; zero would be for ever.
const HARDLY_WAITS: &str = "SET lock_timeout TO 1";
const WAITS_AGAIN: &str = "SET lock_timeout TO DEFAULT";

/// The turns on one connection.
#[derive(Debug)]
pub(super) struct Turns {
    places: Arc<Semaphore>,
    /// Who keeps the connection up hears of that.
    keeper: Notify,
}

/// The turn of a statement, which lasts until its answer has come to its end.
#[derive(Debug, Default)]
pub(super) struct Turn {
    place: Option<OwnedSemaphorePermit>,
    /// Whether it is not to wait for locks now.
    pub(super) hurries: bool,
}

impl Turn {
    /// Keeps the turn beyond the caller, who leaves before the answer; whether it was one.
    pub(super) fn leave(self) -> bool {
        self.place.map(OwnedSemaphorePermit::forget).is_some()
    }
}

impl Turns {
    pub(super) fn new() -> Turns {
        let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        Turns { places, keeper: Notify::new() }
    }

    /// So many statements have been answered whose callers had left.
    pub(super) fn give_back(&self, count: usize) {
        self.places.add_permits(count);
    }
}

impl Connection {
    /// Waits for the turn of a statement that may wait for a lock. `Err` sends it elsewhere.
    pub(super) async fn turn(&self, key: &Key) -> Result<Turn> {
        let (Some(turns), Some(slow)) = (&self.turns, &self.slow) else {
            return Ok(Turn::default());
        };
        let place = match Arc::clone(&turns.places).try_acquire_owned() {
            Ok(place) => Some(place),
            Err(_) => {
                let place = Arc::clone(&turns.places).acquire_owned().await.ok();
                if self.is_crowded() || self.is_closed() || slow.is_away(key) {
                    return Err(Error::moved());
                }
                place
            }
        };
        Ok(Turn { place, hurries: slow.expects_locks(Moment::now()) })
    }

    /// Whether nobody is to be given this connection, and reads leave it.
    #[inline]
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// A read has waited for a lock, and so may all behind it.
    pub(super) fn crowd(&self) {
        let Some(turns) = &self.turns else { return };
        self.crowded.store(true, Ordering::Relaxed);
        // Those who wait for their turn have sent nothing and leave as well.
        turns.places.close();
        turns.keeper.notify_one();
    }

    /// There is no other connection: it is used as it is, and nobody takes turns any more.
    pub(crate) fn bear_the_crowd(&self) {
        self.crowded.store(false, Ordering::Relaxed);
    }

    /// Waits until it is crowded.
    pub(crate) async fn crowded(&self) {
        match &self.turns {
            Some(turns) => turns.keeper.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Waits for an answer, unless it is one of a read on a crowded connection. What `hurries` is
    /// sent so that it waits for no lock.
    pub(super) fn answer<F>(&self, of: Answered, answer: F) -> Answer<'_, F> {
        Answer { answer, of, connection: self }
    }

    /// What `send` sends does not wait for locks; nothing comes in between.
    #[cold]
    fn hurry<T>(&self, send: impl FnOnce() -> T) -> T {
        self.send(HARDLY_WAITS);
        let sent = send();
        self.send(WAITS_AGAIN);
        sent
    }

    /// Sends what takes effect between what was sent before and what will be; the answer is
    /// thrown away.
    fn send(&self, sql: &str) {
        let _ = self.client.batch_execute(sql).now_or_never();
    }
}

/// What kind of statement it is that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It may be asked for again elsewhere.
    Read,
    /// It may have an effect.
    Other,
    /// The same, and it is yet to be sent, and shall wait for no lock.
    Hurries,
}

impl Answered {
    pub(super) fn of(waits: bool, turn: &Turn) -> Answered {
        match (waits, turn.hurries) {
            (false, _) => Answered::Read,
            (true, false) => Answered::Other,
            (true, true) => Answered::Hurries,
        }
    }
}

pin_project_lite::pin_project! {
    /// What [`Connection::answer`] gives.
    pub(super) struct Answer<'a, F> {
        #[pin]
        answer: F,
        of: Answered,
        connection: &'a Connection,
    }
}

impl<F: Future> Future for Answer<'_, F> {
    type Output = Result<F::Output>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Result<F::Output>> {
        let this = self.project();
        let answer = if *this.of == Answered::Hurries {
            *this.of = Answered::Other;
            this.connection.hurry(|| this.answer.poll(cx))
        } else {
            this.answer.poll(cx)
        };
        match answer {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending if this.connection.is_crowded() && *this.of == Answered::Read => {
                Poll::Ready(Err(Error::moved()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

/// The cause of an error that only says that it goes on elsewhere.
#[derive(Debug)]
pub(crate) struct Moved;

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("others wait for a lock on this connection")
    }
}

impl std::error::Error for Moved {}
