//! `tenfold demo`: from nothing to a real service on a real Postgres that has answered real
//! requests, with one command.

mod catalog;
mod client;
mod round;

use std::path::PathBuf;
use std::process::ExitCode;

use tenfold::Running;
use tenfold_config::Origin;
use tenfold_context::Moment;
use tenfold_runtime::Signals;
use tenfold_telemetry::log::{self, LogSettings, LogTarget};
use tenfold_telemetry::metrics::Registry;

use super::{ConfigArguments, Error, event_loop};
use catalog::PRODUCTS_MAX;
use round::Round;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Products in the catalog
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PRODUCTS_MAX)))]
    products: u32,
    /// Folder that keeps the database [default: fresh data, gone at the end]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// End after the first round of requests; exit code 1 if one was not answered well
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let config = arguments.config.load(&flags(arguments)?)?;
    // The output is for people: the log goes beside it, and says only what is wrong.
    let log = LogTarget::Writer(Box::new(std::io::stderr()));
    let guard = log::start(&config.get::<LogSettings>(), "store", log)
        .map_err(|error| Error::Start(error.into()))?;
    let registry = Registry::new();
    guard.register(&registry);
    let signals = Signals::listen().map_err(|cause| Error::System { what: "signals", cause })?;

    println!("tenfold demo: a flash sale on a real Postgres\n");
    event_loop()?.block_on(async {
        let begun = Moment::now();
        let running = store::service().start(&config, &registry).await?;
        say(
            "serving",
            &format!(
                "http://{} on {}, started in {}",
                running.address(),
                counted(running.shards().len(), "shard"),
                seconds(begun)
            ),
        );
        // Whatever comes next, the service is drained and the database stopped in order.
        let shown = tokio::select! {
            shown = show(&running, arguments) => shown,
            _ = signals.first() => Ok(Shown::Interrupted),
        };
        let shown = match shown {
            Ok(Shown::Round(round)) if !arguments.once => {
                invite(&running);
                stay(&running, &signals).await;
                Ok(Shown::Round(round))
            }
            other => other,
        };
        let report = running.stop().await;
        for part in report.unclean() {
            eprintln!("warning: {part}");
        }
        let good = match shown? {
            Shown::Round(round) => round.is_good(),
            // Who asked for one round has not had it.
            Shown::Interrupted => !arguments.once,
        };
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// What came of showing the store.
enum Shown {
    Round(Round),
    Interrupted,
}

/// Settings that the demo's own flags stand for.
fn flags(arguments: &Arguments) -> Result<Vec<String>, Error> {
    let mut flags = Vec::new();
    let plain = arguments.config.load(&[])?;
    let level = plain.explain().into_iter().find(|one| one.key == "log.level");
    if level.is_some_and(|level| matches!(level.origin, Origin::Default)) {
        flags.push("log.level=warn".to_owned());
    }
    if let Some(data) = &arguments.data {
        flags.push(format!("embedded.data={}", data.display()));
    }
    Ok(flags)
}

/// Fills the shop and sends it its first requests.
async fn show(running: &Running, arguments: &Arguments) -> Result<Shown, Error> {
    catalog::fill(running, arguments.products).await?;
    println!("\nfirst round of requests");
    let round = Round::send(running.address()).await;
    println!();
    Ok(Shown::Round(round))
}

fn invite(running: &Running) {
    let (address, admin) = (running.address(), running.admin_address());
    say("open", &format!("http://{address}/products?limit=5"));
    say("", &format!("http://{address}/products/search?words=lamp"));
    say("", &format!("http://{address}/products/1/label.png"));
    say("", &format!("http://{address}/report"));
    say("watch", &format!("http://{admin}/metrics"));
    if let Some(url) = running.database_url() {
        say("ask", &format!("psql '{url}'"));
    }
    println!("\nserving until Ctrl-C, which drains");
}

/// Serves until somebody asks it to end, or there is no sense in going on.
async fn stay(running: &Running, signals: &Signals) {
    tokio::select! {
        signal = signals.first() => println!("\n{signal}: draining"),
        died = running.failed() => eprintln!("error: {died}"),
    }
}

/// One line of the summary: a word, then what there is to say about it.
fn say(word: &str, text: &str) {
    println!("  {word:<10}{text}");
}

fn seconds(since: Moment) -> String {
    format!("{:.1} s", Moment::now().since(since).as_secs_f64())
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(count as u64)) }
}

/// A number with its thousands set apart: `100,000`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (100_000, "100,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }
}
