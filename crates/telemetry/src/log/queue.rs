//! Everything between the threads that log and the one that writes.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use super::buffer::ThreadBuffer;
use super::level::{Counts, Level, Totals};

/// The buffers of all threads, and the bell of the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    /// Tells the queues of one process apart; there is more than one in tests only.
    number: u64,
    /// `,"pid":…,"hostname":…,"name":…`, the same in every line.
    fixed: Vec<u8>,
    /// Of each thread's buffer.
    buffer_bytes_max: usize,
    buffers: Mutex<Buffers>,
    /// For lines of threads that are ending or that are too many.
    shared: Arc<ThreadBuffer>,
    writer: OnceLock<Thread>,
    /// The writer sleeps until the bell rings.
    pub(crate) writer_idle: AtomicBool,
    closing: AtomicBool,
    flush_asked: AtomicU64,
    flushed: Mutex<u64>,
    flush_done: Condvar,
    /// What the writer itself logged and lost.
    written: Mutex<Written>,
}

#[derive(Debug, Default)]
struct Buffers {
    live: Vec<Arc<ThreadBuffer>>,
    /// The counts of threads that are gone.
    retired: Totals,
    /// Threads that log for the first time now come too late.
    closed: bool,
}

/// What happened to the lines that the writer took.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    totals: Totals,
    errors: u64,
}

/// More threads than this share one buffer: threads that end while the output is blocked
/// leave theirs behind, and those must not add up for ever.
const BUFFERS_MAX: usize = 1024;

thread_local! {
    /// This thread's buffer in each queue.
    static OWN: RefCell<Vec<(u64, Arc<ThreadBuffer>)>> = const { RefCell::new(Vec::new()) };
}

impl Queue {
    pub(crate) fn new(fixed: Vec<u8>, buffer_bytes_max: usize) -> Queue {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let shared = Arc::<ThreadBuffer>::default();
        Queue {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            fixed,
            buffer_bytes_max,
            buffers: Mutex::new(Buffers { live: vec![shared.clone()], ..Buffers::default() }),
            shared,
            writer: OnceLock::new(),
            writer_idle: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            flush_asked: AtomicU64::new(0),
            flushed: Mutex::new(0),
            flush_done: Condvar::new(),
            written: Mutex::default(),
        }
    }

    pub(crate) fn fixed(&self) -> &[u8] {
        &self.fixed
    }

    /// Hands a line to the writer, or counts it as lost. Never waits for the output.
    pub(crate) fn push(&self, level: Level, line: &[u8]) {
        let push = |buffer: &ThreadBuffer| buffer.push(level, line, self.buffer_bytes_max);
        let half_full = OWN
            .try_with(|own| {
                let mut own = own.borrow_mut();
                let mine = own.iter().position(|(number, _)| *number == self.number);
                let mine = mine.unwrap_or_else(|| self.join(&mut own));
                push(&own[mine].1)
            })
            // The thread is ending and its own list is gone.
            .unwrap_or_else(|_| push(&self.shared));
        // The writer says that it is idle before it looks into the buffer for the last time,
        // and the buffer's lock orders that look and our line: one of us sees the other.
        if half_full || self.writer_idle.load(Ordering::Relaxed) {
            self.ring();
        }
    }

    /// Waits until every line that this thread logged before is written, at most for
    /// `timeout`. False if that was not enough, or the queue is closed.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        !self.is_closing() && self.wait_for_writer(timeout)
    }

    /// No more lines: what is there is written, at most for `timeout`; what comes later is lost.
    pub(crate) fn close(&self, timeout: Duration) {
        self.closing.store(true, Ordering::Release);
        self.wait_for_writer(timeout);
    }

    /// What was logged and lost so far, by whomever.
    pub(crate) fn totals(&self) -> Totals {
        let buffers = lock(&self.buffers);
        let mut totals = lock(&self.written).totals;
        totals += buffers.retired;
        buffers.live.iter().for_each(|buffer| totals += buffer.totals());
        totals
    }

    #[cfg(test)]
    pub(crate) fn buffer_count(&self) -> usize {
        lock(&self.buffers).live.len()
    }

    pub(crate) fn write_errors(&self) -> u64 {
        lock(&self.written).errors
    }

    // What follows is the writer's.

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) fn set_writer(&self, writer: Thread) {
        let _ = self.writer.set(writer);
    }

    pub(crate) fn flush_asked(&self) -> u64 {
        self.flush_asked.load(Ordering::Acquire)
    }

    pub(crate) fn flushed(&self, ticket: u64) {
        *lock(&self.flushed) = ticket;
        self.flush_done.notify_all();
    }

    /// Swaps the lines of the buffer at `index`, which moves on, with `bytes`, which is empty.
    /// False when there is no buffer left. One whose thread is gone is taken off the list.
    pub(crate) fn take(&self, index: &mut usize, bytes: &mut Vec<u8>, closing: bool) -> bool {
        let mut buffers = lock(&self.buffers);
        buffers.closed |= closing;
        let Some(buffer) = buffers.live.get_mut(*index) else { return false };
        // First this, then its lines: nobody can add one any more.
        let is_orphan = Arc::get_mut(buffer).is_some();
        buffer.take(bytes, closing);
        if is_orphan {
            let orphan = buffers.live.swap_remove(*index);
            buffers.retired += orphan.totals();
        } else {
            *index += 1;
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.buffers).live.iter().all(|buffer| buffer.is_empty())
    }

    pub(crate) fn count_lost(&self, lost: Counts) {
        let mut written = lock(&self.written);
        written.totals.dropped += lost;
        written.errors += 1;
    }

    pub(crate) fn count_own(&self, level: Level) {
        lock(&self.written).totals.lines.count(level);
    }

    fn wait_for_writer(&self, timeout: Duration) -> bool {
        let ticket = self.flush_asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.ring();
        let flushed = lock(&self.flushed);
        let (flushed, _) = self
            .flush_done
            .wait_timeout_while(flushed, timeout, |flushed| *flushed < ticket)
            .unwrap_or_else(PoisonError::into_inner);
        *flushed >= ticket
    }

    fn ring(&self) {
        if let Some(writer) = self.writer.get() {
            self.writer_idle.store(false, Ordering::Relaxed);
            writer.unpark();
        }
    }

    /// Gives this thread a buffer, and says where it is in its list.
    fn join(&self, own: &mut Vec<(u64, Arc<ThreadBuffer>)>) -> usize {
        // Where nobody else holds a buffer, its queue is gone.
        own.retain(|(_, buffer)| Arc::strong_count(buffer) > 1);
        let mut buffers = lock(&self.buffers);
        let buffer = if buffers.closed || buffers.live.len() >= BUFFERS_MAX {
            self.shared.clone()
        } else {
            let buffer = Arc::<ThreadBuffer>::default();
            buffers.live.push(buffer.clone());
            buffer
        };
        own.push((self.number, buffer));
        own.len() - 1
    }
}

/// Nothing behind these locks can be left half-done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
