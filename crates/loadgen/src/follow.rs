//! Runs a load to its end while somebody looks on, who may end it early.

use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use crate::live::Snapshot;
use crate::outcome::Outcome;
use crate::run::{Run, RunError, StartError};

/// How often it is looked whether the run has ended: what a search of twenty probes loses by it
/// is less than half a second.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs it on threads of its own; `watch` sees each new state, ten per second, on this one. When
/// it breaks, the run is stopped, and the outcome tells what there was until then.
pub(crate) fn follow(
    run: Run,
    watch: &mut dyn FnMut(&Snapshot) -> ControlFlow<()>,
) -> Result<Outcome, RunError> {
    let running = run.start()?;
    let (mut live, stopper) = (running.live(), running.stopper());
    live.mark_unchanged();
    thread::scope(|scope| {
        let joined = thread::Builder::new()
            .name("load-join".to_owned())
            .spawn_scoped(scope, || running.join())
            .map_err(|error| StartError::Thread { error })?;
        while !joined.is_finished() {
            thread::sleep(LOOK_EVERY);
            let is_new = live.has_changed().unwrap_or(false);
            if is_new && watch(&live.borrow_and_update()).is_break() {
                stopper.stop();
            }
        }
        joined.join().map_err(|_| RunError::Panic)?
    })
}
