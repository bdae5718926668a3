//! How the rest of the process reaches a shard: gives it work, and sees how busy it is.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tenfold_context::Moment;
use tenfold_telemetry::metrics::{Counter, Registry};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::heartbeat;

/// One shard. A clone is the same shard; it may be used from any thread.
#[derive(Clone, Debug)]
pub struct ShardHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    index: usize,
    runtime: Handle,
    connections: AtomicUsize,
    /// By how much the last heartbeat came late, in nanoseconds.
    beat_late: AtomicU64,
    /// When the next heartbeat should come, as a [`Moment`] in nanoseconds.
    beat_due: AtomicU64,
    task_panics: Counter,
}

impl ShardHandle {
    fn new(index: usize, runtime: Handle, registry: &Registry) -> ShardHandle {
        let beat_due = Moment::now() + heartbeat::INTERVAL;
        let shard = ShardHandle(Arc::new(Inner {
            index,
            runtime,
            connections: AtomicUsize::new(0),
            beat_late: AtomicU64::new(0),
            beat_due: AtomicU64::new(beat_due.as_nanos()),
            task_panics: registry.counter(
                "tenfold_task_panics_total",
                "Tasks on shards that ended in a panic.",
                &[],
            ),
        }));
        shard.register(registry);
        shard
    }

    /// Takes an event loop that somebody else runs for a shard, for as long as that lives: one
    /// that a program has anyway, or one with many threads, which
    /// `cargo xtask bench topology` compares with shards.
    pub fn adopt(index: usize, runtime: Handle, registry: &Registry) -> ShardHandle {
        let handle = ShardHandle::new(index, runtime, registry);
        handle.spawn(heartbeat::beat(handle.clone(), heartbeat::Lag::new(index, registry)));
        handle
    }

    /// Its number, from 0.
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// Gives it a task. When the shard ends first, or has ended, the task is dropped. A panic
    /// ends the task alone, and is counted.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The handle is not needed: nobody waits for the task.
        drop(self.start(task));
    }

    /// Runs a future there and waits for what it returns, from any runtime. When the caller
    /// stops waiting, the future is dropped. How long to wait is the caller's business.
    ///
    /// # Errors
    /// When the shard ends before the future does, or has ended.
    ///
    /// # Panics
    /// When the future does, as if it had run here.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ShardGone> {
        let mut task = AbortedOnDrop(self.start(task));
        match (&mut task.0).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_cancelled) => Err(ShardGone { shard: self.index() }),
        }
    }

    /// Counts a connection as this shard's for as long as the guard lives.
    pub fn connect(&self) -> Connected {
        self.0.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self.clone())
    }

    /// How many connections are its own now.
    pub fn connections(&self) -> usize {
        self.0.connections.load(Ordering::Relaxed)
    }

    /// By how much the event loop is late: the last heartbeat's lateness, or that of the one
    /// which is overdue now. One that is well has under 2 ms, because tokio's timers have a
    /// resolution of 1 ms; one that is blocked has as much as it has been blocked for.
    pub fn lag(&self) -> Duration {
        // Who sees the next heartbeat's time sees the last one's lateness too, so a shard that
        // has just come free never looks as if it had not been blocked.
        let due = Moment::from_nanos(self.0.beat_due.load(Ordering::Acquire));
        let last = Duration::from_nanos(self.0.beat_late.load(Ordering::Relaxed));
        last.max(Moment::now().since(due))
    }

    /// Notes a heartbeat that came `late`, and when the next one should come.
    pub(super) fn beat(&self, late: Duration, next_due: Moment) {
        let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.0.beat_late.store(late, Ordering::Relaxed);
        self.0.beat_due.store(next_due.as_nanos(), Ordering::Release);
    }

    fn start<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Result<T, Box<dyn Any + Send>>> {
        let panics = self.0.task_panics.clone();
        let task = AssertUnwindSafe(task).catch_unwind();
        self.0.runtime.spawn(task.inspect(move |ended| {
            if ended.is_err() {
                panics.increment();
            }
        }))
    }

    fn register(&self, registry: &Registry) {
        let index = self.index().to_string();
        let labels = [("shard", index.as_str())];
        let shard = self.clone();
        registry.gauge_with(
            "tenfold_shard_connections",
            "Connections that the shard serves.",
            &labels,
            move || shard.connections() as f64,
        );
        let tasks = self.0.runtime.metrics();
        let busy = tasks.clone();
        registry.gauge_with(
            "tenfold_shard_tasks",
            "Tasks that live on the shard.",
            &labels,
            move || tasks.num_alive_tasks() as f64,
        );
        registry.counter_with(
            "tenfold_shard_busy_seconds_total",
            "Time that the shard's event loop did not sleep.",
            &labels,
            move || busy.worker_total_busy_duration(0).as_secs_f64(),
        );
    }
}

/// One connection in a shard's count; dropping it takes it out.
#[derive(Debug)]
#[must_use = "the connection counts only as long as this lives"]
pub struct Connected(ShardHandle);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The shard ended before it could answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard} has ended")]
pub struct ShardGone {
    /// Its number.
    pub shard: usize,
}

struct AbortedOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortedOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
