//! `tenfold load overload`: multiples of the limit, one after the other, and back.

use std::env::split_paths;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tenfold_config::duration::show;
use tenfold_config::environment;
use tenfold_loadgen::scenario::{Behaviour, Retries, Share, Thresholds};
use tenfold_loadgen::{
    Cold, Flood, Found, Latencies, OverloadBounds, OverloadError, OverloadEvent, OverloadOptions,
    OverloadReport, Pause, RATE_MAX, Variants, past,
};

use super::interrupt::Interrupt;
use super::limit::{SearchArguments, address, search};
use super::output::{OutputArguments, code, reasons, report};
use super::progress::Progress;
use super::screen::Screen;
use super::table::{Column, Table};
use super::{
    Asked, Problem, TargetArguments, above_zero, both, length, offered_rate, rate,
    requests_per_second, share,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,
    /// The multiples of the limit
    #[arg(long, value_name = "N,…", default_value = "1,2,5,10", value_delimiter = ',', value_parser = multiple, allow_hyphen_values = true)]
    times: Vec<f64>,
    /// The limit, in requests per second [default: it is searched first]
    #[arg(long, value_name = "RATE", value_parser = offered_rate)]
    limit: Option<f64>,
    /// How long each multiple is held
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = length, allow_hyphen_values = true)]
    hold: Duration,
    /// How long half of the limit is offered after that, to see it recover [default: 6s, or
    /// longer than --recovery-max]
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true)]
    rest: Option<Duration>,
    /// Fails with 99 if less than this share of the best goodput is left at any multiple
    #[arg(long, value_name = "SHARE", value_parser = share)]
    goodput_min: Option<f64>,
    /// Fails with 99 if it takes longer to recover
    #[arg(long, value_name = "TIME", value_parser = length, allow_hyphen_values = true)]
    recovery_max: Option<Duration>,
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
    #[arg(long, value_name = "PID", value_parser = pid)]
    pause: Option<i32>,
    /// For how long it is stopped
    #[arg(long, value_name = "TIME", default_value = "2s", requires = "pause", value_parser = length, allow_hyphen_values = true)]
    pause_for: Duration,
    /// A program that empties caches before the load, with its arguments
    #[arg(long, value_name = "COMMAND", conflicts_with = "cold_url")]
    cold: Option<String>,
    /// An address that empties caches before the load, when it gets a POST
    #[arg(long, value_name = "URL")]
    cold_url: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let asked = arguments.target.read();
    let behaviour = asked
        .as_ref()
        .map_or_else(|_| Behaviour::default(), |asked| asked.scenario.behaviour.clone());
    let variants = arguments.variants.read(arguments.hold, &behaviour);
    let ((asked, ((variants, mut words), ())), ((search_options, rest), mut output)) = both(
        both(asked, both(variants, arguments.check_rates())),
        both(
            both(arguments.search.options(&arguments.target), arguments.rest()),
            arguments.output.open(),
        ),
    )?;
    let interrupt = Interrupt::listen()?;
    let mut report = report(&asked);
    let limit_per_second = match arguments.limit {
        Some(limit) => limit,
        None => {
            let limit = search(&asked, &search_options, &interrupt, &mut output.screen)?;
            let (held, found, is_gone) = (limit.limit_per_second, limit.found, limit.is_gone());
            let is_over = limit.stopped || !limit.recovers();
            report.limit = Some(limit);
            // Without a limit there are no multiples of it.
            let is_valid = !matches!(found, Found::GeneratorFirst { .. });
            if is_over || held <= 0.0 || !is_valid {
                let is_stopped = report.limit.as_ref().is_some_and(|limit| limit.stopped);
                if is_valid
                    && !is_stopped
                    && !is_gone
                    && arguments.bounds() != OverloadBounds::default()
                {
                    report.crossed.push("there is no limit to go past".to_owned());
                }
                output.finish(&report)?;
                return Ok(code(is_valid, is_gone, &report));
            }
            held
        }
    };
    let (times, too_much) = possible(&arguments.times, limit_per_second);
    if let Some(too_much) = &too_much {
        output.screen.say(too_much);
        words.push(too_much.clone());
    }
    if times.is_empty() {
        output.finish(&report)?;
        return Err(Problem::Usage(format!(
            "no multiple of the limit can be offered: {}",
            words.join("; ")
        )));
    }
    let options = OverloadOptions {
        times,
        hold: arguments.hold,
        rest,
        variants,
        connections_max: arguments.target.connections.map(|connections| connections as usize),
        spacing: arguments.target.spacing(),
        threads: arguments.target.threads(),
        seed: arguments.target.seed,
        ..OverloadOptions::of_limit(limit_per_second)
    };
    output.screen.say(&format!(
        "going past {} of {}",
        requests_per_second(rate(limit_per_second)),
        asked.scenario.target.url()
    ));
    let seen = go(&asked, &options, &interrupt, &mut output.screen)?;
    table(&seen, &mut output.screen);
    let overload = tenfold_loadgen::Overload::of(&seen, &words.join("; "));
    reasons(&overload.course, &mut output.screen);
    let (is_valid, is_gone) = (overload.is_valid(), overload.gone);
    report.overload = Some(overload);
    if is_valid {
        report.crossed = seen.crossed(&asked.scenario.thresholds, &arguments.bounds());
    }
    if asked.scenario.thresholds != Thresholds::default() && !arguments.times.contains(&1.0) {
        output.screen.say("the scenario's thresholds are about 1x, which is not among --times");
    }
    output.finish(&report)?;
    Ok(code(is_valid, is_gone, &report))
}

