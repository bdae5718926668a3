//! `tenfold load limit`: the highest rate that a service holds, and what ends it.

use std::process::ExitCode;
use std::time::Duration;

use tenfold_loadgen::{
    Address, Found, LimitEvent, LimitOptions, LimitReport, SearchLimits, Verdict, find,
};

use super::interrupt::Interrupt;
use super::output::{OutputArguments, report};
use super::progress::Progress;
use super::screen::Screen;
use super::{Asked, GENERATOR, Problem, TargetArguments, above_zero, length, share};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,
    #[command(flatten)]
    search: SearchArguments,
    #[command(flatten)]
    output: OutputArguments,
}

/// How the limit is searched.
#[derive(Debug, clap::Args)]
pub(super) struct SearchArguments {
    /// Where the service tells Prometheus about itself, to learn what ends it
    #[arg(long, value_name = "URL")]
    metrics: Option<String>,
    /// The first rate, in requests per second [default: what one client gets]
    #[arg(long, value_name = "RATE", value_parser = above_zero)]
    rate_first: Option<f64>,
    /// The highest rate worth offering
    #[arg(long, value_name = "RATE", default_value = "1000000", value_parser = above_zero)]
    rate_max: f64,
    /// How long each rate is held at least
    #[arg(long, value_name = "TIME", default_value = "1800ms", value_parser = length)]
    probe: Duration,
    /// The most probes
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    probes: u32,
    /// The share of requests that must be good
    #[arg(long, value_name = "SHARE", default_value = "0.99", value_parser = share)]
    good_share: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let asked = arguments.target.read()?;
    let options = arguments.search.options(&arguments.target)?;
    let mut output = arguments.output.open()?;
    let interrupt = Interrupt::listen()?;
    let limit = search(&asked, &options, &interrupt, &mut output.screen)?;
    let code = match limit.found {
        Found::GeneratorFirst { .. } => ExitCode::from(GENERATOR),
        _ => ExitCode::SUCCESS,
    };
    let mut report = report(&asked);
    report.limit = Some(limit);
    output.finish(&report)?;
    Ok(code)
}

impl SearchArguments {
    pub(super) fn options(&self, target: &TargetArguments) -> Result<LimitOptions, Problem> {
        let metrics = self.metrics.as_deref().map(Address::parse).transpose();
        let defaults = LimitOptions::default();
        Ok(LimitOptions {
            search: SearchLimits {
                rate_max: self.rate_max,
                probes_max: self.probes as usize,
                ..SearchLimits::default()
            },
            rate_first: self.rate_first,
            probe: self.probe,
            probe_max: defaults.probe_max.max(self.probe),
            good_share_min: self.good_share,
            spacing: target.spacing(),
            threads: target.threads(),
            seed: target.seed,
            metrics: metrics.map_err(|error| Problem::Usage(format!("--metrics: {error}")))?,
            ..defaults
        })
    }
}

/// Searches, and shows each probe.
pub(super) fn search(
    asked: &Asked,
    options: &LimitOptions,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<LimitReport, Problem> {
    screen.say(&format!("searching the limit of {}", asked.scenario.target.url()));
    let mut progress = Progress::default();
    let mut number = 0;
    let found = find(&asked.scenario, options, &mut |event| {
        match event {
            LimitEvent::Resting { waited } if waited.as_millis() > 1_000 => {
                screen.show(&format!("waiting until it is at rest: {:.0} s", waited.as_secs_f64()));
            }
            LimitEvent::Probing { number: next, .. } => number = *next,
            // In a pipe each probe is one line: what it came to.
            LimitEvent::Live { snapshot, .. } if screen.is_live => {
                progress.see(&format!("{number:>3}"), snapshot, screen);
            }
            LimitEvent::Resting { .. } | LimitEvent::Live { .. } => {}
            LimitEvent::Probed(probe) => {
                let verdict = match probe.verdict {
                    Verdict::Held => "held",
                    Verdict::NotHeld => "not held",
                    Verdict::Invalid => "not valid",
                };
                let line =
                    format!("{number:>3}  {:>9.0}/s  {verdict:<9}  {}", probe.rate, probe.why);
                screen.say(&clipped(&line));
            }
        }
        interrupt.flow()
    })
    .map_err(Problem::failed)?;
    explain(&found, screen);
    Ok(found)
}

/// What ends it, and how throughput grows: for whoever reads no report.
fn explain(limit: &LimitReport, screen: &mut Screen) {
    screen.say("");
    let (low, high) = limit.interval;
    let high = high.map_or("or more".to_owned(), |high| format!("to {high:.0}"));
    screen.say(&format!(
        "limit       {:.0} requests per second, {low:.0} {high}",
        limit.limit_per_second
    ));
    if let Some(law) = &limit.law {
        screen.say(&format!(
            "law         λ {:.1} ± {:.1}/s alone, σ {:.4} ± {:.4}, κ {:.1e} ± {:.1e}",
            law.alone.value,
            law.alone.error,
            law.contention.value,
            law.contention.error,
            law.coherency.value,
            law.coherency.error
        ));
    }
    let Some(bottleneck) = &limit.bottleneck else { return };
    for (index, saturation) in bottleneck.ranked.iter().take(4).enumerate() {
        let label = if index == 0 { "in use" } else { "" };
        screen.say(&format!("{label:<12}{saturation}"));
    }
    if let Some(unknown) = &bottleneck.unknown {
        screen.say(&format!("unknown     {unknown}"));
    }
}

fn clipped(line: &str) -> String {
    line.chars().take(super::screen::WIDTH).collect()
}
