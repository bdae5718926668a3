//! A statement from its sending to the end of its answer, and what a connection is like when its
//! user is gone.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, ready};

use futures_util::Stream;
use tokio_postgres::RowStream;

use super::Connection;
use super::reader::Reader;
use super::turns::{Answered, Turn};
use crate::error::{Error, PostgresError, Result};
use crate::query::Key;
use crate::row::PgRow;

/// How a connection was left by its last user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Clean,
    /// A statement whose answer nobody reads any more.
    Running,
    InTransaction,
    /// With settings, locks, temporary tables or channels of its last user.
    SessionChanged,
    Broken,
}

impl Left {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Left::Clean => "clean",
            Left::Running => "running",
            Left::InTransaction => "in_transaction",
            Left::SessionChanged => "session_changed",
            Left::Broken => "broken",
        }
    }
}

/// A statement between its sending and the end of its answer. Dropped in between, it leaves a
/// mark on the connection.
#[derive(Debug)]
pub(crate) struct Running {
    connection: Arc<Connection>,
    ended: bool,
    /// `None` before it is sent, and for what is none of the single statements.
    sent: Option<Sent>,
    /// Its turn among those that may wait for a lock.
    turn: Turn,
}

/// A statement that has its number in the line.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) key: Key,
    /// Whether it may wait for a lock though nobody changes its table.
    pub(super) waits: bool,
}

impl Running {
    pub(super) fn start(connection: &Arc<Connection>) -> Running {
        connection.running.fetch_add(1, Ordering::Relaxed);
        Running {
            connection: Arc::clone(connection),
            ended: false,
            sent: None,
            turn: Turn::default(),
        }
    }

    /// Waits for its turn, if it may wait for a lock.
    pub(super) async fn take_turn(&mut self, key: &Key) -> Result<()> {
        self.turn = self.connection.turn(key).await?;
        Ok(())
    }

    /// It is sent in this moment.
    #[inline]
    pub(super) fn send(&mut self, key: Key, waits: bool) -> Answered {
        self.sent = Some(Sent { number: self.connection.line.send(), key, waits });
        Answered::of(waits, &self.turn)
    }

    pub(super) fn sent(&self) -> Option<&Sent> {
        self.sent.as_ref()
    }

    /// What an error of the driver means to whoever runs it.
    pub(crate) fn failed(&self, error: tokio_postgres::Error) -> Error {
        self.connection.failed(error)
    }

    /// The answer has been read to its end.
    pub(crate) fn end(mut self) {
        self.ended = true;
        if let Some(Sent { number, key, .. }) = &self.sent {
            self.connection.answered(*number, key);
        }
    }

    /// The answer has come to its end with that error.
    pub(super) fn end_with(mut self, error: &Error) {
        let waited = error.postgres().is_some_and(PostgresError::is_lock_timeout);
        let Some(Sent { number, key, waits }) = &self.sent else { return self.end() };
        if !waited || self.connection.slow.is_none() {
            return self.end();
        }
        if !waits {
            self.connection.crowd();
        }
        self.connection.waited_for_lock(*number, key);
        self.ended = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.connection.abandoned.store(true, Ordering::Relaxed);
            if let Some(Sent { number, key, .. }) = self.sent.take() {
                // Nobody would give the turn back on a connection that has ended.
                let turn = std::mem::take(&mut self.turn);
                let has_turn = !self.connection.is_closed() && turn.leave();
                self.connection.left_behind(number, key, has_turn);
            }
        }
        self.connection.running.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project_lite::pin_project! {
    /// The rows of one answer, as they come. Dropped before the end, it leaves the rest of the
    /// answer to be thrown away, and the connection marked.
    #[project = RowsOf]
    pub(crate) enum Rows {
        /// As fast as they are taken: for a connection of one's own.
        Driven {
            #[pin]
            stream: RowStream,
            running: Option<Running>,
        },
        /// As fast as they come, for others are behind them.
        Read { reader: Reader },
    }
}

impl Stream for Rows {
    type Item = Result<PgRow>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Result<PgRow>>> {
        let (stream, running) = match self.project() {
            RowsOf::Driven { stream, running } => (stream, running),
            RowsOf::Read { reader } => return reader.poll_row(cx),
        };
        let row = match ready!(stream.poll_next(cx)) {
            Some(Ok(row)) => return Poll::Ready(Some(Ok(PgRow::new(row)))),
            Some(Err(error)) => Some(Err(match running {
                Some(running) => running.connection.failed(error),
                None => Error::of_statement(error),
            })),
            None => None,
        };
        // Postgres says nothing more about a statement after an error or the last row.
        if let Some(running) = running.take() {
            running.end();
        }
        Poll::Ready(row)
    }
}
