//! The `tenfold` program. Each command is a file under `command/`.

mod arguments;
mod command;
mod printable;

use std::process::ExitCode;

use clap::Parser;
use command::Command;
use printable::complain;

/// mimalloc, because glibc's allocator keeps what a burst of large answers needed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Services that keep working when their traffic multiplies by ten.
#[derive(Debug, Parser)]
#[command(name = "tenfold", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    // A command line that makes no sense ends here, with exit code 2.
    match arguments::parse::<Arguments>(std::env::args_os()).command.run() {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
