//! One run: a scenario, a load and its time, on threads of its own, to an outcome.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tenfold_context::Moment;
use tokio::sync::{oneshot, watch};

use crate::arrival::Schedule;
use crate::engine::Demand;
use crate::files::ConnectionsPossible;
use crate::live::{Progress, Snapshot};
use crate::outcome::{Outcome, Phase};
use crate::plan::{Plan, nanos};
use crate::record::Record;
use crate::scenario::{Scenario, Target};
use crate::validity::Validity;

pub(crate) mod connections;
mod thread;

/// A load that is ready to be offered.
///
/// ```no_run
/// use std::time::Duration;
/// use tenfold_loadgen::{Ending, Run, Scenario, Schedule};
///
/// let scenario = Scenario::get("http://127.0.0.1:8080/products")?;
/// let load = Schedule::constant(500.0, Duration::from_secs(10));
/// let outcome = Run::open(&scenario, load).run()?;
/// println!("{} good, run {}", outcome.record.total().count(Ending::Good), outcome.validity);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Run {
    scenario: Scenario,
    load: Load,
    seed: u64,
    threads: usize,
    phases: Vec<Phase>,
}

/// Who decides when a request is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// A clock: see [`Run::open`].
    Open(Schedule),
    /// Users, each of whom waits for an answer before the next request: see [`Run::closed`].
    Closed {
        /// How many.
        users: usize,
        /// How long each thinks between two requests, about.
        think: Duration,
        /// How long they come.
        duration: Duration,
    },
}

impl Load {
    /// How long requests are intended to be sent.
    pub fn duration(&self) -> Duration {
        match self {
            Load::Open(schedule) => schedule.duration(),
            Load::Closed { duration, .. } => *duration,
        }
    }
}

impl Run {
    /// An open model: requests come by the clock, whatever the service does. Latency counts from
    /// the moment at which each was intended.
    pub fn open(scenario: &Scenario, schedule: Schedule) -> Run {
        Run::of(scenario, Load::Open(schedule))
    }

    /// A closed model: so many users, each of whom waits for the answer, thinks for about that
    /// time, and asks again. A service that stalls is asked less, which hides that it stalls.
    pub fn closed(scenario: &Scenario, users: usize, think: Duration, duration: Duration) -> Run {
        Run::of(scenario, Load::Closed { users, think, duration })
    }

    /// Whichever of the two.
    pub fn of(scenario: &Scenario, load: Load) -> Run {
        Run { scenario: scenario.clone(), load, seed: 1, threads: 1, phases: Vec::new() }
    }

    /// Another seed: other arrivals, if they are random, and other choices. The same seed gives
    /// the same, on any number of threads.
    #[must_use]
    pub fn seed(self, seed: u64) -> Run {
        Run { seed, ..self }
    }

    /// How many threads send; one at least, and no more than there may be connections, which they
    /// share evenly.
    #[must_use]
    pub fn threads(self, threads: usize) -> Run {
        Run { threads: threads.max(1), ..self }
    }

    /// Parts of the run that are told apart in the record: each has a name and a length, and the
    /// last lasts until the end of the run. Without any, the whole run is one.
    #[must_use]
    pub fn phases<N: Into<String>>(self, phases: impl IntoIterator<Item = (N, Duration)>) -> Run {
        let mut from = Duration::ZERO;
        let phases = phases.into_iter().map(|(name, length)| {
            let phase = Phase { name: name.into(), from, until: from + length };
            from = phase.until;
            phase
        });
        Run { phases: phases.collect(), ..self }
    }

    /// The service that it is for.
    pub fn target(&self) -> &Target {
        &self.scenario.target
    }

