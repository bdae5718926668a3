//! In debug builds: tells when work that has a transaction open turns aside and waits for
//! something else, because its locks wait with it.
//!
//! Whoever runs the work of a transaction does so [`in_transaction`]; every resource that can be
//! waited for lets itself be waited for [`aside`]. In release builds both hand back the future
//! that they were given, so nothing of this is on the way of a request.

#[cfg(debug_assertions)]
mod told;
#[cfg(debug_assertions)]
mod watched;

/// Runs `work`; in debug builds as what has the transaction `name` open.
#[cfg(debug_assertions)]
pub fn in_transaction<F: Future>(name: &'static str, work: F) -> impl Future<Output = F::Output> {
    watched::InTransaction { name, work }
}

/// Waits for `what`, such as "a statement outside of it". In debug builds, if the task has a
/// transaction open then, a warning names the transaction, what it waits for, and the place of
/// the call: that of the function that calls this one, if it is marked `#[track_caller]`. Each
/// place is named once.
#[cfg(debug_assertions)]
#[track_caller]
pub fn aside<F: Future>(what: &'static str, wait: F) -> impl Future<Output = F::Output> {
    watched::Aside { told: Some((what, std::panic::Location::caller())), wait }
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
