//! In debug builds: tells when work that has a transaction open turns aside and waits for
//! something else, because its locks wait with it.
//!
//! Whoever runs the work of a transaction does so [`in_transaction`]; every resource that can be
//! waited for lets itself be waited for [`aside`]. In release builds both hand back the future
//! that they were given, so nothing of this is on the way of a request.

#[cfg(debug_assertions)]
mod told;

/// Runs `work` as what has the transaction `name` open.
#[cfg(debug_assertions)]
pub async fn in_transaction<F: Future>(name: &'static str, work: F) -> F::Output {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| {
        let _outer = told::Inside::of(name);
        work.as_mut().poll(cx)
    })
    .await
}

/// Waits for `what`, such as "a statement outside of it". If the task has a transaction open
/// then, a warning names the transaction, what it waits for, and the caller of the function that
/// calls this one, provided that it is marked `#[track_caller]`; each place is named once.
#[cfg(debug_assertions)]
#[track_caller]
pub fn aside<F: Future>(what: &'static str, wait: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        told::tell(what, place);
        wait.await
    }
}

/// Runs `work`; in debug builds as what has the transaction `name` open.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn in_transaction<F: Future>(_: &'static str, work: F) -> impl Future<Output = F::Output> {
    work
}

/// Waits; in debug builds it warns if the task has a transaction open meanwhile.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn aside<F: Future>(_: &'static str, wait: F) -> impl Future<Output = F::Output> {
    wait
}
