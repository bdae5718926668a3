//! A stream that holds a connection, and loses it when its reader is too slow: whoever reads
//! slowly, or not at all, is not asked, so somebody else has to look.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tenfold_context::Moment;
use tenfold_overload::Permit;
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::pace::Pace;
use crate::database::Db;
use crate::error::{Error, Result};
use crate::pool::Exclusive;
use crate::row::PgRow;

/// How often it is looked after a reader at the most.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(50);

/// What a stream gives out, and how much of the reader's pace it is.
pub(crate) trait Weighed {
    fn bytes(&self) -> usize;
}

impl Weighed for PgRow {
    fn bytes(&self) -> usize {
        self.raw_bytes()
    }
}

impl Weighed for Bytes {
    fn bytes(&self) -> usize {
        self.len()
    }
}

/// Rows, or what else comes over a connection, and the connection.
pub(crate) struct Held<S> {
    shared: Arc<Shared<S>>,
    row_timeout: Duration,
    /// Runs while the reader and we wait for Postgres.
    waiting: Option<Pin<Box<Sleep>>>,
    watcher: AbortHandle,
}

struct Shared<S> {
    state: Mutex<State<S>>,
    began: Moment,
}

enum State<S> {
    Open(Holding<S>),
    /// The reader was too slow.
    TooSlow {
        after: Duration,
    },
    Ended,
}

/// What is held; fields are dropped in this order.
struct Holding<S> {
    source: Pin<Box<S>>,
    pace: Pace,
    /// What has been taken, in bytes.
    taken: u64,
    waits_for_postgres: bool,
    _exclusive: Exclusive,
    _place: Permit,
}

impl<S, T> Held<S>
where
    S: Stream<Item = Result<T>> + Send + 'static,
    T: Weighed,
{
    /// `what` names the stream in the log.
    pub(crate) fn new(
        db: &Db,
        what: &'static str,
        source: S,
        exclusive: Exclusive,
        place: Permit,
    ) -> Held<S> {
        let settings = db.settings();
        let began = Moment::now();
        let rate_min = settings.stream_rate_min.as_u64();
        let shared = Arc::new(Shared {
            state: Mutex::new(State::Open(Holding {
                source: Box::pin(source),
                pace: Pace::new(rate_min, settings.stream_rate_window, began),
                taken: 0,
                waits_for_postgres: false,
                _exclusive: exclusive,
                _place: place,
            })),
            began,
        });
        let watching = watch(Arc::downgrade(&shared), db.clone(), what);
        let watcher = tokio::spawn(db.context().clone().scope(watching)).abort_handle();
        Held { shared, row_timeout: settings.stream_row_timeout, waiting: None, watcher }
    }
}

impl<S, T> Stream for Held<S>
where
    S: Stream<Item = Result<T>>,
    T: Weighed,
{
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<T>>> {
        let this = self.get_mut();
        let mut state = this.shared.state();
        let holding = match &mut *state {
            State::Open(holding) => holding,
            State::TooSlow { after } => {
                let error = Error::ReaderTooSlow { after: *after };
                *state = State::Ended;
                return Poll::Ready(Some(Err(error)));
            }
            State::Ended => return Poll::Ready(None),
        };
        let Poll::Ready(item) = holding.source.as_mut().poll_next(cx) else {
            if !holding.waits_for_postgres {
                holding.waits_for_postgres = true;
                holding.pace.waits_for_postgres(Moment::now());
            }
            let row_timeout = this.row_timeout;
            let sleep = || Box::pin(tokio::time::sleep(row_timeout));
            if this.waiting.get_or_insert_with(sleep).as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            *state = State::Ended;
            return Poll::Ready(Some(Err(Error::DeadlinePassed { after: row_timeout })));
        };
        if holding.waits_for_postgres {
            holding.waits_for_postgres = false;
            holding.pace.postgres_answered(Moment::now());
            this.waiting = None;
        }
        match &item {
            Some(Ok(item)) => {
                holding.pace.took(item.bytes());
                holding.taken += item.bytes() as u64;
            }
            // The connection goes back at once, and not when the last rows have been sent on.
            Some(Err(_)) | None => *state = State::Ended,
        }
        Poll::Ready(item)
    }
}

impl<S> Drop for Held<S> {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl<S> Shared<S> {
    fn state(&self) -> MutexGuard<'_, State<S>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When to look again. `None` if there is nothing more to look after.
    fn look(&self, db: &Db, what: &'static str) -> Option<Duration> {
        let now = Moment::now();
        let mut state = self.state();
        let State::Open(holding) = &mut *state else { return None };
        if let Some(patience) = holding.pace.patience(now) {
            return Some(patience.max(LOOK_PAUSE_MIN));
        }
        let after = now.since(self.began);
        let stopped = std::mem::replace(&mut *state, State::TooSlow { after });
        // Nothing of the stream is let go of while the lock is held.
        drop(state);
        if let State::Open(Holding { taken, .. }) = &stopped {
            tracing::warn!(
                stream = what,
                taken_bytes = taken,
                after_ms = after.as_millis() as u64,
                rate_min = %db.settings().stream_rate_min,
                "stream ended whose reader is slower than database.stream_rate_min"
            );
        }
        db.metrics().reader_too_slow();
        None
    }
}

/// Looks after the reader until the stream is over.
async fn watch<S>(stream: Weak<Shared<S>>, db: Db, what: &'static str) {
    while let Some(shared) = stream.upgrade() {
        let Some(pause) = shared.look(&db, what) else { return };
        drop(shared);
        tokio::time::sleep(pause).await;
    }
}
