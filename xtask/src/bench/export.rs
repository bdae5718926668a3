//! `cargo xtask bench export`: a million rows in one answer. What a row costs, against a service
//! that has nothing between hyper and Postgres; what memory readers of every speed take; and what
//! others notice of them.
//!
//! Service and Postgres have one core, everything else the other one. The store runs as it comes.

mod latency;
mod readers;

use std::time::Duration;

use clap::Parser;

use super::floor::{Service, fill_with, floor, store};
use super::pin::{LOAD_CORE, SERVICE_CORE};
use super::release::{PrivatePostgres, build};
use super::{Bar, Report, cpu_time, interleave, median, pin};
use crate::{Error, Outcome};
use latency::Latencies;
use readers::{Memory, Readers, read_whole};

/// Where the store must stay in rows per second of the processor.
const RATIO_MIN: f64 = 0.8;

/// What any number of readers may take.
const MEMORY_MIB_MAX: f64 = 32.0;

/// A second for a first answer would be noticed; so would a tenth.
const FIRST_ANSWER_MS_MAX: f64 = 100.0;

/// By how much single reads may take longer beside slow readers.
const LATENCY_RATIO_MAX: f64 = 1.5;

/// Rounds that differ more than this say nothing.
const SPREAD_MAX: f64 = 0.1;

const PATH: &str = "/export.json";

const SLOW_READERS: usize = 50;

/// What each of many takes in a second.
const SLOW_BYTES: usize = 50_000;

/// What the one that is read at a steady pace takes in a second.
const STEADY_BYTES: usize = 1_000_000;

/// Measures exports of the whole catalog.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench export")]
struct Arguments {
    /// Rounds that count; one before them warms up
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,
    /// Rows of an export
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u32,
    /// How long slow readers read
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    seconds: u64,
}

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench export".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    build()?;
    // The readers are threads of this program.
    pin(std::process::id(), &[LOAD_CORE])?;
    let postgres = PrivatePostgres::start_on(SERVICE_CORE)?;
    fill_with(&postgres, &arguments.rows.to_string())?;
    // The memory comes first, since it is that of a service that has just begun.
    let services = [floor(&postgres)?, store(&postgres)?];
    let readers = measure_readers(&services[1], Duration::from_secs(arguments.seconds))?;
    let rounds = interleave(services.len(), arguments.rounds + 1, |turn_of| {
        let rows = rows_per_cpu_second(&services[turn_of], arguments.rows)?;
        eprintln!("{:>5}: {rows:.0} rows per second of the processor", services[turn_of].name);
        Ok(rows)
    })?;
    report(&rounds[0][1..], &rounds[1][1..], &readers).finish()
}

fn rows_per_cpu_second(service: &Service, rows: u32) -> Result<f64, Error> {
    let before = cpu_time(service.running.id())?;
    let got = read_whole(service.address, PATH)?.rows;
    let used = cpu_time(service.running.id())?.saturating_sub(before);
    if got != u64::from(rows) {
        return Err(format!("{} gave {got} rows of {rows}", service.name).into());
    }
    Ok(f64::from(rows) / used.as_secs_f64())
}

/// What readers of every speed do to the store.
#[derive(Debug)]
struct Measured {
    /// By how much its memory grew at the most, in MiB.
    fast_mib: f64,
    steady_mib: f64,
    slow_mib: f64,
    alone: Latencies,
    beside: Latencies,
    /// How long the first answer took after all slow readers had hung up.
    first_answer_ms: f64,
}

fn measure_readers(store: &Service, duration: Duration) -> Result<Measured, Error> {
    let address = store.address;
    let alone = Latencies::of(address, duration / 3)?;
    let memory = Memory::of(store.running.id())?;
    read_whole(address, PATH)?;
    let fast_mib = memory.grown_mib()?;
    eprintln!("memory of a fast reader: {fast_mib:.1} MiB");

    let memory = Memory::of(store.running.id())?;
    let steady = Readers::start(address, PATH, 1, STEADY_BYTES)?;
    std::thread::sleep(duration);
    steady.stop()?;
    let steady_mib = memory.grown_mib()?;
    eprintln!("memory of a reader of 1 MB/s: {steady_mib:.1} MiB");

    let memory = Memory::of(store.running.id())?;
    let slow = Readers::start(address, PATH, SLOW_READERS, SLOW_BYTES)?;
    // Until what lies between is full: the kernel's buffers and the service's own.
    std::thread::sleep(duration / 3);
    let beside = Latencies::of(address, duration)?;
    slow.stop()?;
    let first_answer_ms = Latencies::first(address)?;
    let slow_mib = memory.grown_mib()?;
    eprintln!("memory of {SLOW_READERS} slow readers: {slow_mib:.1} MiB");
    Ok(Measured { fast_mib, steady_mib, slow_mib, alone, beside, first_answer_ms })
}

fn report(floor: &[f64], store: &[f64], readers: &Measured) -> Report {
    let ratios: Vec<f64> = store.iter().zip(floor).map(|(store, floor)| store / floor).collect();
    let mut report = Report::new("export", "cargo xtask bench export");
    let name = "rows per second of the service's processor, store ÷ floor";
    report.add(name, median(&ratios), "ratio", Bar::AtLeast(RATIO_MIN));
    for (name, rounds) in [("store", store), ("floor", floor)] {
        let name = format!("{name}: rows per second of the service's processor");
        report.add(&name, median(rounds), "rows/s", Bar::None);
    }
    let memory = [
        ("one fast reader", readers.fast_mib),
        ("one reader of 1 MB/s", readers.steady_mib),
        ("50 slow readers", readers.slow_mib),
    ];
    for (who, grown) in memory {
        let name = format!("resident memory grows with {who} by");
        report.add(&name, grown, "MiB", Bar::AtMost(MEMORY_MIB_MAX));
    }
    let Measured { alone, beside, first_answer_ms, .. } = readers;
    let name = "single reads beside 50 slow readers ÷ alone: median";
    report.add(name, beside.p50_ms / alone.p50_ms, "ratio", Bar::AtMost(LATENCY_RATIO_MAX));
    for (name, latencies) in [("alone", alone), ("beside 50 slow readers", beside)] {
        report.add(&format!("single reads {name}: median"), latencies.p50_ms, "ms", Bar::None);
        report.add(&format!("single reads {name}: p99"), latencies.p99_ms, "ms", Bar::None);
    }
    let name = "first answer after 50 slow readers hung up";
    report.add(name, *first_answer_ms, "ms", Bar::AtMost(FIRST_ANSWER_MS_MAX));
    report.judge_spread("the ratio", &ratios, SPREAD_MAX);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(slow_mib: f64) -> Measured {
        let alone = Latencies { p50_ms: 0.1, p99_ms: 0.3 };
        let beside = Latencies { p50_ms: 0.12, p99_ms: 0.5 };
        Measured { fast_mib: 1.0, steady_mib: 1.0, slow_mib, alone, beside, first_answer_ms: 1.0 }
    }

    #[test]
    fn each_figure_has_its_bar() {
        let (floor, store) = ([1e6, 5e5, 1e6], [9e5, 4.5e5, 9e5]);
        assert_eq!(report(&floor, &store, &measured(20.0)).code(), 0);
        assert_eq!(report(&floor, &store, &measured(33.0)).code(), 1);
        assert_eq!(report(&floor, &[7e5, 3.5e5, 7e5], &measured(20.0)).code(), 1);
        assert_eq!(report(&floor, &[9e5; 3], &measured(20.0)).code(), 3);
    }
}
