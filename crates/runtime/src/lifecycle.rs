//! A service's parts start in order and stop in reverse, each within a time of its own, so
//! that nothing is pulled away from under something that still needs it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tenfold_context::{Deadline, Moment};

use crate::panic;

/// What has been started and must be stopped: a stack.
#[derive(Default)]
pub struct Lifecycle {
    parts: Vec<Part>,
    /// What is being started, to name it if that fails.
    starting: Option<Starting>,
}

#[derive(Clone, Copy)]
struct Starting {
    part: &'static str,
    since: Moment,
}

struct Part {
    name: &'static str,
    stop_timeout: Duration,
    stop: Box<dyn FnOnce(Deadline) -> Stopping + Send>,
}

type Stopping = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Lifecycle {
    /// With nothing started.
    pub fn new() -> Lifecycle {
        Lifecycle::default()
    }

    /// Starts a service: `start` starts part after part and notes each in the lifecycle. If it
    /// fails, what it had started is stopped.
    ///
    /// # Errors
    /// What `start` failed with, and how stopping the rest went.
    pub async fn start<T, E>(
        start: impl AsyncFnOnce(&mut Lifecycle) -> Result<T, E>,
    ) -> Result<(Lifecycle, T), StartFailed<E>> {
        let mut lifecycle = Lifecycle::new();
        match start(&mut lifecycle).await {
            Ok(value) => Ok((lifecycle, value)),
            Err(error) => {
                let part = lifecycle.starting.map(|starting| starting.part);
                Err(StartFailed { part, error, report: lifecycle.stop().await })
            }
        }
    }

    /// Notes that a part begins to start: if that fails, it has a name.
    pub fn starting(&mut self, part: &'static str) {
        self.starting = Some(Starting { part, since: Moment::now() });
    }

    /// Notes that a part has started, and how to stop it within `stop_timeout`. It is stopped
    /// before everything that was noted earlier. `stop` is told until when it has time; after
    /// that it is dropped. It must not block, because then nothing can end its time.
    pub fn started<F, E>(
        &mut self,
        name: &'static str,
        stop_timeout: Duration,
        stop: impl FnOnce(Deadline) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let stop = move |deadline: Deadline| -> Stopping {
            let stopping = stop(deadline);
            Box::pin(async { stopping.await.map_err(|error| error.to_string()) })
        };
        match self.starting.take_if(|starting| starting.part == name) {
            Some(Starting { since, .. }) => {
                let took_ms = Moment::now().since(since).as_millis() as u64;
                tracing::debug!(part = name, took_ms, "part started");
            }
            None => tracing::debug!(part = name, "part started"),
        }
        self.parts.push(Part { name, stop_timeout, stop: Box::new(stop) });
    }

    /// Stops everything, the latest first, and one after the other. A part that fails or takes
    /// too long does not keep the others from being stopped.
    pub async fn stop(self) -> StopReport {
        let mut report = StopReport { parts: Vec::new() };
        for part in self.parts.into_iter().rev() {
            let begun = Moment::now();
            let name = part.name;
            let outcome = part.stop().await;
            let took = Moment::now().since(begun);
            let part = StoppedPart { name, took, outcome };
            part.log();
            report.parts.push(part);
        }
        report
    }
}

impl Part {
    async fn stop(self) -> StopOutcome {
        let deadline = Deadline::after(self.stop_timeout);
        // Called within, because a stop that panics before its first await is one that failed.
        let stopping = AssertUnwindSafe(async { (self.stop)(deadline).await }).catch_unwind();
        match tokio::time::timeout_at(deadline.instant(), stopping).await {
            Ok(Ok(Ok(()))) => StopOutcome::Stopped,
            Ok(Ok(Err(error))) => StopOutcome::Failed(error),
            Ok(Err(payload)) => {
                StopOutcome::Failed(format!("panicked: {}", panic::message(&*payload)))
            }
            Err(_elapsed) => StopOutcome::TookTooLong { limit: self.stop_timeout },
        }
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|part| part.name)).finish()
    }
}

/// How stopping went, part by part in the order in which they were stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// Every part that had been started.
    pub parts: Vec<StoppedPart>,
}

/// How one part's stop went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoppedPart {
    /// The part's name.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: StopOutcome,
}

impl StoppedPart {
    /// At once and not at the end of all stops, so that the log shows where one hangs.
    fn log(&self) {
        let took_ms = self.took.as_millis();
        match &self.outcome {
            StopOutcome::Stopped => tracing::info!(part = self.name, took_ms, "part stopped"),
            StopOutcome::Failed(error) => {
                tracing::error!(part = self.name, took_ms, error, "part could not be stopped");
            }
            StopOutcome::TookTooLong { .. } => {
                tracing::error!(part = self.name, took_ms, "part did not stop in time");
            }
        }
    }
}

/// How a stop ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// As it should.
    Stopped,
    /// With an error that said this.
    Failed(String),
    /// It was given up after its time.
    TookTooLong {
        /// The time it had.
        limit: Duration,
    },
}

impl StopReport {
    /// Whether every part stopped as it should.
    pub fn is_clean(&self) -> bool {
        self.unclean().next().is_none()
    }

    /// The parts that did not stop as they should.
    pub fn unclean(&self) -> impl Iterator<Item = &StoppedPart> {
        self.parts.iter().filter(|part| part.outcome != StopOutcome::Stopped)
    }
}

/// One sentence for each part that did not stop as it should, or that all did.
impl fmt::Display for StopReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("everything stopped");
        }
        let parts: Vec<_> = self.unclean().map(ToString::to_string).collect();
        f.write_str(&parts.join("; "))
    }
}

impl fmt::Display for StoppedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match &self.outcome {
            StopOutcome::Stopped => write!(f, "{name} stopped"),
            StopOutcome::Failed(error) => write!(f, "{name} could not be stopped: {error}"),
            StopOutcome::TookTooLong { limit } => write!(f, "{name} did not stop within {limit:?}"),
        }
    }
}

/// A service could not be started.
#[derive(Debug)]
pub struct StartFailed<E> {
    /// The part that could not be started, where that was noted.
    pub part: Option<&'static str>,
    /// Why not.
    pub error: E,
    /// How stopping what had been started went.
    pub report: StopReport,
}

impl<E: fmt::Display> fmt::Display for StartFailed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(part) = self.part {
            write!(f, "{part} could not be started: ")?;
        }
        write!(f, "{}", self.error)?;
        if !self.report.is_clean() {
            write!(f, " (and then: {})", self.report)?;
        }
        Ok(())
    }
}

impl<E: std::error::Error> std::error::Error for StartFailed<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}
