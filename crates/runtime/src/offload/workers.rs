//! The threads that do the work, and the short queue from which they take it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::StartOffloadError;
use super::job::Job;

/// Dropping it ends the threads once they have done what they have, without waiting for that.
#[derive(Debug)]
pub(super) struct Workers {
    queue: Arc<Queue>,
    pub(super) alive: watch::Receiver<usize>,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<State>,
    /// Notified when there is a job, and when the threads shall end.
    changed: Condvar,
}

struct State {
    /// Never longer than the number of threads: every job has a place at the gate.
    jobs: VecDeque<Job>,
    stopping: bool,
}

impl Workers {
    pub(super) fn start(threads: usize) -> Result<Workers, StartOffloadError> {
        let state = State { jobs: VecDeque::with_capacity(threads), stopping: false };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new() });
        let (counter, alive) = watch::channel(0);
        let counter = Arc::new(counter);
        let workers = Workers { queue, alive };
        for thread in 0..threads {
            let alive = Alive::new(counter.clone());
            let queue = workers.queue.clone();
            std::thread::Builder::new()
                .name(format!("offload-{thread}"))
                .spawn(move || {
                    queue.work();
                    drop(alive);
                })
                .map_err(|source| StartOffloadError { thread, source })?;
        }
        Ok(workers)
    }

    /// Has a thread take the job. After [`Workers::stop`] it is dropped instead.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.queue.lock();
        if state.stopping {
            // Not under the lock: what the job owns may do anything when it is dropped.
            drop(state);
            return;
        }
        state.jobs.push_back(job);
        drop(state);
        self.queue.changed.notify_one();
    }

    /// Tells the threads to end as soon as nothing is left to do.
    pub(super) fn stop(&self) {
        self.queue.lock().stopping = true;
        self.queue.changed.notify_all();
    }

    /// Waits until all threads have ended.
    pub(super) async fn ended(&self) {
        // An error says that the last thread took the counter with it.
        let _ = self.alive.clone().wait_for(|alive| *alive == 0).await;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    /// One thread's life.
    fn work(&self) {
        while let Some(job) = self.next() {
            // The work's own panic is caught within the job. This one comes from the drop of
            // something that the work owned or returned, and must not cost the thread either;
            // the panic hook has logged it.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job; none when there will be no more.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stopping {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs under the lock, so a poisoned one is sound still.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("jobs", &self.jobs.len())
            .field("stopping", &self.stopping)
            .finish()
    }
}

/// One living thread in the count.
struct Alive(Arc<watch::Sender<usize>>);

impl Alive {
    fn new(counter: Arc<watch::Sender<usize>>) -> Alive {
        counter.send_modify(|alive| *alive += 1);
        Alive(counter)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}
