//! The thread that brings the lines out, and that alone waits when the output does not take them.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tenfold_context::Moment;

use super::buffer::lost_lines;
use super::level::{Counts, Level};
use super::line::{LINE_BYTES_MAX, Line};
use super::queue::Queue;

/// Lines wait this long to be written together with others; none waits when it is the first
/// after a pause.
const INTERVAL: Duration = Duration::from_millis(5);

/// How often the log says that lines were lost.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    queue: Arc<Queue>,
    output: Output,
    /// What is being written; empty in between.
    batch: Vec<u8>,
    reported: Counts,
    reported_at: Option<Moment>,
}

impl Writer {
    pub(crate) fn new(queue: Arc<Queue>, sink: Box<dyn Write + Send>) -> Writer {
        let output = Output { sink, torn: false };
        Writer { queue, output, batch: Vec::new(), reported: Counts::default(), reported_at: None }
    }

    /// Starts the thread. It ends when the queue is closed.
    pub(crate) fn start(self) -> io::Result<()> {
        let queue = self.queue.clone();
        let thread = thread::Builder::new().name("tenfold-log".into()).spawn(move || self.run())?;
        queue.set_writer(thread.thread().clone());
        Ok(())
    }

    fn run(mut self) {
        loop {
            // Read before the lines are taken: who asked has logged before.
            let asked = self.queue.flush_asked();
            let closing = self.queue.is_closing();
            let wrote = self.write_all(closing);
            let all_said = self.report(closing);
            if closing {
                return self.queue.flushed(u64::MAX);
            }
            self.queue.flushed(asked);
            match (wrote, all_said) {
                (true, _) => thread::park_timeout(INTERVAL),
                (false, false) => self.wait_for_bell(|| thread::park_timeout(REPORT_INTERVAL)),
                (false, true) => self.wait_for_bell(thread::park),
            }
        }
    }

    fn wait_for_bell(&self, park: impl FnOnce()) {
        self.queue.writer_idle.store(true, Ordering::Relaxed);
        if self.queue.is_empty() {
            park();
        }
        self.queue.writer_idle.store(false, Ordering::Relaxed);
    }

    /// Empties every buffer once. True if there was anything.
    fn write_all(&mut self, closing: bool) -> bool {
        let mut wrote = false;
        let mut index = 0;
        while self.queue.take(&mut index, &mut self.batch, closing) {
            if !self.batch.is_empty() {
                wrote = true;
                if let Err(written) = self.output.write(&self.batch) {
                    self.queue.count_lost(lost_lines(&self.batch, written));
                }
                self.batch.clear();
            }
        }
        wrote
    }

    /// Says how many lines were lost since it last said so. False if it still has to.
    fn report(&mut self, closing: bool) -> bool {
        let dropped = self.queue.totals().dropped;
        let lost = dropped.since(self.reported);
        if lost.total() == 0 {
            return true;
        }
        let now = Moment::now();
        let too_soon = self.reported_at.is_some_and(|last| now.since(last) < REPORT_INTERVAL);
        if too_soon && !closing {
            return false;
        }
        self.reported_at = Some(now);
        let mut line = Line::new(LINE_BYTES_MAX);
        line.begin(Level::Warn, self.queue.fixed());
        line.text("msg", "log lines lost");
        for level in Level::ALL.into_iter().filter(|level| lost.of(*level) > 0) {
            line.number(level.word(), lost.of(level));
        }
        let written = self.output.write(line.finish().1).is_ok();
        if written {
            self.queue.count_own(Level::Warn);
            self.reported = dropped;
        }
        written
    }
}

struct Output {
    sink: Box<dyn Write + Send>,
    /// A write failed in the middle of a line, so the next one begins with a new line.
    torn: bool,
}

impl Output {
    /// Writes everything, however long that takes; an error says how much was written before it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), usize> {
        if self.torn {
            self.write_bytes(b"\n").map_err(|_| 0_usize)?;
            self.torn = false;
        }
        self.write_bytes(bytes).inspect_err(|&written| {
            self.torn = written > 0 && bytes[written - 1] != b'\n';
        })
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.sink.write(&bytes[written..]) {
                Ok(0) => return Err(written),
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Somebody who shares our stdout made it non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(INTERVAL),
                Err(_) => return Err(written),
            }
        }
        self.sink.flush().map_err(|_| written)
    }
}
