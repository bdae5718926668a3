//! `tenfold load overload`: multiples of the limit, one after the other, and back.

use std::process::ExitCode;
use std::time::Duration;

use tenfold_loadgen::scenario::{Retries, Share};
use tenfold_loadgen::{
    Address, Cold, Flood, Found, Latencies, OverloadEvent, OverloadOptions, OverloadReport, Pause,
    Report, Variants, past,
};

use super::interrupt::Interrupt;
use super::limit::{SearchArguments, search};
use super::output::{OutputArguments, report};
use super::progress::Progress;
use super::screen::Screen;
use super::{Asked, GENERATOR, Problem, TargetArguments, above_zero, length, share};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,
    /// The multiples of the limit
    #[arg(long, value_name = "N,…", default_value = "1,2,5,10", value_delimiter = ',', value_parser = above_zero)]
    times: Vec<f64>,
    /// The limit, in requests per second [default: it is searched first]
    #[arg(long, value_name = "RATE", value_parser = above_zero)]
    limit: Option<f64>,
    /// How long each multiple is held
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = length)]
    hold: Duration,
    /// How long half of the limit is offered after that, to see it recover
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = length)]
    rest: Duration,
    #[command(flatten)]
    variants: VariantArguments,
    #[command(flatten)]
    search: SearchArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// What else is done to the service.
#[derive(Debug, clap::Args)]
struct VariantArguments {
    /// Clients that got nothing ask again, up to so often
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    retries: Option<u32>,
    /// One client among a hundred sends this share of all requests
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.9", value_parser = share)]
    flood: Option<f64>,
    /// This share of clients reads as slowly as 10 kB per second
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.2", value_parser = share)]
    slow_readers: Option<f64>,
    /// Stops this process for a while, such as a dependency, once the load has begun
    #[arg(long, value_name = "PID")]
    pause: Option<i32>,
    /// For how long it is stopped
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "pause", value_parser = length)]
    pause_for: Duration,
    /// A program that empties caches before the load, with its arguments
    #[arg(long, value_name = "COMMAND", conflicts_with = "cold_url")]
    cold: Option<String>,
    /// An address that empties caches before the load, when it gets a POST
    #[arg(long, value_name = "URL")]
    cold_url: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let asked = arguments.target.read()?;
    let search_options = arguments.search.options(&arguments.target)?;
    let (variants, words) = arguments.variants.read(arguments.hold, &asked)?;
    let mut output = arguments.output.open()?;
    let interrupt = Interrupt::listen()?;
    let mut report = report(&asked);
    let limit_per_second = match arguments.limit {
        Some(limit) => limit,
        None => {
            let limit = search(&asked, &search_options, &interrupt, &mut output.screen)?;
            let (rate, found) = (limit.limit_per_second, limit.found);
            let is_over = limit.stopped || !limit.recovers();
            report.limit = Some(limit);
            // Without a limit there are no multiples of it.
            if is_over || rate <= 0.0 || matches!(found, Found::GeneratorFirst { .. }) {
                output.finish(&report)?;
                return Ok(code_without_overload(found));
            }
            rate
        }
    };
    let options = OverloadOptions {
        times: arguments.times.clone(),
        hold: arguments.hold,
        rest: arguments.rest,
        variants,
        connections_max: arguments.target.connections.map(|connections| connections as usize),
        spacing: arguments.target.spacing(),
        threads: arguments.target.threads(),
        seed: arguments.target.seed,
        ..OverloadOptions::of_limit(limit_per_second)
    };
    output.screen.say(&format!(
        "going past {limit_per_second:.0} requests per second of {}",
        asked.scenario.target.url()
    ));
    let seen = go(&asked, &options, &interrupt, &mut output.screen)?;
    table(&seen, &mut output.screen);
    let code = finish(&mut report, &seen, &words);
    output.finish(&report)?;
    Ok(code)
}

fn code_without_overload(found: Found) -> ExitCode {
    match found {
        Found::GeneratorFirst { .. } => ExitCode::from(GENERATOR),
        _ => ExitCode::SUCCESS,
    }
}

fn finish(report: &mut Report, seen: &OverloadReport, words: &str) -> ExitCode {
    let overload = tenfold_loadgen::Overload::of(seen, words);
    let is_valid = overload.is_valid();
    report.overload = Some(overload);
    if is_valid { ExitCode::SUCCESS } else { ExitCode::from(GENERATOR) }
}