/// The multiples that can be offered; and which cannot, in words, if there are such. Of a limit that
/// is searched it is not known before.
fn possible(times: &[f64], limit_per_second: f64) -> (Vec<f64>, Option<String>) {
    let is_possible = |times: &&f64| limit_per_second * **times <= RATE_MAX;
    let kept: Vec<f64> = times.iter().filter(is_possible).copied().collect();
    let left_out = times.iter().filter(|times| !is_possible(times));
    let left_out: Vec<String> = left_out.map(|times| format!("{times}x")).collect();
    let words = format!(
        "{} of {} is left out, being more than the {RATE_MAX} per second that can be offered",
        left_out.join(", "),
        requests_per_second(rate(limit_per_second))
    );
    (kept, (!left_out.is_empty()).then_some(words))
}

/// Half of the limit is offered so long unless it is told otherwise.
const REST: Duration = Duration::from_secs(6);

/// A recovery is seen by what comes after it.
const REST_AFTER_RECOVERY: Duration = Duration::from_secs(2);

impl Arguments {
    fn bounds(&self) -> OverloadBounds {
        OverloadBounds { goodput_to_peak_min: self.goodput_min, recovery_max: self.recovery_max }
    }

    /// Whether the highest multiple of a limit that is known can be offered.
    fn check_rates(&self) -> Result<(), Problem> {
        let most = self.times.iter().copied().fold(0.0, f64::max);
        match self.limit {
            Some(limit) if limit * most > RATE_MAX => Err(Problem::Usage(format!(
                "--limit {limit} --times {most} is more than {RATE_MAX} requests per second: no \
                 more is possible"
            ))),
            _ => Ok(()),
        }
    }

    fn rest(&self) -> Result<Duration, Problem> {
        let needed = self.recovery_max.map_or(Duration::ZERO, |max| max + REST_AFTER_RECOVERY);
        match self.rest {
            None => Ok(REST.max(needed)),
            Some(rest) if rest >= needed => Ok(rest),
            Some(rest) => {
                let needed = show(needed);
                let why = format!("to judge --recovery-max it takes {needed}, or leave it out");
                Err(Problem::flag("--rest <TIME>", show(rest), why))
            }
        }
    }
}

impl VariantArguments {
    /// The variants, and what they are in words.
    fn read(
        &self,
        hold: Duration,
        behaviour: &Behaviour,
    ) -> Result<(Variants, Vec<String>), Problem> {
        let mut words = Vec::new();
        let mut variants = Variants::default();
        if let Some(max) = self.retries {
            let often = if max == 1 { "once".to_owned() } else { format!("up to {max} times") };
            words.push(format!("clients that got nothing ask again, {often}"));
            variants.retries = Some(Retries { max, ..behaviour.retries });
        }
        if let Some(share) = self.flood {
            words.push(format!("one client among many sends {:.0} % of it", share * 100.0));
            variants.flood = Some(Flood { share, ..Flood::default() });
        }
        if let Some(share) = self.slow_readers {
            words.push(format!("{:.0} % of the clients read slowly", share * 100.0));
            variants.slow_readers = Some(Share { share, what: behaviour.slow_readers.what });
        }
        if let Some(pid) = self.pause {
            words.push(format!("process {pid} is stopped for {}", show(self.pause_for)));
        }
        let (pause, cold) = both(self.pause(hold), self.cold())?;
        if cold.is_some() {
            words.push("it begins with cold caches".to_owned());
        }
        Ok((Variants { pause, cold, ..variants }, words))
    }