    /// The most connections that are opened: what the scenario says or, where it says nothing, as
    /// many as can wait at a time, which is the highest rate for as long as a client waits, or one
    /// for each user. These are 256 at the least and, for a rate, 4096 at the most, and no more
    /// than this process may open.
    pub fn connections_max(&self) -> usize {
        let behaviour = &self.scenario.behaviour;
        behaviour.connections_max.unwrap_or_else(|| match &self.load {
            Load::Open(schedule) => connections::of_rate(schedule.rate_max(), behaviour),
            Load::Closed { users, .. } => connections::of_users(*users),
        })
    }

    /// How long requests are intended to be sent.
    pub fn duration(&self) -> Duration {
        self.load.duration()
    }

    /// Begins to send.
    ///
    /// # Errors
    /// When more connections are wanted than this process may open, after it has raised its own
    /// limit of open files as far as it may; when the service's name has no address, TLS cannot be
    /// made ready, or threads cannot be started. That nobody listens there is no error, but what is measured.
    pub fn start(self) -> Result<Running, StartError> {
        let connections_max = self.connections_max();
        let possible = ConnectionsPossible::raised();
        if connections_max > possible.connections {
            return Err(StartError::Connections { connections_max, possible });
        }
        let duration = self.duration();
        // A thread without a connection could send nothing.
        let threads_max = self.threads.min(connections_max.max(1));
        let mut phases = self.phases;
        if phases.is_empty() {
            phases.push(Phase { name: "all".to_owned(), from: Duration::ZERO, until: duration });
        }
        if let Some(last) = phases.last_mut() {
            last.until = last.until.max(duration);
        }
        let ends = phases.iter().rev().skip(1).rev().map(|phase| nanos(phase.until)).collect();
        let plan = Arc::new(Plan::new(&self.scenario, self.seed, ends)?);
        let common = Arc::new(Common {
            stop: AtomicBool::new(false),
            progress: (0..threads_max).map(|_| Mutex::default()).collect(),
            live: watch::Sender::new(Snapshot::default()),
            started: Moment::now(),
            phases: phases.len(),
        });
        let mut threads = Vec::new();
        for number in 0..threads_max {
            let ends = nanos(duration);
            let demand = match &self.load {
                Load::Open(schedule) => {
                    Demand::open(schedule.arrivals(self.seed), number, threads_max, ends)
                }
                Load::Closed { users, think, .. } => {
                    let turn = (number, threads_max);
                    Demand::closed(*users, nanos(*think), turn, self.seed, ends)
                }
            };
            let share = connections::share(connections_max, number, threads_max);
            let started = thread::start(number, plan.clone(), demand, share, common.clone());
            match started {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    common.stop.store(true, Ordering::Relaxed);
                    return Err(StartError::Thread { error });
                }
            }
        }
        Ok(Running { common, threads, phases, scenario: self.scenario, connections_max })
    }

    /// Sends everything, and waits for the end on this thread.
    ///
    /// # Errors
    /// As [`Run::start`] and [`Running::join`].
    pub fn run(self) -> Result<Outcome, RunError> {
        self.start()?.join()
    }
}

/// What the threads of a run share.
struct Common {
    stop: AtomicBool,
    progress: Vec<Mutex<Progress>>,
    live: watch::Sender<Snapshot>,
    started: Moment,
    phases: usize,
}

/// A load that is being offered. Dropped, it stops.
#[derive(Debug)]
pub struct Running {
    common: Arc<Common>,
    threads: Vec<JoinHandle<io::Result<Part>>>,
    phases: Vec<Phase>,
    scenario: Scenario,
    connections_max: usize,
}

/// What one thread brings home.
struct Part {
    record: Record,
    cpu: Duration,
    elapsed: Duration,
    stopped: bool,
}

/// Ends a run before its time.
#[derive(Clone, Debug)]
pub struct Stopper {
    common: Arc<Common>,
}

impl Stopper {
    /// Sends no more, and waits for no answer. The outcome tells what there was until then.
    pub fn stop(&self) {
        self.common.stop.store(true, Ordering::Relaxed);
    }
}

impl Running {
    /// The state of the run, renewed ten times per second. It is closed when the run has ended.
    pub fn live(&self) -> watch::Receiver<Snapshot> {
        self.common.live.subscribe()
    }

