//! Log lines as pino writes them, at the cost of formatting them once.
//!
//! An event of `tracing` becomes one line of JSON:
//!
//! ```json
//! {"level":30,"time":1764000000000,"pid":7,"hostname":"a","name":"store","reqId":"8d…","route":"/orders","msg":"order placed","order":17}
//! ```
//!
//! - `reqId` and `route` are those of [`tenfold_context::Context::current`].
//! - Fields of the event come first, then those of its spans from the innermost on; a key
//!   stands in a line once, and the inner one wins.
//! - Numbers and booleans are JSON's own. `error = &error as &dyn Error` becomes pino's
//!   `err: {type, message, stack}`, where `stack` says what caused it.
//! - The fixed keys are reserved: a field called `level`, `time`, `pid`, `hostname`, `name` or
//!   `msg` gets a `_` behind its name.
//! - What a library logs through the `log` crate is a line as well, with its `target`.
//! - `fatal = true` makes a line of level 60, which `tracing` has no level for.
//! - A text longer than 8 KiB is cut and says so; a line has at most 16 KiB, and `fieldsCut`
//!   counts the fields that found no room.
//!
//! A thread writes its lines into a buffer of its own, and one other thread brings them out
//! every few milliseconds. When the output does not take them, such as a pipe that nobody
//! reads, the service goes on: what does not fit is lost and counted by level, trace to info
//! before warn and error, and when the output works again a line says how much was lost.
//! The lines of one thread stay in order; those of several are mixed, and each has its time.

mod bridge;
mod buffer;
mod captured;
mod fields;
mod layer;
mod level;
mod line;
mod panic;
mod queue;
mod settings;
mod text;
mod writer;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fmt, process};

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

use self::layer::LogLayer;
use self::level::Level;
use self::line::Line;
use self::queue::Queue;
use self::writer::Writer;
use crate::metrics::Registry;

pub use captured::CapturedLog;
pub use settings::{LogFilter, LogSettings, ParseLogFilterError, RequestLines};

/// How long the end of a program waits for its last lines.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the lines go.
pub enum LogTarget {
    /// The standard output of this process.
    Stdout,
    /// The end of a file, which is made if it is not there.
    File(PathBuf),
    /// Anything else. Only the writing thread calls it, and it may block.
    Writer(Box<dyn Write + Send>),
}

/// Starts the log of this process: every event of `tracing` is a line from here on, and so is
/// every panic and what libraries log through the `log` crate. `service` is the `name` in each
/// line.
///
/// Fails when the target cannot be opened, the writing thread cannot be started, or the process
/// has a `tracing` subscriber already.
pub fn start(
    settings: &LogSettings,
    service: &str,
    target: LogTarget,
) -> Result<LogGuard, StartLogError> {
    let (subscriber, guard) = subscriber(settings, service, target)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| StartLogError::AlreadyStarted)?;
    // Nothing but a second start can have set it before, and that one failed above.
    let _ = PROCESS.set(guard.queue.clone());
    panic::install_hook(guard.queue.clone());
    if !bridge::install(guard.queue.clone(), settings.level.to_targets()) {
        tracing::warn!("another logger has the lines of libraries that use the log crate");
    }
    Ok(guard)
}

/// Waits until every line that this thread logged before is written, at most for `timeout`:
/// for whoever ends the process past its [`LogGuard`]. False if that was not enough, or the log
/// of this process does not run.
pub fn flush(timeout: Duration) -> bool {
    PROCESS.get().is_some_and(|queue| queue.flush(timeout))
}

/// The queue of the log that [`start`] started.
static PROCESS: OnceLock<Arc<Queue>> = OnceLock::new();

/// The same as a subscriber for a part of the program, without the process's panics; for tests.
pub fn subscriber(
    settings: &LogSettings,
    service: &str,
    target: LogTarget,
) -> Result<(impl Subscriber + Send + Sync + use<>, LogGuard), StartLogError> {
    let sink = target.open()?;
    let queue = Arc::new(Queue::new(fixed_fields(service), settings.buffer_bytes.as_usize()));
    Writer::new(queue.clone(), sink).start().map_err(StartLogError::Thread)?;
    let subscriber = tracing_subscriber::registry()
        .with(settings.level.to_targets())
        .with(LogLayer { queue: queue.clone() });
    Ok((subscriber, LogGuard { queue }))
}

/// The log did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartLogError {
    /// The target cannot be written to.
    #[error("the log cannot be written to {target}: {error}")]
    Open {
        /// Where lines should have gone.
        target: String,
        /// Why they cannot.
        #[source]
        error: io::Error,
    },
    /// The operating system has no thread for it.
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(#[source] io::Error),
    /// This process has a subscriber of `tracing` already.
    #[error("the log of this process was started before")]
    AlreadyStarted,
}

/// Keeps the log running. Its end writes what is there, for at most a second, and closes the
/// log: what comes later is lost.
#[must_use = "the log ends with its guard"]
pub struct LogGuard {
    queue: Arc<Queue>,
}

impl LogGuard {
    /// Waits until every line that this thread logged before is written, at most for
    /// `timeout`. False if that was not enough.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.flush(timeout)
    }

    /// Shows how much is logged and lost: `tenfold_log_lines_total` and
    /// `tenfold_log_dropped_lines_total` by level, `tenfold_log_write_errors_total`.
    pub fn register(&self, registry: &Registry) {
        for level in Level::ALL {
            let labels = [("level", level.word())];
            let queue = self.queue.clone();
            registry.counter_with(
                "tenfold_log_lines_total",
                "Lines logged, those that were lost included.",
                &labels,
                move || queue.totals().lines.of(level) as f64,
            );
            let queue = self.queue.clone();
            registry.counter_with(
                "tenfold_log_dropped_lines_total",
                "Lines lost, because the output did not take them.",
                &labels,
                move || queue.totals().dropped.of(level) as f64,
            );
        }
        let queue = self.queue.clone();
        registry.counter_with(
            "tenfold_log_write_errors_total",
            "Writes to the log's output that failed.",
            &[],
            move || queue.write_errors() as f64,
        );
        registry.counter_with(
            "tenfold_panics_total",
            "Panics in any thread or task, those of handlers included.",
            &[],
            || panic::count() as f64,
        );
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.queue.close(CLOSE_TIMEOUT);
    }
}

impl fmt::Debug for LogGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogGuard").finish_non_exhaustive()
    }
}

impl LogTarget {
    fn open(self) -> Result<Box<dyn Write + Send>, StartLogError> {
        let (target, opened) = match self {
            LogTarget::Stdout => ("stdout".to_owned(), stdout_file()),
            LogTarget::File(path) => {
                (path.display().to_string(), File::options().append(true).create(true).open(path))
            }
            LogTarget::Writer(writer) => return Ok(writer),
        };
        match opened {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(StartLogError::Open { target, error }),
        }
    }
}

impl fmt::Debug for LogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogTarget::Stdout => f.write_str("Stdout"),
            LogTarget::File(path) => f.debug_tuple("File").field(path).finish(),
            LogTarget::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// Stdout without the line buffer and the lock of Rust's own, which would cut a batch in two.
fn stdout_file() -> io::Result<File> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// What is the same in every line.
fn fixed_fields(service: &str) -> Vec<u8> {
    let hostname = nix::unistd::gethostname().unwrap_or_default();
    let mut line = Line::new(line::SPAN_BYTES_MAX);
    line.number("pid", process::id());
    line.text("hostname", &hostname.to_string_lossy());
    line.text("name", service);
    line.into_fields()
}

#[cfg(test)]
mod tests;
