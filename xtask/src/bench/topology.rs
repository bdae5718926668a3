//! `cargo xtask bench topology`: the store on event loops that are put together in three ways.
//!
//! Service, Postgres and generator share two cores, in each topology alike: a comparison of threads
//! needs more than one of them. What is compared are ratios within a round: a rate with as much
//! load as it takes, the processor time of a request meanwhile, and the slowest of a hundred
//! answers at half of that rate.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use super::floor::fill;
use super::h2load::Connections;
use super::ours::{Model, Said, ours};
use super::release::{PrivatePostgres, build, program};
use super::{Bar, Report, Running, cpu_time, free_address, interleave, median, pin, pinned};
use crate::shell::root;
use crate::{Error, Outcome};

const CORES: [usize; 2] = [0, 1];

const THREADS: &str = "2";

/// In the order in which they take turns; the first is what the others are compared with.
const TOPOLOGIES: [&str; 3] = ["shards", "reuse-port", "work-stealing"];

/// What is asked of the store.
struct Work {
    name: &'static str,
    connections: Connections,
    /// The requests of its scenario.
    requests: &'static str,
}

const READ: &str = "[[request]]\nname = \"read\"\npath = \"/products/{{uniform 1 100000}}\"\n";

const SEARCH: &str = "[[request]]\nname = \"search\"\npath = \"/products/search?words={{list words}}\"\n\
     [lists]\nwords = [\"kettle\", \"copper kettle\", \"cast iron\", \"bread knife\"]\n";

const ORDER: &str = "[[request]]\nname = \"order\"\nmethod = \"POST\"\npath = \"/orders\"\n\
     headers = { content-type = \"application/json\" }\n\
     body = '{\"product_id\": {{uniform 1 100000}}, \"quantity\": 1}'\n\
     good = { status = [201, 409] }\n";

const LABEL: &str =
    "[[request]]\nname = \"label\"\npath = \"/products/{{uniform 1 100000}}/label.png\"\n";

const MANY: Connections = Connections::Http1(64);

const WORKS: [Work; 6] = [
    Work { name: "read, 64 connections", connections: MANY, requests: READ },
    // A hash may give all of them to one thread.
    Work { name: "read, 4 connections", connections: Connections::Http1(4), requests: READ },
    Work {
        name: "read, 4 × 16 streams of HTTP/2",
        connections: Connections::Http2 { connections: 4, streams: 16 },
        requests: READ,
    },
    Work { name: "search", connections: MANY, requests: SEARCH },
    Work { name: "order", connections: MANY, requests: ORDER },
    Work { name: "label (CPU work)", connections: Connections::Http1(16), requests: LABEL },
];

/// Compares topologies.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench topology")]
struct Arguments {
    /// Rounds that count; one before them warms up
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Length of a turn
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    seconds: u64,
    /// Only works whose name begins like this
    #[arg(long, value_name = "WORK")]
    only: Option<String>,
}

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench topology".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    build()?;
    let postgres = PrivatePostgres::start_on(CORES[0])?;
    fill(&postgres)?;
    pin(postgres.id, &CORES)?;
    let turn = Duration::from_secs(arguments.seconds);
    let mut report = Report::new("topology", &name);
    for work in &WORKS {
        if arguments.only.as_ref().is_some_and(|only| !work.name.starts_with(only.as_str())) {
            continue;
        }
        let rounds = interleave(TOPOLOGIES.len(), arguments.rounds + 1, |turn_of| {
            let topology = TOPOLOGIES[turn_of];
            let measured = measure(topology, &postgres, work, turn)?;
            eprintln!("{}, {topology:>13}: {}", work.name, measured.shown());
            Ok(measured)
        })?;
        let counted: Vec<&[Measured]> = rounds.iter().map(|rounds| &rounds[1..]).collect();
        add(&mut report, work.name, &counted);
    }
    if arguments.only.is_some() { Ok(report.print()) } else { report.finish() }
}

/// One topology's turn.
#[derive(Clone, Copy, Debug)]
struct Measured {
    requests_per_second: f64,
    /// Processor time of the service per request.
    cpu_us: f64,
    /// At half of the rate.
    latency_p99_ms: f64,
}

