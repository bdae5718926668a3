//! Answers of many rows on a shared connection are read as they come, whether who asked for them
//! looks or not: the driver holds back all that comes behind a row that nobody fetches.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_postgres::{Row, RowStream};

use super::Connection;
use super::running::Running;
use crate::error::{Error, Result};
use crate::row::PgRow;

/// How much of one answer may lie here unread. More than that waits for its reader for a moment,
/// and is then thrown away: others wait behind it.
const UNREAD_MAX: usize = 4 * 1024 * 1024;

/// How long an answer waits for a reader who has so much to read.
const READER_PATIENCE: Duration = Duration::from_millis(50);

/// The reader's side of an answer. Dropped, it leaves the rest of it to be thrown away.
pub(crate) struct Reader {
    connection: Arc<Connection>,
    /// Whether it may be asked for again elsewhere.
    may_move: bool,
    shelf: Arc<Shelf>,
    /// What has been taken off the shelf.
    taken: VecDeque<Row>,
    task: AbortHandle,
}

/// Where rows lie until they are read.
#[derive(Default)]
struct Shelf {
    rows: Mutex<Rows>,
    /// Some have been taken.
    taken: Notify,
}

#[derive(Default)]
struct Rows {
    unread: VecDeque<Row>,
    bytes: usize,
    end: Option<End>,
    reader: Option<Waker>,
}

enum End {
    Whole,
    /// Before the first row, so that it may be run again.
    NotBegun(Running, Error),
    Broken(Error),
}

impl Reader {
    /// Reads what `answer` gives, which is a statement that is about to be sent.
    pub(super) fn start<A>(
        connection: &Arc<Connection>,
        running: Running,
        may_move: bool,
        answer: A,
    ) -> Reader
    where
        A: Future<Output = Result<Result<RowStream, tokio_postgres::Error>>> + Send + 'static,
    {
        let shelf = Arc::<Shelf>::default();
        let reading = read(Arc::clone(&shelf), running, answer);
        let task = connection.runtime.spawn(reading).abort_handle();
        let connection = Arc::clone(connection);
        Reader { connection, may_move, shelf, taken: VecDeque::new(), task }
    }

    /// Waits for the first row or the end; `Err` if it has failed before the first row.
    pub(super) async fn begun(&mut self) -> Result<Result<(), (Running, Error)>> {
        std::future::poll_fn(|cx| {
            let mut rows = self.shelf.rows();
            match rows.end.take() {
                Some(End::NotBegun(running, error)) => {
                    return Poll::Ready(Ok(Err((running, error))));
                }
                end => rows.end = end,
            }
            if rows.end.is_some() || !rows.unread.is_empty() {
                return Poll::Ready(Ok(Ok(())));
            }
            if self.is_to_move() {
                return Poll::Ready(Err(Error::moved()));
            }
            rows.wait(cx)
        })
        .await
    }

    /// The next row.
    #[inline]
    pub(super) fn poll_row(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<PgRow>>> {
        if self.taken.is_empty() {
            ready!(self.poll_shelf(cx))?;
        }
        Poll::Ready(self.taken.pop_front().map(|row| Ok(PgRow::new(row))))
    }

    /// Takes all that lies there; nothing at the end.
    fn poll_shelf(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        let mut rows = self.shelf.rows();
        if rows.unread.is_empty() {
            return match &rows.end {
                Some(End::Whole) => Poll::Ready(Ok(())),
                Some(End::Broken(error) | End::NotBegun(_, error)) => {
                    Poll::Ready(Err(error.clone()))
                }
                None if self.is_to_move() => Poll::Ready(Err(Error::moved())),
                None => rows.wait(cx),
            };
        }
        std::mem::swap(&mut rows.unread, &mut self.taken);
        rows.bytes = 0;
        drop(rows);
        self.shelf.taken.notify_one();
        Poll::Ready(Ok(()))
    }

    fn is_to_move(&self) -> bool {
        self.may_move && self.connection.is_crowded()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shelf {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts rows of that size there, if their reader reads.
    async fn put(&self, batch: &mut VecDeque<Row>, size: usize) -> Result<()> {
        while self.rows().bytes > UNREAD_MAX {
            let taken = tokio::time::timeout(READER_PATIENCE, self.taken.notified()).await;
            if taken.is_err() && self.rows().bytes > UNREAD_MAX {
                return Err(Error::Unread { bytes_max: UNREAD_MAX });
            }
        }
        let mut rows = self.rows();
        rows.bytes += size;
        if rows.unread.is_empty() {
            std::mem::swap(&mut rows.unread, batch);
        } else {
            rows.unread.append(batch);
        }
        let reader = rows.reader.take();
        drop(rows);
        reader.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn end(&self, end: End) {
        let mut rows = self.rows();
        if let End::Broken(_) = end {
            // What is read of an answer is all of it, or nothing.
            rows.unread = VecDeque::new();
        }
        rows.end.get_or_insert(end);
        let reader = rows.reader.take();
        drop(rows);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl Rows {
    fn wait<T>(&mut self, cx: &TaskContext<'_>) -> Poll<T> {
        match &mut self.reader {
            Some(known) => known.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// Reads an answer to its end, and puts its rows on the shelf.
async fn read<A>(shelf: Arc<Shelf>, running: Running, answer: A)
where
    A: Future<Output = Result<Result<RowStream, tokio_postgres::Error>>> + Send,
{
    let stream = match answer.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            let error = running.failed(error);
            return shelf.end(End::NotBegun(running, error));
        }
        Err(moved) => return shelf.end(End::Broken(moved)),
    };
    let mut stream = std::pin::pin!(stream);
    let (mut begun, mut is_read) = (false, true);
    let mut batch = VecDeque::new();
    loop {
        let (size, end) = std::future::poll_fn(|cx| gather(stream.as_mut(), &mut batch, cx)).await;
        begun |= !batch.is_empty();
        if !is_read {
            batch.clear();
        } else if !batch.is_empty()
            && let Err(error) = shelf.put(&mut batch, size).await
        {
            shelf.end(End::Broken(error));
            is_read = false;
        }
        match end {
            None => {}
            Some(Ok(())) => {
                running.end();
                return shelf.end(End::Whole);
            }
            Some(Err(error)) => {
                let error = running.failed(error);
                if !begun {
                    return shelf.end(End::NotBegun(running, error));
                }
                running.end_with(&error);
                return shelf.end(End::Broken(error));
            }
        }
    }
}

/// All rows that are there, with their size, and whether they are the last.
fn gather(
    mut stream: Pin<&mut RowStream>,
    batch: &mut VecDeque<Row>,
    cx: &mut TaskContext<'_>,
) -> Poll<(usize, Option<Result<(), tokio_postgres::Error>>)> {
    let mut size = 0;
    loop {
        let end = match stream.as_mut().poll_next(cx) {
            Poll::Ready(Some(Ok(row))) => {
                size += row.raw_size_bytes();
                batch.push_back(row);
                if size < UNREAD_MAX {
                    continue;
                }
                None
            }
            Poll::Ready(Some(Err(error))) => Some(Err(error)),
            Poll::Ready(None) => Some(Ok(())),
            Poll::Pending if batch.is_empty() => return Poll::Pending,
            Poll::Pending => None,
        };
        return Poll::Ready((size, end));
    }
}
