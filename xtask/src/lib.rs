//! All automation of the workspace, so that no second language is needed to build, check or
//! measure it: `cargo xtask test`, `tidy`, `bench` and `ci`.
//!
//! Each command is a function that gives an exit code: 0 when all is well, 1 when something is
//! not, and what its documentation says besides.

pub mod bench;
pub mod ci;
pub mod docs;
pub mod longer;
mod needs;
mod repository;
pub mod shell;
mod stopwatch;
mod summary;
pub mod test;
pub mod tidy;

pub use stopwatch::Stopwatch;

/// What a command may fail with: a sentence for the person at the terminal.
pub type Error = Box<dyn std::error::Error>;

/// The outcome of a command: its exit code, or the sentence that says why it could not be carried
/// out (exit code 1).
pub type Outcome = Result<u8, Error>;