impl VariantArguments {
    /// The variants, and what they are in words.
    fn read(&self, hold: Duration, asked: &Asked) -> Result<(Variants, String), Problem> {
        let mut words = Vec::new();
        let mut variants = Variants::default();
        if let Some(max) = self.retries {
            words.push(format!("clients that got nothing ask again, up to {max} times"));
            variants.retries = Some(Retries { max, ..asked.scenario.behaviour.retries });
        }
        if let Some(share) = self.flood {
            words.push(format!("one client among many sends {:.0} % of it", share * 100.0));
            variants.flood = Some(Flood { share, ..Flood::default() });
        }
        if let Some(share) = self.slow_readers {
            words.push(format!("{:.0} % of the clients read slowly", share * 100.0));
            variants.slow_readers =
                Some(Share { share, what: asked.scenario.behaviour.slow_readers.what });
        }
        if let Some(pid) = self.pause {
            let length = self.pause_for;
            words.push(format!("process {pid} is stopped for {:.1} s", length.as_secs_f64()));
            variants.pause = Some(Pause { pid, after: hold / 2, length });
        }
        if let Some(command) = &self.cold {
            let mut parts = command.split_whitespace().map(str::to_owned);
            let program = parts.next();
            let program = program.ok_or_else(|| Problem::usage("--cold: no program is named"))?;
            words.push("it begins with cold caches".to_owned());
            variants.cold = Some(Cold::Command { program, arguments: parts.collect() });
        }
        if let Some(url) = &self.cold_url {
            let address = Address::parse(url);
            let address =
                address.map_err(|error| Problem::Usage(format!("--cold-url: {error}")))?;
            words.push("it begins with cold caches".to_owned());
            variants.cold = Some(Cold::Post(address));
        }
        Ok((variants, words.join("; ")))
    }
}

fn go(
    asked: &Asked,
    options: &OverloadOptions,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<OverloadReport, Problem> {
    let mut progress = Progress::default();
    let mut now = String::new();
    let seen = past(&asked.scenario, options, &mut |event| {
        match event {
            OverloadEvent::Unloaded { .. } => screen.show("asking alone"),
            OverloadEvent::Phase { name, .. } => now = (*name).to_owned(),
            OverloadEvent::Live { snapshot, .. } => {
                progress.see(&format!("{now:>5}"), snapshot, screen);
            }
            OverloadEvent::Paused { pid } => screen.say(&format!("process {pid} is stopped")),
            OverloadEvent::Continued { pid } => screen.say(&format!("process {pid} goes on")),
        }
        interrupt.flow()
    });
    seen.map_err(Problem::failed)
}

fn table(seen: &OverloadReport, screen: &mut Screen) {
    let latency = |latencies: Option<Latencies>, of: fn(&Latencies) -> f64| {
        latencies.as_ref().map_or("-".to_owned(), |one| format!("{:.1} ms", of(one)))
    };
    screen.say("");
    screen.say(&format!(
        "{:>6} {:>11} {:>9} {:>7} {:>12} {:>12} {:>9}",
        "load", "offered/s", "good/s", "÷ peak", "p50", "p99", "not good"
    ));
    for phase in &seen.phases {
        let not_good = match phase.intended {
            0 => 0.0,
            intended => 1.0 - phase.count(tenfold_loadgen::Ending::Good) as f64 / intended as f64,
        };
        let mark = if phase.valid { "" } else { "  not valid" };
        screen.say(&format!(
            "{:>6} {:>11.0} {:>9.0} {:>5.0} % {:>12} {:>12} {:>7.1} %{mark}",
            phase.name,
            phase.offered_per_second,
            phase.goodput_per_second,
            phase.goodput_to_peak * 100.0,
            latency(phase.good, |good| good.p50_ms),
            latency(phase.good, |good| good.p99_ms),
            not_good * 100.0
        ));
    }
    let recovery = &seen.recovery;
    let seconds =
        recovery.seconds.map_or("not seen".to_owned(), |seconds| format!("{seconds:.0} s"));
    screen.say(&format!("recovery: {seconds}, {}", recovery.why));
}