impl Measured {
    fn shown(&self) -> String {
        format!(
            "{:>7.0} requests/s, {:.1} µs/request, p99 {:.2} ms at half of it",
            self.requests_per_second, self.cpu_us, self.latency_p99_ms
        )
    }
}

/// Each turn has a service of its own, because what a hash does to connections is chance.
fn measure(
    topology: &str,
    postgres: &PrivatePostgres,
    work: &Work,
    turn: Duration,
) -> Result<Measured, Error> {
    let address = free_address()?;
    let listen = address.to_string();
    let arguments = ["--listen", &listen, "--topology", topology, "--threads", THREADS];
    let mut service = pinned(&CORES, &program("topology")?, &arguments);
    service.env("DATABASE_URL", &postgres.url);
    let service = Running::server(service, address)?;
    let scenario = scenario(work, address)?.display().to_string();
    let in_flight = match work.connections {
        Connections::Http1(connections) => connections,
        Connections::Http2 { connections, streams } => connections * streams,
    };
    let before = cpu_time(service.id())?;
    let all = ours(&CORES, Model::Closed(in_flight), work.connections, turn, &scenario)?;
    let used = cpu_time(service.id())?.saturating_sub(before);
    let Said { load, .. } = all;
    let requests_per_second = load.requests / load.seconds;
    let half = Model::Open(requests_per_second / 2.0);
    let half = ours(&CORES, half, work.connections, turn, &scenario)?;
    Ok(Measured {
        requests_per_second,
        cpu_us: used.as_secs_f64() * 1e6 / load.requests,
        latency_p99_ms: half.latency_p99_ms,
    })
}

fn scenario(work: &Work, address: SocketAddr) -> Result<PathBuf, Error> {
    let folder = root().join("target/tmp");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("bench-topology.toml");
    write(&file, &format!("target = \"http://{address}\"\n{}", work.requests))?;
    Ok(file)
}

fn write(file: &Path, text: &str) -> Result<(), Error> {
    std::fs::write(file, text)
        .map_err(|error| format!("{} cannot be written: {error}", file.display()).into())
}

/// Takes one figure out of a turn.
type Take = fn(&Measured) -> f64;

const FIGURES: [(&str, &str, Take); 3] = [
    ("rate", "requests/s", |measured| measured.requests_per_second),
    ("CPU", "µs/request", |measured| measured.cpu_us),
    ("p99 at half of the rate", "ms", |measured| measured.latency_p99_ms),
];

/// There is no bar: the table says what is best, and docs/operating/topology.md what was taken.
fn add(report: &mut Report, work: &str, rounds: &[&[Measured]]) {
    for (what, unit, take) in FIGURES {
        let of = |rounds: &[Measured]| rounds.iter().map(take).collect::<Vec<f64>>();
        let shards = of(rounds[0]);
        report.add(&format!("{work}: {what}, shards"), median(&shards), unit, Bar::None);
        for (topology, rounds) in TOPOLOGIES.iter().zip(rounds).skip(1) {
            let ratios: Vec<f64> =
                of(rounds).iter().zip(&shards).map(|(other, shards)| other / shards).collect();
            let name = format!("{work}: {what}, {topology} ÷ shards");
            report.add(&name, median(&ratios), "ratio", Bar::None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_as_parts_of_what_shards_do_in_the_same_round() {
        let round = |requests_per_second: f64| Measured {
            requests_per_second,
            cpu_us: 1e6 / requests_per_second,
            latency_p99_ms: 1.0,
        };
        let mut report = Report::new("topology", "cargo xtask bench topology");
        // The machine was twice as slow in one round, for all.
        let shards = [round(1000.0), round(500.0), round(1000.0)];
        let (kernel, steal) = ([round(900.0), round(450.0), round(900.0)], [round(800.0); 3]);
        add(&mut report, "read", &[&shards, &kernel, &steal]);
        // However wide the table is.
        let shown: Vec<_> = report.shown().split_whitespace().map(str::to_owned).collect();
        let shown = shown.join(" ");
        for figure in [
            "read: rate, reuse-port ÷ shards 0.900",
            "read: rate, work-stealing ÷ shards 0.800",
            "read: CPU, work-stealing ÷ shards 1.250",
        ] {
            assert!(shown.contains(figure), "{figure} is not in {shown}");
        }
    }
}
