//! The router under the chassis, with everything on that is on by default.

use std::process::ExitCode;

/// The same allocator on both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    tenfold::service("hello").routes(hello::router).run()
}
