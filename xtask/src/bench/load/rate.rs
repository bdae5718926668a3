//! Asks what the generator offers from one core, beside what others do.
//!
//! wrk, oha and h2load are closed loops, whose rate is what they got. Ours is the highest rate at
//! which the open model kept up: sent in time, every answer in, latencies recorded from the
//! intended moment. That is searched for in each round, around what the first of the others has
//! just got, so that a slow second of the machine is everybody's. oha is asked a second time like
//! that: by the clock, with latencies from the intended moment, and as much as it keeps up with.
//!
//! A ratio of rates says something about generators only while they are the ones at their limit,
//! so that there are two servers: `bare`, which is hyper and what people ask, and `lean`, which
//! does less for a request than those who ask it. Who was at its limit is told by the shares of
//! the cores, and one figure depends on nobody's limit: what a request costs the generator's
//! processor, each at its highest rate.
//!
//! Most of that cost is the kernel's, for one write and one read, and the same for everybody. What
//! it leaves to be won is told beside the ratio to oha.

use std::path::Path;
use std::time::Duration;

use super::halving::highest;
use super::oha::oha;
use super::servers::Server;
use super::turn::{Take, Turn};
use crate::Error;
use crate::bench::ours::{Model, ours};
use crate::bench::{
    Bar, Connections, LOAD_CORE, Load, Report, h2load, interleave, median, spread, wrk,
};

/// What the generator must offer at the least, beside what wrk does: it looks at the clock for
/// each request, and remembers each latency.
const TO_WRK_MIN: f64 = 0.9;

const TO_OHA_MIN: f64 = 2.0;

/// Rounds that differ more than this say nothing.
const SPREAD_MAX: f64 = 0.1;

/// A closed loop keeps one of the two cores busy. Where it has less than this, as a part, somebody
/// else was on them.
const BUSIER_CORE_MIN: f64 = 0.9;

const CONNECTIONS: usize = 64;

/// As many requests at one time as with HTTP/1.1.
const HTTP2: Connections = Connections::Http2 { connections: 8, streams: 8 };

/// How long those run that need not be searched for.
const TURN: Duration = Duration::from_secs(3);

/// How long each rate is offered of a search.
const TRY: Duration = Duration::from_millis(1200);

/// Where the highest rate is looked for, as parts of what the first of all got.
const RANGE: (f64, f64) = (0.5, 1.5);

/// Brings the two ends of the range within 2 % of each other.
const HALVINGS: usize = 6;

/// Less of it in the time, and a line was building up.
const KEPT_UP: f64 = 0.98;

/// Later than this with half of the answers, and it was not in time. Not with a few: what a neighbour
/// on the machine takes from a core that is full, a clock sees in its slowest answers for long after,
/// and a closed loop, which waits, in none.
const LATENCY_P50_MS_MAX: f64 = 10.0;

/// Some who take turns against one server; the first is the one around whose rate the others are
/// looked for, and the last is ours.
struct Contest<'c> {
    /// What the figures begin with.
    name: &'static str,
    server: Server,
    contestants: Vec<Contestant<'c>>,
}

struct Contestant<'c> {
    name: &'static str,
    /// The least ratios of ours to it: of rates, and of requests per second of processor time.
    rate_min: Option<f64>,
    thrift_min: Option<f64>,
    offer: Offer<'c>,
}

/// A turn against a server, at the highest rate, which lies around the one that is given.
type Offer<'c> = Box<dyn Fn(&Server, f64) -> Result<Turn, Error> + 'c>;

pub(super) fn ask(path_of_oha: &Path, quick: bool, report: &mut Report) -> Result<(), Error> {
    let rounds = if quick { 1 } else { 5 };
    for (name, example, thrift_min) in
        [("against lean", "lean", Some(TO_WRK_MIN)), ("against hyper", "bare", None)]
    {
        let contestants = vec![
            Contestant::new("wrk", closed(|url| wrk(LOAD_CORE, CONNECTIONS, TURN, None, url)))
                .bars(Some(TO_WRK_MIN), thrift_min),
            Contestant::new("oha", closed(|url| Ok(by_oha(path_of_oha, None, TURN, url)?.0)))
                .bars(Some(TO_OHA_MIN), None),
            Contestant::new(
                "oha by the clock",
                open(|rate, url| by_oha(path_of_oha, Some(rate), TRY, url)),
            ),
            Contestant::new(
                "ours",
                open(|rate, url| by_us(rate, Connections::Http1(CONNECTIONS), url)),
            ),
        ];
        let server = Server::start(example, &["127.0.0.1:0"])?;
        Contest { name, server, contestants }.hold(rounds, report)?;
    }
    let contestants = vec![
        Contestant::new("h2load", closed(|url| h2load(LOAD_CORE, HTTP2, TURN, url))),
        Contestant::new("ours", open(|rate, url| by_us(rate, HTTP2, url))),
    ];
    let server = Server::start("bare", &["127.0.0.1:0"])?;
    Contest { name: "HTTP/2 against hyper", server, contestants }.hold(rounds, report)
}

fn by_oha(
    path: &Path,
    rate: Option<f64>,
    duration: Duration,
    url: &str,
) -> Result<(Load, bool), Error> {
    let said = oha(path, rate, CONNECTIONS, duration, url)?;
    Ok((said.load, said.latency_p50_ms <= LATENCY_P50_MS_MAX))
}

