//! `cargo xtask bench offload`: a route that is CPU work, asked for ten times as much of it as the
//! core can do, and a light route beside it.
//!
//! The store draws labels; service and Postgres have one core, the load comes from the other one.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Parser;

use super::floor::{fill, store};
use super::h2load::Connections;
use super::ours::{Model, Said, ours};
use super::pin::{LOAD_CORE, SERVICE_CORE};
use super::release::{PrivatePostgres, build};
use super::{Bar, Report, interleave, median};
use crate::shell::root;
use crate::{Error, Outcome};

/// What is left of the best rate at ten times as much: a bare bounded line in front of the same
/// work keeps as much.
const KEPT_MIN: f64 = 0.86;

/// By how much the light route may take longer at ten times the rate than at the best one.
const LATENCY_RATIO_MAX: f64 = 2.0;

/// Rounds that differ more than this say nothing.
const SPREAD_MAX: f64 = 0.1;

const TIMES: f64 = 10.0;

/// Enough to keep the core busy, and few enough to wait for nothing else.
const USERS: usize = 4;

const CONNECTIONS: Connections = Connections::Http1(64);

/// Answers that are asked for by the clock, beside the labels.
const READS_PER_SECOND: f64 = 100.0;

/// Measures CPU work past its limit.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench offload")]
struct Arguments {
    /// Rounds that count; one before them warms up
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Length of a turn
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    seconds: u64,
}

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench offload".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    build()?;
    let postgres = PrivatePostgres::start_on(SERVICE_CORE)?;
    fill(&postgres)?;
    let store = store(&postgres)?;
    let url = format!("http://{}", store.address);
    let turn = Duration::from_secs(arguments.seconds);
    let rounds = interleave(1, arguments.rounds + 1, |_| {
        let measured = measure(&url, turn)?;
        eprintln!("{}", measured.shown());
        Ok(measured)
    })?;
    // The first round fills caches.
    report(&rounds[0][1..]).finish()
}

/// One round: as much as it does, then ten times as much.
#[derive(Clone, Copy, Debug)]
struct Measured {
    best_per_second: f64,
    kept_per_second: f64,
    /// Of the light route, at the best rate and past it.
    at_best: Latency,
    past_it: Latency,
}

/// How long light answers took.
#[derive(Clone, Copy, Debug)]
struct Latency {
    p50_ms: f64,
    p99_ms: f64,
}

impl Measured {
    fn kept(&self) -> f64 {
        self.kept_per_second / self.best_per_second
    }

    fn shown(&self) -> String {
        let Measured { best_per_second, kept_per_second, at_best, past_it } = self;
        format!(
            "{best_per_second:.0} labels/s, {kept_per_second:.0} at ten times as much; reads p99 \
             {:.2} ms, {:.2} ms",
            at_best.p99_ms, past_it.p99_ms
        )
    }
}

fn measure(url: &str, turn: Duration) -> Result<Measured, Error> {
    let (labels, reads) = (labels(url)?.display().to_string(), format!("{url}/products/1"));
    let both = |model: Model| {
        thread::scope(|scope| {
            let beside = scope.spawn(|| {
                let model = Model::Open(READS_PER_SECOND);
                ours(&[LOAD_CORE], model, CONNECTIONS, turn, &reads).map_err(|it| it.to_string())
            });
            let labels = ours(&[LOAD_CORE], model, CONNECTIONS, turn, &labels)?;
            let reads = beside.join().map_err(|_| "the reads could not be measured")??;
            let latency = Latency { p50_ms: reads.latency_p50_ms, p99_ms: reads.latency_p99_ms };
            Ok::<_, Error>((goodput(&labels), latency))
        })
    };
    let (best_per_second, at_best) = both(Model::Closed(USERS))?;
    let (kept_per_second, past_it) = both(Model::Open(best_per_second * TIMES))?;
    Ok(Measured { best_per_second, kept_per_second, at_best, past_it })
}

fn goodput(said: &Said) -> f64 {
    said.good / said.load.seconds
}

/// Different labels; each within half a second, or it is of no use.
fn labels(url: &str) -> Result<PathBuf, Error> {
    let folder = root().join("target/tmp");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("bench-offload.toml");
    let text = format!(
        "target = \"{url}\"\n[good]\nlatency_max = \"500ms\"\n\
         [[request]]\nname = \"label\"\npath = \"/products/{{{{uniform 1 100000}}}}/label.png\"\n\
         [client]\ntimeout = \"1s\"\n"
    );
    std::fs::write(&file, text)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
    Ok(file)
}

/// Takes one figure out of a round.
type Take = fn(&Measured) -> f64;

fn report(rounds: &[Measured]) -> Report {
    let of = |take: Take| rounds.iter().map(take).collect::<Vec<f64>>();
    let kept = of(Measured::kept);
    let mut report = Report::new("offload", "cargo xtask bench offload");
    let name = "labels in time at ten times the best rate ÷ at the best rate";
    report.add(name, median(&kept), "ratio", Bar::AtLeast(KEPT_MIN));
    let best = median(&of(|round| round.best_per_second));
    report.add("best rate of labels", best, "labels/s", Bar::None);
    let slower = of(|round| round.past_it.p99_ms / round.at_best.p99_ms);
    let name = "p99 of reads at ten times ÷ at the best rate of labels";
    report.add(name, median(&slower), "ratio", Bar::AtMost(LATENCY_RATIO_MAX));
    let figures: [(&str, Take); 4] = [
        ("reads at the best rate: median", |round| round.at_best.p50_ms),
        ("reads at the best rate: p99", |round| round.at_best.p99_ms),
        ("reads at ten times: median", |round| round.past_it.p50_ms),
        ("reads at ten times: p99", |round| round.past_it.p99_ms),
    ];
    for (name, take) in figures {
        report.add(name, median(&of(take)), "ms", Bar::None);
    }
    report.judge_spread("what is kept", &kept, SPREAD_MAX);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(kept: f64, p99_ms: f64) -> [Measured; 3] {
        let latency = |p99_ms| Latency { p50_ms: 0.5, p99_ms };
        [1.0, 0.5, 1.0].map(|speed| Measured {
            best_per_second: 300.0 * speed,
            kept_per_second: 300.0 * speed * kept,
            at_best: latency(4.0 / speed),
            past_it: latency(p99_ms / speed),
        })
    }

    #[test]
    fn each_figure_has_its_bar() {
        assert_eq!(report(&rounds(0.9, 6.0)).code(), 0);
        assert_eq!(report(&rounds(0.8, 6.0)).code(), 1);
        assert_eq!(report(&rounds(0.9, 9.0)).code(), 1);
        let mut noisy = rounds(0.9, 6.0);
        noisy[1].kept_per_second /= 2.0;
        assert_eq!(report(&noisy).code(), 3);
    }
}
