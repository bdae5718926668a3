//! One event loop per core, so that a request stays on one thread and no two cores fight over
//! a queue of tasks.
//!
//! A shard is a thread with a current-thread tokio runtime. Shards share nothing: connections
//! are handed to one of them and stay there. The threads are not pinned to cores, because the
//! kernel's choice is better than a fixed one as soon as anything else runs on the machine.

mod handle;
mod heartbeat;
#[cfg(test)]
mod tests;

pub use handle::{Connected, ShardGone, ShardHandle};

use std::panic::{AssertUnwindSafe, catch_unwind};

use tenfold_context::Deadline;
use tenfold_telemetry::metrics::Registry;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};

use crate::panic;
use crate::settings::{self, RuntimeSettings};

/// tokio resolves names and reads files on threads of its own. Few, because nothing on the way
/// of a request does either: they are for connecting by name.
const BLOCKING_THREADS_MAX: usize = 2;

/// The running shards. Dropping them stops them without waiting for their end.
#[derive(Debug)]
pub struct Shards {
    handles: Vec<ShardHandle>,
    threads: Vec<ShardThread>,
    first_death: watch::Sender<Option<ShardDied>>,
}

#[derive(Debug)]
struct ShardThread {
    /// Ends the shard when a word comes, and when this is dropped.
    stop: oneshot::Sender<()>,
    /// Closes when the thread has ended. Nothing is ever sent.
    ended: oneshot::Receiver<()>,
}

impl Shards {
    /// Starts as many as the settings say.
    ///
    /// # Errors
    /// When the system gives no thread or no event queue; those that had started are stopped.
    pub fn start(
        settings: &RuntimeSettings,
        registry: &Registry,
    ) -> Result<Shards, StartShardsError> {
        let (first_death, _) = watch::channel(None);
        let count = settings.shard_count();
        registry.gauge_with("tenfold_shards", "Event loops that serve.", &[], move || count as f64);
        let cores = settings::cores();
        registry.gauge_with(
            "tenfold_cores",
            "Cores that the process may use, by its affinity and its control group.",
            &[],
            move || cores as f64,
        );
        let mut shards = Shards { handles: Vec::new(), threads: Vec::new(), first_death };
        for shard in 0..count {
            shards
                .start_one(shard, registry)
                .map_err(|source| StartShardsError { shard, source })?;
        }
        Ok(shards)
    }

    /// Every shard, in the order of their numbers; at least one.
    pub fn handles(&self) -> &[ShardHandle] {
        &self.handles
    }

    /// Waits until a shard's thread dies, which no panic in a task can bring about. A service
    /// that lost a shard has lost its connections and must end, so that it is started afresh.
    ///
    /// Never resolves while all live or have been stopped.
    pub fn failed(&self) -> impl Future<Output = ShardDied> + Send + use<> {
        let mut first_death = self.first_death.subscribe();
        async move {
            if let Ok(death) = first_death.wait_for(Option::is_some).await
                && let Some(death) = death.clone()
            {
                return death;
            }
            // All shards and their owner are gone, and none of them died.
            std::future::pending().await
        }
    }

    /// Tells every shard to end and waits for that. Tasks that still run are dropped at their
    /// next `await`: whoever wants them to finish waits for them before.
    ///
    /// # Errors
    /// Names the shards whose threads had not ended by the deadline, because a task on them
    /// blocks. They are left behind.
    pub async fn stop(self, deadline: Deadline) -> Result<(), StopShardsError> {
        let (stops, ends): (Vec<_>, Vec<_>) =
            self.threads.into_iter().map(|thread| (thread.stop, thread.ended)).unzip();
        drop(stops);
        let mut stuck = Vec::new();
        for (shard, ended) in ends.into_iter().enumerate() {
            if tokio::time::timeout_at(deadline.instant(), ended).await.is_err() {
                stuck.push(shard);
            }
        }
        if stuck.is_empty() { Ok(()) } else { Err(StopShardsError { shards: stuck }) }
    }

    fn start_one(&mut self, shard: usize, registry: &Registry) -> std::io::Result<()> {
        let name = format!("shard-{shard}");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name(format!("{name}-names"))
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .build()?;
        let handle = ShardHandle::adopt(shard, runtime.handle().clone(), registry);

        let (stop, stopped) = oneshot::channel();
        let (ends, ended) = oneshot::channel::<()>();
        let first_death = self.first_death.clone();
        std::thread::Builder::new().name(name).spawn(move || {
            supervise(shard, &first_death, || serve(runtime, stopped));
            drop(ends);
        })?;
        self.handles.push(handle);
        self.threads.push(ShardThread { stop, ended });
        Ok(())
    }
}

/// Runs the shard's tasks until it is told to stop, then drops them.
fn serve(runtime: Runtime, stopped: oneshot::Receiver<()>) {
    let _told_or_abandoned = runtime.block_on(stopped);
    // Does not wait for the threads that resolve names: one that hangs in the system's resolver
    // must not hold up the end, and there is nothing on them that could be lost.
    runtime.shutdown_background();
}

/// Runs the life of a shard and tells everybody when it ends by a panic.
fn supervise(shard: usize, first_death: &watch::Sender<Option<ShardDied>>, life: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(life)) else { return };
    let death = ShardDied { shard, message: panic::message(&*payload) };
    tracing::error!(shard, error = &death as &dyn std::error::Error, "shard died");
    first_death.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert(death);
        is_first
    });
}

/// A shard could not be started.
#[derive(Debug, thiserror::Error)]
#[error("shard {shard} cannot be started: {source}")]
pub struct StartShardsError {
    /// Its number.
    pub shard: usize,
    /// What the system said.
    pub source: std::io::Error,
}

/// The thread of a shard ended although nobody had asked it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {shard} died ({message}): the service must be started again")]
pub struct ShardDied {
    /// Its number.
    pub shard: usize,
    /// What its panic said.
    pub message: String,
}

/// Some shards did not end when they should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a task blocks these shards, so that they did not end in time: {shards:?}")]
pub struct StopShardsError {
    /// Their numbers.
    pub shards: Vec<usize>,
}
