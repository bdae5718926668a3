//! `cargo xtask bench floor`: what the whole chassis costs per request, measured against a service
//! that has nothing between hyper and Postgres.
//!
//! The store and `bench/floor` answer the same requests from the same Postgres, take turns on the
//! same core, and are compared round by round by the processor time that they used. The load comes
//! from another core. The store runs as it comes, with a log line for every request; the log goes
//! nowhere, since whoever collects it pays for that elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use super::child::{Running, free_address};
use super::pin::{LOAD_CORE, SERVICE_CORE};
use super::release::{PrivatePostgres, build, program};
use super::wrk::{Load, wrk};
use super::{Bar, Report, cpu_time, cpu_time_of_tree, interleave, median, pinned};
use crate::shell::{command, root, run as carry_out};
use crate::{Error, Outcome};

/// Where the ratio must stay now. It must end at [`RATIO_IN_THE_END`].
const RATIO_MAX: f64 = 1.6;

const RATIO_IN_THE_END: f64 = 1.3;

/// Rounds that differ more than this say nothing.
const SPREAD_MAX: f64 = 0.1;

/// The same for one side alone: when that changes its figure by so much, the other program on the
/// machine is no longer something that both sides share evenly.
const SPREAD_ALONE_MAX: f64 = 0.2;

const CONNECTIONS: usize = 64;

/// As many as `bench/floor/random_products.lua` asks for.
const PRODUCTS: &str = "100000";

/// Measures what the chassis costs above hyper and tokio-postgres.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench floor")]
struct Arguments {
    /// Rounds that count; one before them warms up
    #[arg(long, value_name = "N", default_value_t = 8)]
    rounds: usize,
    /// Length of a turn
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    seconds: u64,
}

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench floor".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    build()?;
    let postgres = PrivatePostgres::start_on(SERVICE_CORE)?;
    fill(&postgres)?;
    let services = [floor(&postgres)?, store(&postgres)?];
    let turn = Duration::from_secs(arguments.seconds);
    let rounds = interleave(services.len(), arguments.rounds + 1, |turn_of| {
        let measured = measure(&services[turn_of], &postgres, turn)?;
        eprintln!("{:>5}: {}", services[turn_of].name, measured.shown());
        Ok(measured)
    })?;
    // The first round fills caches.
    report(&rounds[0][1..], &rounds[1][1..]).finish()
}

/// One of the two that are compared.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) address: SocketAddr,
    pub(super) running: Running,
}

/// The store's own migrations and catalog.
pub(super) fn fill(postgres: &PrivatePostgres) -> Result<(), Error> {
    fill_with(postgres, PRODUCTS)
}

/// The same with another number of products.
pub(super) fn fill_with(postgres: &PrivatePostgres, products: &str) -> Result<(), Error> {
    let mut demo =
        command(&program("tenfold")?, &["demo", "--once", "--no-load", "--products", products]);
    demo.args(["--set", "server.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"]);
    demo.env("DATABASE_URL", &postgres.url);
    carry_out(demo)
}

pub(super) fn floor(postgres: &PrivatePostgres) -> Result<Service, Error> {
    let address = free_address()?;
    let listen = address.to_string();
    let mut program = pinned(&[SERVICE_CORE], &program("floor")?, &["--listen", &listen]);
    program.env("DATABASE_URL", &postgres.url);
    Ok(Service { name: "floor", address, running: Running::server(program, address)? })
}

pub(super) fn store(postgres: &PrivatePostgres) -> Result<Service, Error> {
    let address = free_address()?;
    let listen = format!("server.listen={address}");
    let settings = ["--set", &listen, "--set", "admin.listen=127.0.0.1:0"];
    let mut program = pinned(&[SERVICE_CORE], &program("store")?, &settings);
    program.args(["--set", "runtime.shards=1"]).env("DATABASE_URL", &postgres.url);
    Ok(Service { name: "store", address, running: Running::server(program, address)? })
}

/// One service's turn.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Processor time of the service per request.
    service_us: f64,
    /// Processor time of all of Postgres per request.
    postgres_us: f64,
    requests_per_second: f64,
}

