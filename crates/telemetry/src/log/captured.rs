//! A log that a test can read.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::LogTarget;

/// Keeps every line in memory, for tests. A clone is the same memory.
#[derive(Clone, Debug, Default)]
pub struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl CapturedLog {
    /// An empty one.
    pub fn new() -> CapturedLog {
        CapturedLog::default()
    }

    /// A target that writes into it.
    pub fn target(&self) -> LogTarget {
        LogTarget::Writer(Box::new(Sink(self.clone())))
    }

    /// Everything that was written so far; [flush](super::LogGuard::flush) first.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

struct Sink(CapturedLog);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
