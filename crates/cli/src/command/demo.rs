//! `tenfold demo`: from nothing to a real service on a real Postgres that has been taken past its
//! limit, with one command.

mod catalog;
mod client;
mod cores;
mod round;
mod sale;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tenfold::Running;
use tenfold_config::Origin;
use tenfold_context::Moment;
use tenfold_db::DatabaseSettings;
use tenfold_runtime::Signals;
use tenfold_telemetry::log::{self, LogSettings, LogTarget};
use tenfold_telemetry::metrics::Registry;

use super::load::length;
use super::{ConfigArguments, Error, event_loop, print};
use crate::printable::complain;
use catalog::PRODUCTS_MAX;
use cores::Cores;
use round::Round;
use sale::Sale;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Products in the catalog
    #[arg(long, value_name = "N", default_value_t = 100_000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(PRODUCTS_MAX)))]
    products: u32,
    /// Folder that keeps the database [default: fresh data, gone at the end]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// End when all is shown; exit code 1 if a request of the first round was not answered well,
    /// 3 if the load could not be sent as it was meant
    #[arg(long)]
    once: bool,
    /// Leave out the load: serve after the first round of requests, on all cores
    #[arg(long)]
    no_load: bool,
    /// Folder for the report of the load
    #[arg(long, value_name = "FOLDER", default_value = "tenfold-demo", conflicts_with = "no_load")]
    report: PathBuf,
    /// How long each multiple of the limit is held, and the limit itself before it is believed
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = length,
          conflicts_with = "no_load")]
    hold: Duration,
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    let config = arguments.config.load(&flags(arguments)?)?;
    let mut sale = (!arguments.no_load).then(|| prepare(arguments)).transpose()?;
    // The output is for people: the log goes beside it, and says only what is wrong. At ten times
    // the limit that is much, so that it lies with the report then.
    let log = match &sale {
        Some(sale) => LogTarget::Writer(Box::new(sale.log()?)),
        None => LogTarget::Writer(Box::new(std::io::stderr())),
    };
    let guard = log::start(&config.get::<LogSettings>(), "store", log)
        .map_err(|error| Error::Start(error.into()))?;
    let registry = Registry::new();
    guard.register(&registry);
    let signals = Signals::listen().map_err(|cause| Error::System { what: "signals", cause })?;

    print("tenfold demo: a flash sale on a real Postgres\n");
    event_loop()?.block_on(async {
        let begun = Moment::now();
        let given_up = async { print(&format!("\n{}: stopping", signals.first().await)) };
        let service = store::service().on_wait(|line| say("postgres", line));
        let started = service.start_unless(&config, &registry, given_up).await?;
        let Some(running) = started else { return Ok(interrupted(arguments)) };
        let shards = counted(running.shards().len(), "shard");
        let address = running.address();
        say("serving", &format!("http://{address} on {shards}, started in {}", seconds(begun)));

        // Whatever comes of it, the service is drained and the database stopped in order.
        let shown = live(&running, arguments, &signals, sale.as_mut()).await;
        let report = running.stop().await;
        for part in report.unclean() {
            complain(&format!("warning: {part}"));
        }
        shown
    })
}

/// Shares out the cores, before the first thread of the service begins.
fn prepare(arguments: &Arguments) -> Result<Sale, Error> {
    let wrong = |cause| Error::System { what: "a choice of cores", cause };
    let cores = Cores::split().map_err(wrong)?;
    if let Some(cores) = &cores {
        cores.serve().map_err(wrong)?;
    }
    Sale::prepare(&arguments.report, arguments.hold, cores)
}

/// The demonstration itself, until it has shown all or somebody asks it to end.
async fn live(
    running: &Running,
    arguments: &Arguments,
    signals: &Signals,
    mut sale: Option<&mut Sale>,
) -> Result<ExitCode, Error> {
    let shown = async {
        let code = show(running, arguments, sale.as_deref_mut()).await?;
        if !arguments.once {
            invite(running);
            std::future::pending::<()>().await;
        }
        Ok(code)
    };
    let shown = tokio::select! {
        shown = shown => shown,
        signal = signals.first() => {
            print(&format!("\n{signal}: draining"));
            Ok(interrupted(arguments))
        }
        failure = running.failed() => Err(Error::Failed(failure)),
    };
    if let Some(sale) = sale {
        sale.end().await;
    }
    shown
}

/// Ctrl-C is how a demo ends, but who asked for one round has not had it.
fn interrupted(arguments: &Arguments) -> ExitCode {
    if arguments.once { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Settings that the demo's own flags stand for.
fn flags(arguments: &Arguments) -> Result<Vec<String>, Error> {
    let mut flags = Vec::new();
    let plain = arguments.config.load(&[])?;
    let explained = plain.explain();
    let origin = |key| explained.iter().find(|one| one.key == key).map(|one| &one.origin);
    if matches!(origin("log.level"), Some(Origin::Default)) {
        flags.push("log.level=warn".to_owned());
    }
    if let Some(data) = &arguments.data {
        if let (Some(_), Some(origin)) =
            (plain.get::<DatabaseSettings>().url, origin("database.url"))
        {
            return Err(Error::TwoDatabases { origin: origin.to_string() });
        }
        flags.push(format!("embedded.data={}", data.display()));
    }
    Ok(flags)
}

/// Fills the shop, sends it its first requests, and then more than it can serve.
async fn show(
    running: &Running,
    arguments: &Arguments,
    sale: Option<&mut Sale>,
) -> Result<ExitCode, Error> {
    let products = catalog::fill(running, arguments.products).await?;
    print("\nfirst round of requests");
    let round = Round::send(running.address()).await;
    let code = match sale {
        Some(sale) => sale.hold(running, products).await?,
        None => 0,
    };
    print("");
    Ok(if round.is_good() { ExitCode::from(code) } else { ExitCode::FAILURE })
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
    print("\nserving until Ctrl-C, which drains");
}

/// One line of the summary: a word, then what there is to say about it.
fn say(word: &str, text: &str) {
    print(&format!("  {word:<10}{text}"));
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
