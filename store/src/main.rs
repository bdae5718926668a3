//! The store as a program.

use std::process::ExitCode;

/// The allocator is the program's choice, not the library's: this one gives back what a burst of
/// large answers needed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    store::service().run()
}
