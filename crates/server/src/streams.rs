//! Runs the streams of HTTP/2, each as a task that can be ended alone: hyper does not ask the
//! body of an answer for anything while its reader takes nothing, so from inside the answer
//! nothing can be done about it.

use std::cell::RefCell;
use std::sync::Arc;

use hyper::rt::Executor;

use crate::activity::{Activity, AnswerPlace};

thread_local! {
    /// The request that hyper has just been given the answer of. It makes a task of that before
    /// it does anything else on this thread.
    static BEGUN: RefCell<Option<(Arc<Activity>, AnswerPlace)>> = const { RefCell::new(None) };
}

/// Spawns the stream of a request, and gives the end of it into the hands of its connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams;

impl Streams {
    /// The next task on this thread is this request's.
    pub(crate) fn next_is(activity: &Arc<Activity>, place: AnswerPlace) {
        BEGUN.set(Some((activity.clone(), place)));
    }
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let task = tokio::spawn(stream);
        if let Some((activity, place)) = BEGUN.take() {
            activity.can_be_ended_by(place, task.abort_handle());
        }
    }
}
