//! `tenfold load run`: one load, open or closed.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use tenfold_config::duration::show;
use tenfold_loadgen::scenario::read_text;
use tenfold_loadgen::{Ending, Failure, Outcome, Run, RunReport, Schedule};

use super::interrupt::Interrupt;
use super::output::{OutputArguments, code, reasons, report};
use super::progress::Progress;
use super::screen::Screen;
use super::{Arrivals, Asked, Problem, TargetArguments, above_zero, both, length, requests_per_second};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,
    /// Requests per second
    #[arg(long, value_name = "RATE", default_value = "100", value_parser = above_zero)]
    rate: f64,
    /// How long, or how long each step
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = length)]
    duration: Duration,
    /// Begins with this rate and rises, or falls, to --rate
    #[arg(long, value_name = "RATE", value_parser = above_zero)]
    ramp_from: Option<f64>,
    /// Rates that are held one after the other
    #[arg(long, value_name = "RATE,…", value_delimiter = ',', value_parser = above_zero,
          conflicts_with_all = ["rate", "ramp_from"])]
    steps: Vec<f64>,
    /// A recorded load: lines of second,rate
    #[arg(long, value_name = "FILE", conflicts_with_all = ["rate", "ramp_from", "steps", "duration"])]
    trace: Option<PathBuf>,
    /// A closed model instead: so many users, each of whom waits for an answer before the next
    /// request, which hides how a service stalls
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "ramp_from", "steps", "trace", "arrivals"],
          value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// How long a user thinks between two requests
    #[arg(long, value_name = "TIME", default_value = "1s", requires = "users",
          value_parser = think)]
    think: Duration,
    #[command(flatten)]
    output: OutputArguments,
}

/// No time at all is a way to think as well.
fn think(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { length(text) }
}

/// A line for each second of a month, and more.
const TRACE_BYTES_MAX: u64 = 64 << 20;

/// How often it is looked whether there is something new to show.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let asked = arguments.target.read();
    let load = asked.and_then(|asked| Ok((arguments.load(&asked)?, asked)));
    let (((load, words), asked), mut output) = both(load, arguments.output.open())?;
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
    Ok(code(is_valid, &report))
}

impl Arguments {
    /// The load, and what it is in words.
    fn load(&self, asked: &Asked) -> Result<(Run, String), Problem> {
        let (duration, scenario) = (show(self.duration), &asked.scenario);
        if let Some(users) = self.users {
            let who = if users == 1 { "user who thinks" } else { "users who think" };
            let words = format!("{users} {who} for {} for {duration}", show(self.think));
            let run = Run::closed(scenario, users as usize, self.think, self.duration);
            return Ok((run, words));
        }
        let mut phases = Vec::new();
        let (schedule, words) = if let Some(file) = &self.trace {
            let wrong = |problem: &dyn std::fmt::Display| {
                Problem::Usage(format!("{}: {problem}", file.display()))
            };
            let text = read_text(file, TRACE_BYTES_MAX).map_err(|error| wrong(&error))?;
            let schedule = Schedule::trace(&text).map_err(|errors| wrong(&errors))?;
            (schedule, format!("the load of {}", file.display()))
        } else if !self.steps.is_empty() {
            let steps: Vec<_> = self.steps.iter().map(|rate| (*rate, self.duration)).collect();
            phases = steps.iter().map(|(rate, length)| (format!("{rate}/s"), *length)).collect();
            let rates: Vec<String> = self.steps.iter().map(ToString::to_string).collect();
            let words = format!("{} requests per second for {duration} each", rates.join(", "));
            (Schedule::steps(&steps), words)
        } else if let Some(from) = self.ramp_from {
            let words = format!("{from} to {} within {duration}", requests_per_second(self.rate));
            (Schedule::ramp(from, self.rate, self.duration), words)
        } else {
            let words = format!("{} for {duration}", requests_per_second(self.rate));
            (Schedule::constant(self.rate, self.duration), words)
        };
        let random = matches!(self.target.arrivals, Some(Arrivals::Poisson));
        let words = if random { format!("{words}, at random") } else { words };
        let run = Run::open(scenario, schedule.spaced(self.target.spacing()));
        Ok((run.phases(phases), words))
    }
}

fn follow(load: Run, interrupt: &Interrupt, screen: &mut Screen) -> Result<Outcome, Problem> {
    let running = load.start().map_err(Problem::failed)?;
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
    outcome.map_err(Problem::failed)
}

/// The figures that everybody asks for, as plain lines.
fn summary(outcome: &Outcome, screen: &mut Screen) {
    let total = outcome.record.total();
    screen.say("");
    let classes = outcome.classes.iter().enumerate();
    let classes = classes.map(|(index, name)| (name.as_str(), outcome.record.class(index)));
    let mut rows: Vec<_> = if outcome.classes.len() > 1 { classes.collect() } else { Vec::new() };
    rows.push(("all", total.clone()));
    screen.say(&format!(
        "{:<16}{:>10}{:>9}{:>11}{:>11}{:>11}",
        "", "requests", "good", "p50", "p99", "p99.9"
    ));
    for (name, seen) in rows {
        let latencies_us = seen.latencies_us(&[Ending::Good, Ending::Slow]);
        let at = |quantile: f64| match latencies_us.is_empty() {
            true => "-".to_owned(),
            false => format!("{:.2} ms", latencies_us.value_at_quantile(quantile) as f64 / 1e3),
        };
        let name: String = name.chars().take(15).collect();
        let good = match seen.intended {
            0 => "-".to_owned(),
            _ => format!("{:.2} %", seen.good_share() * 100.0),
        };
        let (p50, p99, p999) = (at(0.5), at(0.99), at(0.999));
        screen
            .say(&format!("{name:<16}{:>10}{good:>9}{p50:>11}{p99:>11}{p999:>11}", seen.intended));
    }
    for ending in Ending::ALL.into_iter().filter(|ending| *ending != Ending::Good) {
        if total.count(ending) > 0 {
            let name = ending.name().replace('_', " ");
            let why = if ending == Ending::Failed { failures(outcome) } else { String::new() };
            screen.say(&format!("{name:<16}{:>10}{why}", total.count(ending)));
        }
    }
    if total.not_offered > 0 {
        screen.say(&format!("{:<16}{:>10}", "not offered", total.not_offered));
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
