//! CPU work away from the event loops: a fixed number of threads, and a gate in front of them
//! that decides who waits, in which order, and who is turned away.
//!
//! The gate has as many places as there are threads, and a place is held until the work has
//! *ended*: the caller may leave, the work it had begun may not, so its place is not free. That
//! is why the queue behind the gate never holds more jobs than there are threads, and why all
//! waiting happens at the gate, where priority and deadline count.

mod job;
mod metrics;
#[cfg(test)]
mod tests;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use tenfold_context::{Context, Deadline, Moment, aside};
use tenfold_overload::{Entrance, Limits, Occupancy, Refusal};
use tenfold_telemetry::metrics::Registry;

use crate::settings::RuntimeSettings;
use job::Outcome;
use metrics::OffloadMetrics;
use workers::Workers;

/// The threads for CPU work. A clone is the same threads; they end with the last clone.
#[derive(Clone, Debug)]
pub struct Offload(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    entrance: Entrance,
    workers: Workers,
    metrics: OffloadMetrics,
}

impl Offload {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the system gives no thread; those that had started are stopped.
    pub fn start(
        settings: &RuntimeSettings,
        registry: &Registry,
    ) -> Result<Offload, StartOffloadError> {
        let threads = settings.offload_thread_count();
        let waiting_max = settings.offload_queue_max;
        let entrance = Entrance::new(Limits { places: threads, waiting_max });
        let workers = Workers::start(threads)?;
        let metrics = OffloadMetrics::new(registry, &entrance);
        Ok(Offload(Arc::new(Inner { entrance, workers, metrics })))
    }

    /// Runs `work` on one of the threads and waits for what it returns, at the latest until the
    /// context's deadline. The context is the current one inside of `work`.
    ///
    /// A caller may stop waiting at any time. Work that had not begun then, or whose deadline
    /// passed before, never begins; work that had begun runs to its end, because a thread
    /// cannot be stopped from outside.
    ///
    /// # Errors
    /// Says why there is no result: see [`OffloadError`].
    #[track_caller]
    pub fn run<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, OffloadError>> {
        aside::aside("CPU work", async move {
            let result = self.try_run(context, work).await;
            if let Err(error) = &result {
                self.0.metrics.failed(error);
            }
            result
        })
    }

    /// Fails if [`Offload::run`] would be refused now because the line is full: for who has
    /// something else to do before, which would be for nothing. Whoever passes may be refused
    /// still, by those who came in between.
    ///
    /// # Errors
    /// As [`Offload::run`].
    pub fn check_room(&self, context: &Context) -> Result<(), OffloadError> {
        let room = self.0.entrance.room_for(context).map_err(OffloadError::from);
        room.inspect_err(|error| self.0.metrics.failed(error))
    }

    /// How many jobs run and wait now.
    pub fn occupancy(&self) -> Occupancy {
        self.0.entrance.occupancy()
    }

    /// How many may run and wait.
    pub fn limits(&self) -> Limits {
        self.0.entrance.limits()
    }

    /// Turns everybody away who has not begun, and waits until the work that has begun is done.
    ///
    /// # Errors
    /// When some of it was not done by the deadline. Its threads are left behind.
    pub async fn stop(&self, deadline: Deadline) -> Result<(), StopOffloadError> {
        self.0.entrance.close();
        self.0.workers.stop();
        let ended = self.0.workers.ended();
        match tokio::time::timeout_at(deadline.instant(), ended).await {
            Ok(()) => Ok(()),
            Err(_elapsed) => Err(StopOffloadError { running: self.occupancy().inside }),
        }
    }

    async fn try_run<T: Send + 'static>(
        &self,
        context: &Context,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OffloadError> {
        let asked = Moment::now();
        let permit = self.0.entrance.enter(context).await?;
        let metrics = self.0.metrics.clone();
        let (job, outcome) = job::pack(context.clone(), asked, permit, metrics, work);
        self.0.workers.push(job);
        match tokio::time::timeout_at(context.deadline().instant(), outcome).await {
            Ok(Ok(Outcome::Done(value))) => Ok(value),
            Ok(Ok(Outcome::Panicked(message))) => Err(OffloadError::Panicked(message)),
            Ok(Ok(Outcome::TooLate)) | Err(_) => Err(OffloadError::Deadline),
            // The job was dropped unbegun.
            Ok(Err(_)) => Err(OffloadError::Stopped),
        }
    }
}

/// Why work has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OffloadError {
    /// The line is full, and nobody in it matters less. Later, it may be otherwise.
    #[error("the line for CPU work is full: {waiting} wait and {limit} may")]
    Full {
        /// How many wait.
        waiting: usize,
        /// How many may wait.
        limit: usize,
    },
    /// Work that matters more took its place in the line. Later, it may be otherwise.
    #[error("gave way to more important CPU work after {} ms in the line", waited.as_millis())]
    Displaced {
        /// How long it had waited.
        waited: Duration,
    },
    /// The deadline passed while it waited or ran.
    #[error("the deadline passed before the CPU work was done")]
    Deadline,
    /// It panicked, with this message. Its thread lives on.
    #[error("the CPU work panicked: {0}")]
    Panicked(String),
    /// The service is stopping.
    #[error("no more CPU work is taken: the service is stopping")]
    Stopped,
}

impl OffloadError {
    /// One word for metrics and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            OffloadError::Full { .. } => "full",
            OffloadError::Displaced { .. } => "displaced",
            OffloadError::Deadline => "late",
            OffloadError::Panicked(_) => "panicked",
            OffloadError::Stopped => "closed",
        }
    }
}

impl From<Refusal> for OffloadError {
    fn from(refusal: Refusal) -> OffloadError {
        match refusal {
            Refusal::Full { waiting, waiting_max } => {
                OffloadError::Full { waiting, limit: waiting_max }
            }
            Refusal::Displaced { waited } => OffloadError::Displaced { waited },
            Refusal::Late { .. } => OffloadError::Deadline,
            Refusal::Closed => OffloadError::Stopped,
        }
    }
}

/// A thread for CPU work could not be started.
#[derive(Debug, thiserror::Error)]
#[error("thread {thread} for CPU work cannot be started: {source}")]
pub struct StartOffloadError {
    /// Its number.
    pub thread: usize,
    /// What the system said.
    pub source: std::io::Error,
}

/// Work was not done when it should have been.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{running} pieces of CPU work did not end in time")]
pub struct StopOffloadError {
    /// How many.
    pub running: usize,
}
