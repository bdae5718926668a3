//! The command line of `cargo xtask`: which automation there is, and what its exit code means.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "All automation of this workspace", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or install what the tests need, then run all of them
    Test {
        /// Print what the tests need, where it is, and how it would be got; run nothing
        #[arg(long)]
        list_needs: bool,
        /// Get what is missing and run nothing: for an image in which tests will run later
        #[arg(long, conflicts_with = "list_needs")]
        get_needs: bool,
        /// Run only tests whose name contains one of these
        filters: Vec<String>,
    },
    /// Check what no compiler checks: arrows, documents, manifests, bans
    Tidy,
    /// Write anew the documents that are made from the program
    Docs,
    /// Feed every parser of what strangers send with changed inputs
    Fuzz {
        /// How long for each parser
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// What decides the changes: another one gives other inputs
        #[arg(long, default_value_t = 5)]
        seed: u64,
    },
    /// Drain under load again and again: no request may fail
    Drains {
        /// How often, in cleartext and over TLS each
        #[arg(long, default_value_t = 20)]
        count: u32,
    },
    /// Measure against a bar; without a name, list the benches
    Bench {
        /// Which bench
        name: Option<String>,
        /// Arguments of the bench itself
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Everything that a change must pass, fast first
    Ci,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test { list_needs: true, .. } => xtask::test::list_needs(),
        Command::Test { get_needs: true, .. } => xtask::test::get_needs(),
        Command::Test { filters, .. } => xtask::test::run(&filters),
        Command::Tidy => xtask::tidy::run(),
        Command::Docs => xtask::docs::run(),
        Command::Fuzz { seconds, seed } => xtask::longer::fuzz(seconds, seed),
        Command::Drains { count } => xtask::longer::drains(count),
        Command::Bench { name: None, .. } => xtask::bench::list(),
        Command::Bench { name: Some(name), arguments } => xtask::bench::run(&name, &arguments),
        Command::Ci => xtask::ci::run(),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(1)
        }
    }
}