    /// What ends the run before its time, from anywhere.
    pub fn stopper(&self) -> Stopper {
        Stopper { common: self.common.clone() }
    }

    /// Waits for the end on this thread.
    ///
    /// # Errors
    /// When the generator itself broke.
    pub fn join(mut self) -> Result<Outcome, RunError> {
        let mut whole: Option<Part> = None;
        for thread in std::mem::take(&mut self.threads) {
            let part = thread.join().map_err(|_| RunError::Panic)?;
            let part = part.map_err(|error| RunError::Loop { error })?;
            match &mut whole {
                None => whole = Some(part),
                Some(whole) => {
                    whole.record.absorb(&part.record);
                    whole.cpu += part.cpu;
                    whole.elapsed = whole.elapsed.max(part.elapsed);
                    whole.stopped |= part.stopped;
                }
            }
        }
        let Some(Part { record, cpu, elapsed, stopped }) = whole else {
            return Err(RunError::Panic);
        };
        let threads = self.common.progress.len();
        // Where it is not known how many cores there are, there is one for each.
        let cores = std::thread::available_parallelism().map_or(threads, NonZero::get);
        let at_once = threads.min(cores) as f64;
        let cpu_share = cpu.as_secs_f64() / elapsed.as_secs_f64().max(1e-9) / at_once;
        let phases = std::mem::take(&mut self.phases);
        let classes = self.scenario.classes.clone();
        Ok(Outcome {
            validity: Validity::of(
                &record,
                &phases,
                self.connections_max,
                (cpu_share, threads, cores),
            ),
            record,
            phases,
            classes,
            elapsed,
            cpu,
            cpu_share,
            stopped,
        })
    }

    /// Waits for the end without blocking.
    ///
    /// # Errors
    /// As [`Running::join`].
    pub async fn wait(self) -> Result<Outcome, RunError> {
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new()
            .name("load-wait".to_owned())
            .spawn(move || {
                // Nobody hears it when the caller has gone away: the run has stopped with it.
                let _ = tell.send(self.join());
            })
            .map_err(|error| RunError::Start(StartError::Thread { error }))?;
        told.await.map_err(|_| RunError::Panic)?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.common.stop.store(true, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("stop", &self.stop).finish_non_exhaustive()
    }
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The service's name has no address.
    #[error("cannot find the address of {host:?}: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What stood in the way.
        error: io::Error,
    },
    /// The service's name cannot stand in a certificate.
    #[error("{host:?} cannot be checked against a certificate: a name or an address is needed")]
    ServerName {
        /// The name.
        host: String,
    },
    /// There is nobody to trust.
    #[error("no certificate to trust from {what}: {why}")]
    Trust {
        /// Where it was looked for.
        what: String,
        /// What stood in the way.
        why: String,
    },
    /// The scenario has no request that could be chosen.
    #[error("the scenario has no request with a weight above 0")]
    NothingToSend,
    /// More connections are wanted than this process may open.
    #[error("connections_max is {connections_max}, but {possible}: lower it, or allow more files")]
    Connections {
        /// How many the scenario wants.
        connections_max: usize,
        /// How many are possible.
        possible: ConnectionsPossible,
    },
    /// A thread cannot be started.
    #[error("cannot start a thread: {error}")]
    Thread {
        /// What stood in the way.
        error: io::Error,
    },
}

impl StartError {
    /// Whether what was asked for makes no sense here, rather than that something went wrong.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            StartError::ServerName { .. }
                | StartError::NothingToSend
                | StartError::Connections { .. }
        )
    }
}

/// Why a run has no outcome.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It could not begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The event loop or its timer failed.
    #[error("the generator's event loop failed: {error}")]
    Loop {
        /// What stood in the way.
        error: io::Error,
    },
    /// The generator panicked: a fault of its own.
    #[error("the generator panicked")]
    Panic,
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
