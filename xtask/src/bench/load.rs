//! `cargo xtask bench load`: whether the generator of load is worth its core, and whether what it
//! says is true, measured against other generators and against servers whose limits are known.
//!
//! The generator has one core and whoever answers has the other. A run takes about twenty minutes,
//! most of them for searching the same limits ten times.

use clap::{Parser, ValueEnum};

use super::Report;
use super::release::build;
use crate::Outcome;

// What is asked, one file for each question.
mod cross;
mod limit;
mod rate;
mod stall;
// Those who offer load.
mod oha;
// What the questions share.
mod halving;
mod servers;
mod turn;

/// Measures the generator of load.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench load")]
struct Arguments {
    /// Ask only this; several times for several
    #[arg(long, value_name = "QUESTION")]
    only: Vec<Question>,
    /// Fewer rounds and searches, to see that it works
    #[arg(long)]
    quick: bool,
}

/// What is asked about the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Question {
    /// What does it offer from one core, beside others?
    Rate,
    /// Are the limits that it finds true, and the same each time?
    Limit,
    /// Does it say the same as others about a server under light load?
    Cross,
    /// Does it see a stall?
    Stall,
}

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench load".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    let oha = crate::needs::oha()?;
    build()?;
    let mut report = Report::new("load", &name);
    for question in Question::value_variants() {
        if !arguments.only.is_empty() && !arguments.only.contains(question) {
            continue;
        }
        eprintln!("── {question:?} ──");
        match question {
            Question::Rate => rate::ask(&oha, arguments.quick, &mut report)?,
            Question::Limit => limit::ask(arguments.quick, &mut report)?,
            Question::Cross => cross::ask(arguments.quick, &mut report)?,
            Question::Stall => stall::ask(arguments.quick, &mut report)?,
        }
    }
    // What is kept is one whole run, and no mixture of several.
    let whole = arguments.only.is_empty() && !arguments.quick;
    if whole { report.finish() } else { Ok(report.print()) }
}