fn by_us(rate: f64, connections: Connections, url: &str) -> Result<(Load, bool), Error> {
    let said = ours(&[LOAD_CORE], Model::Open(rate), connections, TRY, url)?;
    Ok((said.load, said.valid && said.latency_p50_ms <= LATENCY_P50_MS_MAX))
}

/// A closed loop, which finds its rate by itself.
fn closed<'c>(offer: impl Fn(&str) -> Result<Load, Error> + 'c) -> Offer<'c> {
    Box::new(move |server, _| Ok(Turn::of(server, |load| *load, || offer(&server.url))?.0))
}

/// An open one, at the highest rate at which it is in time and no line builds up.
fn open<'c>(offer: impl Fn(f64, &str) -> Result<(Load, bool), Error> + 'c) -> Offer<'c> {
    Box::new(move |server, around| {
        let best = highest((around * RANGE.0, around * RANGE.1), HALVINGS, |rate| {
            let offer = || offer(rate, &server.url);
            let (turn, (_, in_time)) = Turn::of(server, |(load, _)| *load, offer)?;
            Ok((in_time && turn.rate() >= KEPT_UP * rate).then_some(turn))
        })?;
        Ok(best.unwrap_or(Turn::NOTHING))
    })
}

impl<'c> Contestant<'c> {
    fn new(name: &'static str, offer: Offer<'c>) -> Contestant<'c> {
        Contestant { name, rate_min: None, thrift_min: None, offer }
    }

    fn bars(self, rate_min: Option<f64>, thrift_min: Option<f64>) -> Contestant<'c> {
        Contestant { rate_min, thrift_min, ..self }
    }
}

impl Contest<'_> {
    fn hold(&self, rounds: usize, report: &mut Report) -> Result<(), Error> {
        let mut around = f64::NAN;
        let turns = interleave(self.contestants.len(), rounds + 1, |turn_of| {
            let contestant = &self.contestants[turn_of];
            let turn = (contestant.offer)(&self.server, around)?;
            if turn_of == 0 {
                around = turn.rate();
            }
            eprintln!("{}, {:>16}: {}", self.name, contestant.name, turn.shown());
            Ok(turn)
        })?;
        // The first round fills caches.
        let turns: Vec<&[Turn]> = turns.iter().map(|turns| &turns[1..]).collect();
        self.doubt(turns[0], report);
        self.compare(&turns, report);
        self.tell(&turns, report);
        Ok(())
    }

    /// Whether the turns of the first, which is a closed loop, had the cores for themselves.
    fn doubt(&self, turns: &[Turn], report: &mut Report) {
        let busier = |turn: &Turn| turn.generator_share().max(turn.server_share());
        let busier = median(&turns.iter().map(busier).collect::<Vec<_>>());
        if busier < BUSIER_CORE_MIN {
            report.too_noisy(&format!(
                "{}: {} and the server got {:.0} % of their cores at the most: let nothing else run",
                self.name,
                self.contestants[0].name,
                busier * 100.0
            ));
        }
    }

    fn compare(&self, turns: &[&[Turn]], report: &mut Report) {
        let Some((ours, others)) = turns.split_last() else { return };
        let bar = |min: Option<f64>| min.map_or(Bar::None, Bar::AtLeast);
        for (other, turns) in self.contestants.iter().zip(others) {
            let ratios = |of_ours: Take, of_other: Take| -> Vec<f64> {
                let pairs = ours.iter().zip(*turns);
                pairs.map(|(ours, other)| of_ours(ours) / of_other(other)).collect()
            };
            let mut add = |what: &str, value: f64, bar: Bar| {
                report.add(&format!("{}: {what}{}", self.name, other.name), value, "ratio", bar);
            };
            let rates = ratios(Turn::rate, Turn::rate);
            add("requests/s, ours ÷ ", median(&rates), bar(other.rate_min));
            let costs = ratios(Turn::generator_us, Turn::generator_us);
            add("requests/s of CPU, ours ÷ ", 1.0 / median(&costs), bar(other.thrift_min));
            // Where more is asked than wrk gets, it is told what could be got at all.
            if other.rate_min.is_some_and(|min| min > 1.0) {
                let kernel = ratios(Turn::kernel_us, Turn::generator_us);
                let most = 1.0 / median(&kernel);
                add("if ours cost nothing but the kernel, ÷ ", most, Bar::None);
            }
            let spread = spread(&rates);
            if other.rate_min.is_some() && (spread.is_nan() || spread > SPREAD_MAX) {
                report.too_noisy(&format!(
                    "{}: the middle half of the rounds differs by {:.0} % in ours ÷ {}, and {:.0} \
                     % are the most that says anything: let nothing else run",
                    self.name,
                    spread * 100.0,
                    other.name,
                    SPREAD_MAX * 100.0
                ));
            }
        }
    }

    fn tell(&self, turns: &[&[Turn]], report: &mut Report) {
        let figures: [(&str, &str, Take); 5] = [
            ("offered", "requests/s", Turn::rate),
            ("CPU", "µs/request", Turn::generator_us),
            ("CPU, in the kernel", "µs/request", Turn::kernel_us),
            ("of the generator's core", "part", Turn::generator_share),
            ("of the server's core", "part", Turn::server_share),
        ];
        for (contestant, turns) in self.contestants.iter().zip(turns) {
            for (what, unit, take) in figures {
                let value = median(&turns.iter().map(take).collect::<Vec<_>>());
                let name = format!("{}: {}, {what}", self.name, contestant.name);
                report.add(&name, value, unit, Bar::None);
            }
        }
    }
}