/// Takes one figure out of a turn.
type Take = fn(&Measured) -> f64;

impl Measured {
    fn shown(&self) -> String {
        format!(
            "{:>7.0} requests/s, {:.2} µs/request, {:.2} in Postgres",
            self.requests_per_second, self.service_us, self.postgres_us
        )
    }
}

fn measure(
    service: &Service,
    postgres: &PrivatePostgres,
    turn: Duration,
) -> Result<Measured, Error> {
    let times =
        || Ok::<_, Error>((cpu_time(service.running.id())?, cpu_time_of_tree(postgres.id)?));
    let script = root().join("bench/floor/random_products.lua").display().to_string();
    let before = times()?;
    let url = format!("http://{}", service.address);
    let Load { requests, seconds, .. } = wrk(LOAD_CORE, CONNECTIONS, turn, Some(&script), &url)?;
    let after = times()?;
    let per_request =
        |after: Duration, before| after.saturating_sub(before).as_secs_f64() * 1e6 / requests;
    Ok(Measured {
        service_us: per_request(after.0, before.0),
        postgres_us: per_request(after.1, before.1),
        requests_per_second: requests / seconds,
    })
}

fn report(floor: &[Measured], store: &[Measured]) -> Report {
    let middle =
        |rounds: &[Measured], figure: Take| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let ratios: Vec<f64> =
        store.iter().zip(floor).map(|(store, floor)| store.service_us / floor.service_us).collect();
    let mut report = Report::new("floor", "cargo xtask bench floor");
    let name =
        format!("service CPU per one-row read, store ÷ floor (must end at {RATIO_IN_THE_END})");
    report.add(&name, median(&ratios), "ratio", Bar::AtMost(RATIO_MAX));
    for (name, rounds) in [("store", store), ("floor", floor)] {
        let figures: [(&str, &str, Take); 3] = [
            ("service CPU", "µs/request", |round| round.service_us),
            ("Postgres CPU", "µs/request", |round| round.postgres_us),
            ("answers", "requests/s", |round| round.requests_per_second),
        ];
        for (what, unit, figure) in figures {
            report.add(&format!("{name}: {what}"), middle(rounds, figure), unit, Bar::None);
        }
    }
    let floors: Vec<f64> = floor.iter().map(|round| round.service_us).collect();
    for (name, values, spread_max) in
        [("the ratio", &ratios, SPREAD_MAX), ("the floor by itself", &floors, SPREAD_ALONE_MAX)]
    {
        report.judge_spread(name, values, spread_max);
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(service_us: &[f64]) -> Vec<Measured> {
        let round = |service_us: &f64| Measured {
            service_us: *service_us,
            postgres_us: 12.0,
            requests_per_second: 20_000.0,
        };
        service_us.iter().map(round).collect()
    }

    #[test]
    fn rounds_are_compared_in_pairs() {
        // The machine was twice as slow in one round, for both.
        let (floor, store) = ([10.0, 20.0, 10.0, 10.0, 10.0], [15.0, 30.0, 15.1, 15.0, 15.0]);
        let report = report(&rounds(&floor), &rounds(&store));
        let shown = report.shown();
        assert!(shown.contains("1.500") && shown.contains("at most 1.6  holds"), "{shown}");
        assert_eq!(report.code(), 0);
    }

    #[test]
    fn above_the_bar_is_1_and_noise_is_3() {
        assert_eq!(report(&rounds(&[10.0; 3]), &rounds(&[17.0; 3])).code(), 1);
        assert_eq!(report(&rounds(&[10.0; 4]), &rounds(&[11.0, 19.0, 12.0, 18.0])).code(), 3);
        let (floor, store) = ([10.0, 20.0, 10.0, 20.0], [15.0, 30.0, 15.0, 30.0]);
        assert_eq!(report(&rounds(&floor), &rounds(&store)).code(), 3);
        let nothing_answered = [10.0, 10.0, f64::INFINITY, 10.0, 10.0];
        assert_eq!(report(&rounds(&nothing_answered), &rounds(&[15.0; 5])).code(), 3);
    }
}
