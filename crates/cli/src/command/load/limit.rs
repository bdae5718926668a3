//! `tenfold load limit`: the highest rate that a service holds, and what ends it.

use std::process::ExitCode;
use std::time::Duration;

use tenfold_loadgen::{
    Address, Found, LimitError, LimitEvent, LimitOptions, LimitReport, SearchLimits, Verdict, find,
};

use super::interrupt::Interrupt;
use super::output::{OutputArguments, code, report};
use super::progress::Progress;
use super::screen::Screen;
use super::{
    Asked, Problem, TargetArguments, above_zero, both, length, offered_rate, rate,
    requests_per_second, share,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    target: TargetArguments,
    /// Fails with 99 if the limit is lower than this
    #[arg(long, value_name = "RATE", value_parser = above_zero)]
    at_least: Option<f64>,
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
    #[arg(long, value_name = "RATE", value_parser = offered_rate)]
    rate_first: Option<f64>,
    /// The highest rate worth offering
    #[arg(long, value_name = "RATE", default_value = "1000000", value_parser = offered_rate)]
    rate_max: f64,
    /// How long each rate is held at least
    #[arg(long, value_name = "TIME", default_value = "1800ms", value_parser = length)]
    probe: Duration,
    /// How long the highest rate that was held is offered once more, after a jolt, to see that it lasts
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = length)]
    lasting: Duration,
    /// The most probes
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    probes: u32,
    /// The share of requests that must be good
    #[arg(long, value_name = "SHARE", default_value = "0.99", value_parser = share)]
    good_share: f64,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Problem> {
    let options = both(arguments.search.options(&arguments.target), arguments.check());
    let (asked, ((options, ()), mut output)) =
        both(arguments.target.read(), both(options, arguments.output.open()))?;
    let interrupt = Interrupt::listen()?;
    let limit = search(&asked, &options, &interrupt, &mut output.screen)?;
    let is_valid = !matches!(limit.found, Found::GeneratorFirst { .. });
    let mut report = report(&asked);
    if is_valid {
        report.crossed.extend(arguments.crossed(&limit));
    }
    report.limit = Some(limit);
    output.finish(&report)?;
    Ok(code(is_valid, &report))
}

impl Arguments {
    fn check(&self) -> Result<(), Problem> {
        let rate_max = self.search.rate_max;
        match self.at_least {
            Some(at_least) if at_least > rate_max => {
                let why =
                    format!("no more than the {rate_max} per second of --rate-max is offered");
                Err(Problem::flag("--at-least <RATE>", at_least, why))
            }
            _ => Ok(()),
        }
    }

    /// A search that was ended early does not know.
    fn crossed(&self, limit: &LimitReport) -> Option<String> {
        let (at_least, found) = (self.at_least?, limit.limit_per_second);
        (found < at_least && !limit.stopped).then(|| {
            let found = requests_per_second(rate(found));
            format!("the limit is {found}, {at_least} was demanded")
        })
    }
}

impl SearchArguments {
    pub(super) fn options(&self, target: &TargetArguments) -> Result<LimitOptions, Problem> {
        let metrics = self.metrics.as_deref().map(|url| address("--metrics <URL>", url));
        let (metrics, ()) = both(metrics.transpose(), self.check_rates())?;
        let defaults = LimitOptions::default();
        Ok(LimitOptions {
            search: SearchLimits {
                rate_max: self.rate_max,
                probes_max: self.probes as usize,
                ..SearchLimits::default()
            },
            rate_first: self.rate_first,
            probe: self.probe,
            lasting: self.lasting,
            probe_max: defaults.probe_max.max(self.probe),
            good_share_min: self.good_share,
            spacing: target.spacing(),
            threads: target.threads(),
            seed: target.seed,
            metrics,
            ..defaults
        })
    }

