//! A piece of work on its way to a thread: it carries its place at the gate with it, so that
//! the place is free when the work has ended and not before.

use std::panic::{AssertUnwindSafe, catch_unwind};

use futures_util::FutureExt;
use tenfold_context::{Context, Moment};
use tenfold_overload::Permit;
use tokio::sync::oneshot;

use super::metrics::OffloadMetrics;
use crate::panic;

/// Work as the threads see it.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// How work ended.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// With a result.
    Done(T),
    /// With a panic that said this.
    Panicked(String),
    /// Its turn came after its deadline, so it was not begun.
    TooLate,
}

/// Makes a job of `work` that was asked for at `asked`, and the place where its outcome arrives. A job that is dropped
/// instead of run closes that place.
pub(super) fn pack<T: Send + 'static>(
    context: Context,
    asked: Moment,
    permit: Permit,
    metrics: OffloadMetrics,
    work: impl FnOnce() -> T + Send + 'static,
) -> (Job, oneshot::Receiver<Outcome<T>>) {
    let (caller, outcome) = oneshot::channel();
    let job = move || {
        if caller.is_closed() {
            return;
        }
        let begun = Moment::now();
        if context.deadline().is_past(begun) {
            drop((permit, work));
            // If the caller has left as well, there is nobody to tell.
            let _ = caller.send(Outcome::TooLate);
            return;
        }
        metrics.began(begun.since(asked));
        let outcome = run(context, work);
        let took = Moment::now().since(begun);
        metrics.ended(took);
        if let Outcome::Panicked(_) = &outcome {
            metrics.panicked();
        }
        // Before the answer, so that the caller who has it finds the place free.
        drop(permit);
        if caller.send(outcome).is_err() {
            metrics.wasted(took);
        }
    };
    (Box::new(job), outcome)
}

fn run<T>(context: Context, work: impl FnOnce() -> T) -> Outcome<T> {
    let in_context = context.scope(async { work() });
    match catch_unwind(AssertUnwindSafe(|| in_context.now_or_never())) {
        Ok(Some(value)) => Outcome::Done(value),
        Ok(None) => unreachable!("a future without an await is ready when it is first polled"),
        Err(payload) => Outcome::Panicked(panic::message(&*payload)),
    }
}
