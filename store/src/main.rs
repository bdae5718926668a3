//! The store as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    store::service().run()
}