    fn check_rates(&self) -> Result<(), Problem> {
        match self.rate_first {
            Some(first) if first > self.rate_max => Err(Problem::Usage(format!(
                "--rate-first is {first}, above --rate-max, which is {}",
                self.rate_max
            ))),
            _ => Ok(()),
        }
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
    // In a pipe each rest is worth one line at most.
    let mut is_rest_told = false;
    let found = find(&asked.scenario, options, &mut |event| {
        match event {
            LimitEvent::Resting { waited } if screen.is_live && *waited > REST_SHORT => {
                screen.show(&format!("waiting until it is at rest: {:.0} s", waited.as_secs_f64()));
            }
            LimitEvent::Resting { waited } if *waited > REST_LONG && !is_rest_told => {
                is_rest_told = true;
                screen.say("     waiting until it is at rest");
            }
            LimitEvent::Probing { number: next, rate, duration } => {
                (number, is_rest_told) = (*next, false);
                if let Some(line) = long(number, *rate, *duration) {
                    screen.say(&line);
                }
            }
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
                    format!("{number:>3}  {:>9}/s  {verdict:<9}  {}", rate(probe.rate), probe.why);
                screen.say(&if screen.is_live { clipped(&line, screen.width()) } else { line });
            }
        }
        interrupt.flow()
    })
    .map_err(|error| match error {
        LimitError::Metrics(error) => Problem::Usage(format!("--metrics <URL>: {error}")),
        error => Problem::failed(error),
    })?;
    explain(&found, screen);
    Ok(found)
}

/// A rest that is not longer is not seen on a screen.
const REST_SHORT: Duration = Duration::from_secs(1);

/// Who reads lines in a pipe is told of a rest that is longer.
const REST_LONG: Duration = Duration::from_secs(3);

/// Who waits for longer than this is told for what.
const PROBE_LONG: Duration = Duration::from_secs(5);

/// What a long probe waits for, before it begins: a slow rate needs its time until there are enough
/// requests to judge it by.
fn long(number: usize, per_second: f64, duration: Duration) -> Option<String> {
    let seconds = duration.as_secs_f64();
    let requests = (per_second * seconds).round();
    // A lasting probe is as long at any rate, and has many.
    (duration > PROBE_LONG && requests < REQUESTS_FEW).then(|| {
        let noun = if requests == 1.0 { "request" } else { "requests" };
        format!(
            "{number:>3}  {:>9}/s  takes {seconds:.0} s, because so few come: {requests:.0} {noun}",
            rate(per_second)
        )
    })
}

/// So many requests are few for the time that they take.
const REQUESTS_FEW: f64 = 100.0;

/// What ends it, and how throughput grows: for whoever reads no report.
fn explain(limit: &LimitReport, screen: &mut Screen) {
    screen.say("");
    let (low, high) = limit.interval;
    let high = high.map_or("or more".to_owned(), |high| format!("to {}", rate(high)));
    screen.say(&format!(
        "limit       {}, {} {high}",
        requests_per_second(rate(limit.limit_per_second)),
        rate(low)
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
    // Where the generator was first at its end, what the service was short of ended nothing.
    let is_its_own = !matches!(limit.found, Found::GeneratorFirst { .. });
    let Some(bottleneck) = limit.bottleneck.as_ref().filter(|_| is_its_own) else { return };
    for (index, saturation) in bottleneck.ranked.iter().take(4).enumerate() {
        let label = if index == 0 { "in use" } else { "" };
        screen.say(&format!("{label:<12}{saturation}"));
    }
    if let Some(unknown) = &bottleneck.unknown {
        screen.say(&format!("unknown     {unknown}"));
    }
}

/// For flags that are an address which is asked one thing.
pub(super) fn address(flag: &str, url: &str) -> Result<Address, Problem> {
    Address::parse(url).map_err(|error| Problem::flag(flag, url, error))
}

fn clipped(line: &str, width: usize) -> String {
    line.chars().take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_is_long_because_little_comes_is_announced() {
        let told = |rate, seconds| long(7, rate, Duration::from_secs_f64(seconds));
        assert_eq!(
            told(0.5, 15.0).as_deref(),
            Some("  7        0.5/s  takes 15 s, because so few come: 8 requests")
        );
        let one = told(0.1, 15.0).unwrap();
        assert!(one.ends_with("takes 15 s, because so few come: 2 requests"), "{one}");
        assert_eq!(told(0.5, 1.8), None, "that is no time");
        assert_eq!(told(400.0, 6.0), None, "a rate that is held for long on purpose");
    }
}
