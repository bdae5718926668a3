//! `cargo xtask bench server`: what a request costs beside `axum::serve`, for the same router.
//!
//! Both take turns on one core and answer from memory, so that nothing hides what lies between the
//! socket and the handler. `axum::serve` has no limit, no timeout, no log and no metrics; the
//! chassis has all that is on by default, with a log line for every request that goes nowhere,
//! since whoever collects it pays for that elsewhere. The load comes from another core.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use super::release::{build, program};
use super::{
    Bar, Connections, LOAD_CORE, Load, Report, Running, SERVICE_CORE, cpu_time, free_address,
    h2load, interleave, median, pinned, wrk,
};
use crate::shell::command;
use crate::{Error, Outcome};

const RATIO_MAX: f64 = 1.05;

/// Rounds that differ more than this say nothing.
const SPREAD_MAX: f64 = 0.1;

const CONNECTIONS: usize = 64;

/// As many requests at one time as with HTTP/1.1.
const HTTP2: Connections = Connections::Http2 { connections: 8, streams: 8 };

const TARGET: &str = "/products/4711?currency=EUR";

/// Measures what the chassis costs beyond `axum::serve`.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench server")]
struct Arguments {
    /// Rounds that count; one before them warms up
    #[arg(long, value_name = "N", default_value_t = 7)]
    rounds: usize,
    /// Length of a turn
    #[arg(long, value_name = "SECONDS", default_value_t = 3)]
    seconds: u64,
}

/// How requests come.
#[derive(Clone, Copy, Debug)]
struct Way {
    name: &'static str,
    tls: bool,
    http2: bool,
}

const WAYS: [Way; 4] = [
    Way { name: "HTTP/1.1 (wrk)", tls: false, http2: false },
    Way { name: "HTTP/1.1 over TLS (wrk)", tls: true, http2: false },
    Way { name: "HTTP/2 (h2load)", tls: false, http2: true },
    Way { name: "HTTP/2 over TLS (h2load)", tls: true, http2: true },
];

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench server".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    build()?;
    let (_made, files) = Running::talkative(command(&program("hello-certificate")?, &[]), 2)?;
    let turn = Duration::from_secs(arguments.seconds);
    let mut report = Report::new("server", &name);
    for way in WAYS {
        let services = [axum(way, &files)?, chassis(way, &files)?];
        let rounds = interleave(services.len(), arguments.rounds + 1, |turn_of| {
            let measured = measure(&services[turn_of], way, turn)?;
            let Measured { cpu_us, requests_per_second } = measured;
            let name = services[turn_of].name;
            eprintln!(
                "{}, {name:>11}: {requests_per_second:>7.0} requests/s, {cpu_us:.2} µs/request",
                way.name
            );
            Ok(measured)
        })?;
        // The first round fills caches.
        add(&mut report, way.name, &rounds[0][1..], &rounds[1][1..]);
    }
    report.finish()
}

/// One of the two that are compared.
struct Service {
    name: &'static str,
    address: SocketAddr,
    running: Running,
}

fn axum(way: Way, files: &[String]) -> Result<Service, Error> {
    let address = free_address()?;
    let listen = address.to_string();
    let mut program = pinned(&[SERVICE_CORE], &program("hello-axum")?, &["--listen", &listen]);
    if way.tls {
        program.arg("--certificate").arg(&files[0]);
        program.arg("--key").arg(&files[1]);
    }
    Ok(Service { name: "axum::serve", address, running: Running::server(program, address)? })
}

fn chassis(way: Way, files: &[String]) -> Result<Service, Error> {
    let address = free_address()?;
    let mut program = pinned(&[SERVICE_CORE], &program("hello-chassis")?, &[]);
    let mut set = |setting: &str, value: &str| {
        program.arg("--set").arg(format!("{setting}={value}"));
    };
    set("server.listen", &address.to_string());
    set("admin.listen", "127.0.0.1:0");
    if way.tls {
        set("server.tls_certificate", &files[0]);
        set("server.tls_key", &files[1]);
    }
    Ok(Service { name: "chassis", address, running: Running::server(program, address)? })
}

/// One service's turn.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Processor time of the service per request, the kernel's part of it included.
    cpu_us: f64,
    requests_per_second: f64,
}

fn measure(service: &Service, way: Way, turn: Duration) -> Result<Measured, Error> {
    let scheme = if way.tls { "https" } else { "http" };
    let url = format!("{scheme}://{}{TARGET}", service.address);
    let before = cpu_time(service.running.id())?;
    let Load { requests, seconds, .. } = if way.http2 {
        h2load(LOAD_CORE, HTTP2, turn, &url)?
    } else {
        wrk(LOAD_CORE, CONNECTIONS, turn, None, &url)?
    };
    let used = cpu_time(service.running.id())?.saturating_sub(before);
    Ok(Measured {
        cpu_us: used.as_secs_f64() * 1e6 / requests,
        requests_per_second: requests / seconds,
    })
}

fn add(report: &mut Report, way: &str, axum: &[Measured], chassis: &[Measured]) {
    let ratios: Vec<f64> =
        chassis.iter().zip(axum).map(|(chassis, axum)| chassis.cpu_us / axum.cpu_us).collect();
    let name = format!("{way}: CPU per request, chassis ÷ axum::serve");
    report.add(&name, median(&ratios), "ratio", Bar::AtMost(RATIO_MAX));
    for (name, rounds) in [("chassis", chassis), ("axum::serve", axum)] {
        let middle =
            |figure: fn(&Measured) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        let cpu_us = middle(|round| round.cpu_us);
        report.add(&format!("{way}: {name}: CPU"), cpu_us, "µs/request", Bar::None);
        let rate = middle(|round| round.requests_per_second);
        report.add(&format!("{way}: {name}: answers"), rate, "requests/s", Bar::None);
    }
    report.judge_spread(&format!("the ratio over {way}"), &ratios, SPREAD_MAX);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(cpu_us: &[f64]) -> Vec<Measured> {
        cpu_us.iter().map(|&cpu_us| Measured { cpu_us, requests_per_second: 1e5 }).collect()
    }

    fn code(axum: &[f64], chassis: &[f64]) -> u8 {
        let mut report = Report::new("server", "cargo xtask bench server");
        add(&mut report, "HTTP/2", &rounds(axum), &rounds(chassis));
        report.code()
    }

    #[test]
    fn rounds_are_compared_in_pairs() {
        assert_eq!(code(&[10.0, 20.0, 10.0], &[10.4, 20.9, 10.4]), 0);
        assert_eq!(code(&[10.0, 20.0, 10.0], &[10.6, 21.3, 10.6]), 1);
        assert_eq!(code(&[10.0, 20.0, 10.0, 20.0], &[15.0, 20.0, 10.0, 30.0]), 3);
        assert_eq!(code(&[f64::INFINITY; 3], &[f64::INFINITY; 3]), 3);
    }
}
