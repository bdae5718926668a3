//! The end of serving, in order: no more traffic is asked for, nobody new is let in, those who
//! are inside finish, and whoever has not by the deadline is cut off and counted.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenfold_context::Deadline;
use tokio::sync::watch;

use crate::listen::Serving;

/// How far the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Nobody new; each connection ends after what is in flight on it.
    Draining,
    /// Whatever is left is cut off.
    Ended,
}

/// The next phase, once it begins. A server that is gone has ended.
pub(crate) async fn next(phase: &mut watch::Receiver<Phase>) -> Phase {
    match phase.changed().await {
        Ok(()) => *phase.borrow_and_update(),
        Err(_server_is_gone) => Phase::Ended,
    }
}

/// Waits until the drain has begun.
pub(crate) async fn begun(mut phase: watch::Receiver<Phase>) {
    // An error says that the server is gone, which is later still.
    let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
}

/// Waits until the drain is over.
pub(crate) async fn ended(mut phase: watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Ended).await;
}

/// Whether the service wants traffic: what `/readyz` says. A clone is the same.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Option<Cow<'static, str>>>>);

impl Readiness {
    /// Not ready, because it is starting.
    pub fn starting() -> Readiness {
        Readiness(Arc::new(Mutex::new(Some(Cow::Borrowed("the service is starting")))))
    }

    /// Wants traffic from now on.
    pub fn set_ready(&self) {
        self.set(None);
    }

    /// Wants no traffic from now on, and says why.
    pub fn set_not_ready(&self, reason: impl Into<Cow<'static, str>>) {
        self.set(Some(reason.into()));
    }

    /// Why it wants no traffic; nothing if it does.
    pub fn not_ready_because(&self) -> Option<Cow<'static, str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: Option<Cow<'static, str>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }
}

/// What became of the connections that were open when the drain began to close them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainReport {
    /// Ended by themselves in time.
    pub finished: usize,
    /// Cut off at the deadline, with whatever was running on them.
    pub cut: usize,
}

/// How long each step of a drain may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DrainTimes {
    pub(crate) delay: Duration,
    pub(crate) timeout: Duration,
}

impl Serving {
    /// Ends serving in an orderly way. Takes `server.drain_delay` and at most
    /// `server.drain_timeout`.
    pub async fn drain(self, readiness: &Readiness) -> DrainReport {
        let times = self.drain_times();
        // Load balancers take their time to see it, and send requests until they do.
        readiness.set_not_ready("the service is draining");
        tokio::time::sleep(times.delay).await;
        // Those in the kernel's queue are still let in: closing the socket would reset them.
        self.stop_accepting().await;
        let open = self.connections_open();
        self.enter(Phase::Draining);
        let ended = self.all_ended();
        let in_time = tokio::time::timeout_at(Deadline::after(times.timeout).instant(), ended);
        let cut = if in_time.await.is_ok() { 0 } else { self.connections_open() };
        self.enter(Phase::Ended);
        let report = DrainReport { finished: open.saturating_sub(cut), cut };
        tracing::info!(finished = report.finished, cut = report.cut, "drained");
        report
    }
}
