//! Ctrl-C ends a load early, and what was seen until then is reported.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tenfold_runtime::Signals;

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
        let signals = Signals::listen()
            .map_err(|cause| Problem::Failed(format!("the system refuses signals: {cause}")))?;
        let events = event_loop().map_err(Problem::failed)?;
        let interrupt = Interrupt { came: Arc::default() };
        let came = interrupt.came.clone();
        thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                events.block_on(signals.first());
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
