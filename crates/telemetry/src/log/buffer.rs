//! Where the lines of one thread wait for the writer: bounded in bytes, with the room at its
//! end kept for what matters more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::level::{Counts, Level, Totals};

/// The lines of one thread. Its lock is held for a copy by the thread and for a swap by the
/// writer, so that neither waits.
#[derive(Debug, Default)]
pub(crate) struct ThreadBuffer(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// How many of the bytes are lines below warn.
    small_talk_bytes: usize,
    totals: Totals,
    /// Nobody will come for lines any more.
    closed: bool,
}

impl ThreadBuffer {
    /// Adds a line or counts it as lost. True when the writer should come at once, because
    /// this line made it half full.
    pub(crate) fn push(&self, level: Level, line: &[u8], bytes_max: usize) -> bool {
        let mut pending = self.lock();
        pending.totals.lines.count(level);
        if !pending.make_room(level, line.len(), bytes_max) {
            pending.totals.dropped.count(level);
            return false;
        }
        let before = pending.bytes.len();
        pending.bytes.extend_from_slice(line);
        if level < Level::Warn {
            pending.small_talk_bytes += line.len();
        }
        let half = bytes_max / 2;
        before < half && pending.bytes.len() >= half
    }

    /// Swaps all lines with `bytes`, which is empty: so memory goes round between the threads
    /// and the writer, and none is allocated once it is large enough.
    pub(crate) fn take(&self, bytes: &mut Vec<u8>, closing: bool) {
        let mut pending = self.lock();
        pending.closed |= closing;
        if !pending.bytes.is_empty() {
            pending.small_talk_bytes = 0;
            std::mem::swap(&mut pending.bytes, bytes);
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().bytes.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn make_room(&mut self, level: Level, length: usize, bytes_max: usize) -> bool {
        // The last quarter is for warn and above, the last eighth for error and fatal.
        let limit = match level {
            Level::Trace | Level::Debug | Level::Info => bytes_max / 4 * 3,
            Level::Warn => bytes_max / 8 * 7,
            Level::Error | Level::Fatal => bytes_max,
        };
        let fits = |pending: &Pending| pending.bytes.len() + length <= limit;
        if !self.closed && !fits(self) && level >= Level::Warn && self.small_talk_bytes > 0 {
            // Cheap on average: it takes an eighth of the buffer in warnings to come here again.
            self.drop_small_talk();
        }
        !self.closed && fits(self)
    }

    fn drop_small_talk(&mut self) {
        let mut kept = 0;
        let mut next = 0;
        while let Some(length) = self.bytes[next..].iter().position(|byte| *byte == b'\n') {
            let line = next..next + length + 1;
            next = line.end;
            let level = Level::of_line(&self.bytes[line.clone()]);
            if level < Level::Warn {
                self.totals.dropped.count(level);
            } else {
                self.bytes.copy_within(line.clone(), kept);
                kept += line.len();
            }
        }
        self.bytes.truncate(kept);
        self.small_talk_bytes = 0;
    }
}

/// Counts what a failed write of `bytes` did not bring out: every line that ends behind the
/// first `written` bytes.
pub(crate) fn lost_lines(bytes: &[u8], written: usize) -> Counts {
    let line = bytes[..written].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    Counts::of_lines(&bytes[line..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of exactly `length` bytes.
    fn line(level: Level, length: usize) -> Vec<u8> {
        let head = format!("{{\"level\":{}", level.number());
        format!("{head:.<width$}}}\n", width = length - 2).into_bytes()
    }

    fn push(buffer: &ThreadBuffer, level: Level, length: usize) -> bool {
        buffer.push(level, &line(level, length), 800)
    }

    fn taken(buffer: &ThreadBuffer, closing: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        buffer.take(&mut bytes, closing);
        bytes
    }

    fn dropped(buffer: &ThreadBuffer) -> Vec<(&'static str, u64)> {
        let dropped = buffer.totals().dropped;
        let counted = Level::ALL.map(|level| (level.word(), dropped.of(level)));
        counted.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    #[test]
    fn the_writer_is_called_once_at_half_full() {
        let buffer = ThreadBuffer::default();
        assert!(!push(&buffer, Level::Info, 380));
        assert!(push(&buffer, Level::Info, 20));
        assert!(!push(&buffer, Level::Info, 20));
        assert_eq!(taken(&buffer, false).len(), 420);
        assert!(buffer.is_empty());
    }

    #[test]
    fn room_is_kept_for_what_matters_more() {
        let buffer = ThreadBuffer::default();
        for _ in 0..10 {
            push(&buffer, Level::Warn, 100);
        }
        for _ in 0..10 {
            push(&buffer, Level::Info, 100);
        }
        push(&buffer, Level::Error, 100);
        push(&buffer, Level::Error, 100);
        assert_eq!(dropped(&buffer), [("info", 10), ("warn", 3), ("error", 1)]);
    }

    #[test]
    fn info_goes_before_warn_and_error() {
        let buffer = ThreadBuffer::default();
        push(&buffer, Level::Warn, 50);
        for _ in 0..5 {
            push(&buffer, Level::Info, 100);
        }
        for _ in 0..2 {
            push(&buffer, Level::Error, 150);
        }
        assert_eq!(dropped(&buffer), [("info", 5)]);
        let counts = Counts::of_lines(&taken(&buffer, false));
        assert_eq!((counts.of(Level::Warn), counts.of(Level::Error), counts.total()), (1, 2, 3));
        assert_eq!(buffer.totals().lines.total(), 8);
    }

    #[test]
    fn memory_goes_round() {
        let buffer = ThreadBuffer::default();
        let mut bytes = Vec::with_capacity(12_345);
        buffer.take(&mut bytes, false);
        assert_eq!(bytes.capacity(), 12_345, "nothing to swap for");
        push(&buffer, Level::Info, 50);
        buffer.take(&mut bytes, false);
        bytes.clear();
        push(&buffer, Level::Info, 50);
        buffer.take(&mut bytes, false);
        assert_eq!(bytes.capacity(), 12_345, "it has been the thread's meanwhile");
    }

    #[test]
    fn a_closed_one_takes_nothing_and_counts() {
        let buffer = ThreadBuffer::default();
        push(&buffer, Level::Info, 50);
        assert_eq!(taken(&buffer, true).len(), 50);
        push(&buffer, Level::Error, 50);
        assert!(buffer.is_empty());
        assert_eq!(dropped(&buffer), [("error", 1)]);
    }

    #[test]
    fn a_line_that_was_cut_by_a_failed_write_is_lost() {
        let lines = [line(Level::Info, 20), line(Level::Warn, 20), line(Level::Error, 20)].concat();
        let lost = |written| {
            let lost = lost_lines(&lines, written);
            [Level::Info, Level::Warn, Level::Error].map(|level| lost.of(level))
        };
        assert_eq!(lost(0), [1, 1, 1]);
        assert_eq!(lost(19), [1, 1, 1]);
        assert_eq!(lost(20), [0, 1, 1]);
        assert_eq!(lost(45), [0, 0, 1]);
        assert_eq!(lost(60), [0, 0, 0]);
    }
}
