//! `tenfold load run`: one load, open or closed.

use std::cmp::Reverse;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tenfold_loadgen::{Ending, Failure, Load, Outcome, Run, RunError, RunReport};

use super::interrupt::Interrupt;
use super::offered::{LoadArguments, Offered};
use super::output::{OutputArguments, code, reasons, report};
use super::progress::Progress;
use super::screen::Screen;
use super::table::{Column, Table};
use super::{Arrivals, Problem, TargetArguments, both};
use crate::printable::one_line;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// How often it is looked whether there is something new to show.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let asked = both(arguments.target.read(), arguments.offered());
    let ((asked, offered), mut output) = both(asked, arguments.output.open())?;
    let Offered { load, words, phases } = offered;
    let load = Run::of(&asked.scenario, load).phases(phases);
    let load = load.threads(arguments.target.threads()).seed(arguments.target.seed);
    let interrupt = Interrupt::listen()?;
    output.screen.say(&format!("{words} to {}", asked.scenario.target.url()));
    let outcome = follow(load, &interrupt, &mut output.screen)?;
    let mut report = report(&asked);
    let seen = RunReport::of(&outcome, &words);
    summary(&outcome, &mut output.screen);
    reasons(&seen.course, &mut output.screen);
    let is_valid = seen.valid;
    report.run = Some(seen);
    if is_valid {
        let crossed = outcome.crossed(&asked.scenario.thresholds);
        report.crossed = crossed.iter().map(ToString::to_string).collect();
    }
    output.finish(&report)?;
    Ok(code(is_valid, false, &report))
}

impl Arguments {
    /// The load, and what it is in words.
    fn offered(&self) -> Result<Offered, Problem> {
        if self.load.is_closed() && self.target.arrivals.is_some() {
            let why = "'--arrivals <ARRIVALS>' cannot be used with '--users <N>': users come when \
                       they have thought";
            return Err(Problem::Usage(why.to_owned()));
        }
        let mut offered = self.load.read()?;
        if let Load::Open(schedule) = offered.load {
            offered.load = Load::Open(schedule.spaced(self.target.spacing()));
        }
        if matches!(self.target.arrivals, Some(Arrivals::Poisson)) {
            offered.words += ", at random";
        }
        Ok(offered)
    }
}

fn follow(load: Run, interrupt: &Interrupt, screen: &mut Screen) -> Result<Outcome, Problem> {
    let running = load.start().map_err(|error| Problem::of_run(RunError::Start(error)))?;
    let (mut live, stopper) = (running.live(), running.stopper());
    let joined = thread::Builder::new()
        .name("load-join".to_owned())
        .spawn(move || running.join())
        .map_err(Problem::failed)?;
    let mut progress = Progress::default();
    live.mark_unchanged();
    while !joined.is_finished() {
        thread::sleep(LOOK_EVERY);
        if interrupt.came() {
            stopper.stop();
        }
        if live.has_changed().unwrap_or(false) {
            progress.see("load", &live.borrow_and_update(), screen);
        }
    }
    let outcome = joined.join().map_err(|_| Problem::failed("the generator panicked"))?;
    outcome.map_err(Problem::of_run)
}

/// How wide the first two columns are where there is room: the name of what is counted, and how
/// many of it there were.
const NAME: usize = 15;
const COUNT: usize = 9;

/// The figures that everybody asks for, as plain lines.
fn summary(outcome: &Outcome, screen: &mut Screen) {
    let total = outcome.record.total();
    screen.say("");
    let classes = outcome.classes.iter().enumerate();
    let classes = classes.map(|(index, name)| (name.as_str(), outcome.record.class(index)));
    let mut rows: Vec<_> = if outcome.classes.len() > 1 { classes.collect() } else { Vec::new() };
    rows.push(("all", total.clone()));
    let mut table = Table::new([
        Column::new("", NAME, 0),
        Column::new("requests", COUNT, 1),
        Column::new("good", 8, 0),
        Column::new("p50", 10, 3),
        Column::new("p99", 10, 0),
        Column::new("p99.9", 10, 2),
    ]);
    for (name, seen) in rows {
        let latencies_us = seen.latencies_us(&[Ending::Good, Ending::Slow]);
        let at = |quantile: f64| match latencies_us.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.2} ms", latencies_us.value_at_quantile(quantile) as f64 / 1e3),
        };
        let good = match seen.intended {
            0 => "-".to_owned(),
            _ => format!("{:.2} %", seen.good_share() * 100.0),
        };
        let requests = seen.intended.to_string();
        table.row([one_line(name), requests, good, at(0.5), at(0.99), at(0.999)]);
    }
    screen.tell(&table);
    for ending in Ending::ALL.into_iter().filter(|ending| *ending != Ending::Good) {
        if total.count(ending) > 0 {
            let name = ending.name().replace('_', " ");
            let why = if ending == Ending::Failed { failures(outcome) } else { String::new() };
            screen.say(&format!("{name:<NAME$} {:>COUNT$}{why}", total.count(ending)));
        }
    }
    if total.not_offered > 0 {
        screen.say(&format!("{:<NAME$} {:>COUNT$}", "not offered", total.not_offered));
    }
}

/// Why requests failed: first what happened most often.
fn failures(outcome: &Outcome) -> String {
    let counted = Failure::ALL.map(|failure| (outcome.record.failures(failure), failure));
    let mut seen: Vec<_> = counted.into_iter().filter(|(count, _)| *count > 0).collect();
    seen.sort_by_key(|(count, _)| Reverse(*count));
    let reasons: Vec<String> =
        seen.iter().map(|(count, failure)| format!("{count}: {}", failure.words())).collect();
    if reasons.is_empty() { String::new() } else { format!("  ({})", reasons.join("; ")) }
}
