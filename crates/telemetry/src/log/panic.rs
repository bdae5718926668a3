//! Brings a panic into the log, with the request that it ended.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::layer::{name_work, write_line};
use super::level::Level;
use super::queue::Queue;

/// A panic may be the last thing that happens, so its line is waited for; but a handler's panic
/// is caught, and the other requests of its shard wait with it.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// The process's own, like the hook.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many panics there have been since the hook was installed, caught ones included.
pub(crate) fn count() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// From now on a panic is a line of level 60. The hook that was there before prints it to
/// stderr only when the line could not be written in time.
pub(crate) fn install_hook(queue: Arc<Queue>) {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        log_panic(&queue, info);
        if !queue.flush(FLUSH_TIMEOUT) {
            before(info);
        }
    }));
}

fn log_panic(queue: &Queue, info: &PanicHookInfo<'_>) {
    // Taken only where RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    write_line(queue, Level::Fatal, |line| {
        line.text("msg", "panicked");
        name_work(line, false, false);
        line.text("thread", thread::current().name().unwrap_or("unnamed"));
        if let Some(location) = info.location() {
            line.formatted("location", format_args!("{location}"));
        }
        let message = info.payload_as_str().unwrap_or("the payload is no text");
        line.failure("err", "Panic", format_args!("{message}"), |stack| {
            let captured = backtrace.status() == BacktraceStatus::Captured;
            captured.then(|| write!(stack, "{message}\n{backtrace}").unwrap_or_default())
        });
    });
}