    fn pause(&self, hold: Duration) -> Result<Option<Pause>, Problem> {
        let Some(pid) = self.pause else { return Ok(None) };
        let pause = Pause { pid, after: hold / 2, length: self.pause_for };
        pause.check().map_err(|error| Problem::flag("--pause <PID>", pid, error))?;
        Ok(Some(pause))
    }

    fn cold(&self) -> Result<Option<Cold>, Problem> {
        match (&self.cold, &self.cold_url) {
            (Some(command), _) => {
                let mut parts = command.split_whitespace().map(str::to_owned);
                let program = parts.next().ok_or_else(|| {
                    Problem::flag("--cold <COMMAND>", command, "the name of a program is needed")
                })?;
                if !is_program(&program) {
                    let why = "no program of that name can be run";
                    return Err(Problem::flag("--cold <COMMAND>", &program, why));
                }
                Ok(Some(Cold::Command { program, arguments: parts.collect() }))
            }
            (None, Some(url)) => Ok(Some(Cold::Post(address("--cold-url <URL>", url)?))),
            (None, None) => Ok(None),
        }
    }
}

/// The largest multiple: what is beyond it is no overload of a service but of its network.
const TIMES_MAX: f64 = 10_000.0;

/// For the flag that is multiples.
fn multiple(text: &str) -> Result<f64, String> {
    match above_zero(text)? {
        times if times <= TIMES_MAX => Ok(times),
        _ => Err(format!("no more than {TIMES_MAX} times are possible")),
    }
}

/// For the flag that is a process.
fn pid(text: &str) -> Result<i32, String> {
    let pid = text.parse().ok().filter(|pid| *pid > 0);
    pid.ok_or_else(|| "the number of a process is needed, as ps shows it".to_owned())
}

/// Whether there is such a file, where the system looks for it.
fn is_program(name: &str) -> bool {
    if name.contains('/') {
        return Path::new(name).is_file();
    }
    let path = environment::var("PATH").unwrap_or_default();
    split_paths(&path).any(|folder| folder.join(name).is_file())
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
    seen.map_err(|error| match error {
        OverloadError::Run(error) => Problem::of_run(error),
        error => Problem::failed(error),
    })
}

fn table(seen: &OverloadReport, screen: &mut Screen) {
    let latency = |latencies: Option<Latencies>, of: fn(&Latencies) -> f64| {
        latencies.as_ref().map_or("-".to_owned(), |one| format!("{:.1} ms", of(one)))
    };
    screen.say("");
    let mut table = Table::new([
        Column::new("load", 7, 0),
        Column::new("offered/s", 11, 3),
        Column::new("good/s", 9, 0),
        Column::new("÷ peak", 7, 0),
        Column::new("p50", 11, 4),
        Column::new("p99", 11, 1),
        Column::new("not good", 9, 2),
        Column::new("", 0, 0),
    ]);
    for phase in &seen.phases {
        let not_good = match phase.intended {
            0 => 0.0,
            intended => 1.0 - phase.count(tenfold_loadgen::Ending::Good) as f64 / intended as f64,
        };
        let mark = if phase.valid { "" } else { "not valid" };
        table.row([
            phase.name.clone(),
            rate(phase.offered_per_second),
            rate(phase.goodput_per_second),
            format!("{:.0} %", phase.goodput_to_peak * 100.0),
            latency(phase.good, |good| good.p50_ms),
            latency(phase.good, |good| good.p99_ms),
            format!("{:.1} %", not_good * 100.0),
            mark.to_owned(),
        ]);
    }
    screen.tell(&table);
    let recovery = &seen.recovery;
    let seconds =
        recovery.seconds.map_or("not seen".to_owned(), |seconds| format!("{seconds:.0} s"));
    screen.say(&format!("recovery: {seconds}, {}", recovery.why));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_a_limit_that_was_found_are_left_out_where_they_cannot_be_offered() {
        assert_eq!(possible(&[1.0, 10.0], 1e6), (vec![1.0, 10.0], None));
        let (kept, words) = possible(&[1.0, 5000.0, 2.5, 9000.0], 2_500.0);
        assert_eq!(kept, [1.0, 2.5]);
        assert_eq!(
            words.unwrap(),
            "5000x, 9000x of 2500 requests per second is left out, being more than the 10000000 per \
             second that can be offered"
        );
        assert_eq!(possible(&[9000.0], 1e6).0, [0.0; 0]);
    }
}
