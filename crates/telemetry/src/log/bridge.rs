//! Lines of libraries that log through the `log` crate, such as rustls and tokio-postgres.

use std::sync::Arc;

use ::log::{LevelFilter, Log, Metadata, Record};
use tracing_subscriber::filter::Targets;

use super::layer::{name_work, write_line};
use super::level::Level;
use super::queue::Queue;

struct Bridge {
    queue: Arc<Queue>,
    targets: Targets,
}

/// From now on their records are lines of ours, under the same filter. False if the process
/// has a logger already, which then keeps them.
pub(crate) fn install(queue: Arc<Queue>, targets: Targets) -> bool {
    let most = targets.iter().map(|(_, level)| level).chain(targets.default_level()).max();
    let installed = ::log::set_boxed_logger(Box::new(Bridge { queue, targets })).is_ok();
    if installed {
        ::log::set_max_level(most.map_or(LevelFilter::Off, to_log));
    }
    installed
}

impl Log for Bridge {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.targets.would_enable(metadata.target(), &to_tracing(metadata.level()))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        write_line(&self.queue, Level::from(&to_tracing(record.level())), |line| {
            name_work(line, false, false);
            line.formatted("msg", *record.args());
            line.text("target", record.target());
        });
    }

    fn flush(&self) {}
}

fn to_tracing(level: ::log::Level) -> tracing::Level {
    match level {
        ::log::Level::Error => tracing::Level::ERROR,
        ::log::Level::Warn => tracing::Level::WARN,
        ::log::Level::Info => tracing::Level::INFO,
        ::log::Level::Debug => tracing::Level::DEBUG,
        ::log::Level::Trace => tracing::Level::TRACE,
    }
}

fn to_log(level: tracing::level_filters::LevelFilter) -> LevelFilter {
    match level.into_level() {
        None => LevelFilter::Off,
        Some(tracing::Level::ERROR) => LevelFilter::Error,
        Some(tracing::Level::WARN) => LevelFilter::Warn,
        Some(tracing::Level::INFO) => LevelFilter::Info,
        Some(tracing::Level::DEBUG) => LevelFilter::Debug,
        Some(tracing::Level::TRACE) => LevelFilter::Trace,
    }
}
