//! Asks whether the generator says the same as others about a server under light load.
//!
//! The server takes five milliseconds for each answer, however many are asked for. Of a closed
//! model with as many clients, wrk and h2load must say what ours says; and of an open one that
//! asks half as often, the latency must be the same, because nobody stands in anybody's way.

use std::time::Duration;

use super::servers::Server;
use crate::Error;
use crate::bench::ours::{Model, ours};
use crate::bench::{Bar, Connections, LOAD_CORE, Load, Report, h2load, interleave, median, wrk};

/// How far two generators may be from each other.
const APART_MAX: f64 = 0.03;

const SERVICE_MS: &str = "5";

const CLIENTS: usize = 16;

/// Half of what the clients get who ask again at once.
const OPEN_RATE: f64 = 1600.0;

const HTTP1: Connections = Connections::Http1(CLIENTS);

const HTTP2: Connections = Connections::Http2 { connections: 4, streams: 4 };

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    Wrk,
    H2loadHttp1,
    H2loadHttp2,
    Ours,
    OursHttp2,
    OursOpen,
}

use Contestant::{H2loadHttp1, H2loadHttp2, Ours, OursHttp2, OursOpen, Wrk};

/// In the order of their turns: who is compared runs as near to the other as may be.
const CONTESTANTS: [Contestant; 6] = [Wrk, Ours, H2loadHttp1, OursOpen, H2loadHttp2, OursHttp2];

pub(super) fn ask(quick: bool, report: &mut Report) -> Result<(), Error> {
    let server = Server::start("bare", &["127.0.0.1:0", SERVICE_MS])?;
    let (rounds, turn) = if quick { (1, 2) } else { (5, 3) };
    let loads = interleave(CONTESTANTS.len(), rounds, |turn_of| {
        let contestant = CONTESTANTS[turn_of];
        let load = contestant.offer(Duration::from_secs(turn), &server.url)?;
        let rate = rate(&load);
        eprintln!("{contestant:?}: {rate:.0} requests/s, {:.3} ms", load.latency_mean_ms);
        Ok(load)
    })?;
    tell(&loads, report);
    Ok(())
}

impl Contestant {
    fn offer(self, turn: Duration, url: &str) -> Result<Load, Error> {
        let by_us =
            |model, connections| Ok(ours(&[LOAD_CORE], model, connections, turn, url)?.load);
        match self {
            Wrk => wrk(LOAD_CORE, CLIENTS, turn, None, url),
            H2loadHttp1 => h2load(LOAD_CORE, HTTP1, turn, url),
            H2loadHttp2 => h2load(LOAD_CORE, HTTP2, turn, url),
            Ours => by_us(Model::Closed(CLIENTS), HTTP1),
            OursHttp2 => by_us(Model::Closed(CLIENTS), HTTP2),
            OursOpen => by_us(Model::Open(OPEN_RATE), HTTP1),
        }
    }
}

fn rate(load: &Load) -> f64 {
    load.requests / load.seconds
}

fn latency(load: &Load) -> f64 {
    load.latency_mean_ms
}

/// Rounds of each contestant, in their order.
fn tell(loads: &[Vec<Load>], report: &mut Report) {
    let of = |contestant| {
        let place = CONTESTANTS.iter().position(|one| *one == contestant);
        place.map_or(&[][..], |place| loads[place].as_slice())
    };
    let mut compare = |name: &str, one, other, take: fn(&Load) -> f64| {
        let pairs = of(one).iter().zip(of(other));
        let ratios: Vec<f64> = pairs.map(|(one, other)| take(one) / take(other)).collect();
        let apart = (median(&ratios) - 1.0).abs();
        report.add(&format!("cross-check: {name}"), apart, "part", Bar::AtMost(APART_MAX));
    };
    compare("throughput, ours ÷ wrk − 1", Ours, Wrk, rate);
    compare("mean latency, ours ÷ wrk − 1", Ours, Wrk, latency);
    compare("mean latency, ours open ÷ wrk − 1", OursOpen, Wrk, latency);
    compare("throughput, ours ÷ h2load − 1, HTTP/1.1", Ours, H2loadHttp1, rate);
    compare("mean latency, ours ÷ h2load − 1, HTTP/1.1", Ours, H2loadHttp1, latency);
    compare("throughput, ours ÷ h2load − 1, HTTP/2", OursHttp2, H2loadHttp2, rate);
    compare("mean latency, ours ÷ h2load − 1, HTTP/2", OursHttp2, H2loadHttp2, latency);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_of_a_hundred_are_the_most() {
        let all = |ours_ms: f64| -> u8 {
            let loads = CONTESTANTS.map(|contestant| {
                let ms = if contestant == Ours { ours_ms } else { 5.0 };
                let requests = CLIENTS as f64 * 1e3 / ms;
                vec![Load { requests, seconds: 1.0, latency_mean_ms: ms }; 3]
            });
            let mut report = Report::new("load", "cargo xtask bench load");
            tell(&loads, &mut report);
            report.code()
        };
        assert_eq!([5.0, 5.1, 4.9, 5.2, 4.8].map(all), [0, 0, 0, 1, 1]);
    }
}
