//! Ctrl-C, and a terminal that goes away, end a load early, and what was seen until then is reported.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tenfold_runtime::Signals;
use tokio::signal::unix::{SignalKind, signal};

use super::Problem;
use crate::command::event_loop;

/// Whether somebody asked for an early end.
#[derive(Clone, Debug)]
pub(super) struct Interrupt {
    came: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on; a second signal ends the program at once.
    pub(super) fn listen() -> Result<Interrupt, Problem> {
        let refused = |cause| Problem::Failed(format!("the system refuses signals: {cause}"));
        let signals = Signals::listen().map_err(refused)?;
        let events = event_loop().map_err(Problem::failed)?;
        // A terminal that is closed, or a connection to it that is lost, is no reason to throw
        // away what was seen.
        let hangup = {
            let _entered = events.enter();
            signal(SignalKind::hangup()).map_err(refused)?
        };
        let interrupt = Interrupt { came: Arc::default() };
        let came = interrupt.came.clone();
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                let mut hangup = hangup;
                events.block_on(async {
                    tokio::select! {
                        _ = signals.first() => {}
                        _ = hangup.recv() => {}
                    }
                });
                came.store(true, Ordering::Relaxed);
            })
            .map_err(Problem::failed)?;
        Ok(interrupt)
    }

    pub(super) fn came(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// What whoever watches a load says to it.
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.came() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
