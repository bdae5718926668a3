//! `cargo xtask bench instructions`: how many instructions a read by primary key takes on the
//! shared lane, and a row of a load of a thousand, against tokio-postgres alone.
//!
//! A count hardly depends on what else the machine does, so it can be a test: `cargo xtask test`
//! fails when the lane has become dearer than what is recorded in [`BASELINE`]. valgrind counts
//! what happens outside of the kernel; clocks and timers are in it.

use std::path::PathBuf;

use clap::Parser;
use serde_json::{Map, Value, json};

use super::release::{PrivatePostgres, build_only, program};
use super::{Bar, Report, interleave, median};
use crate::shell::{command, read, root};
use crate::{Error, Outcome};

/// What everything took when it was last recorded.
const BASELINE: &str = "bench/baselines/instructions.json";

/// How much above the recorded ratio is still the same: counts of one program differ by up to a
/// hundredth, because Postgres' answers arrive in other portions.
const TOLERANCE: f64 = 0.03;

const ROUNDS: usize = 3;

/// Something that is counted, done by an example of tenfold-db in two ways.
struct Subject {
    name: &'static str,
    example: &'static str,
    /// How often the example does it, in two runs. The difference is nothing but that: starting
    /// and ending cancel out.
    times: [u32; 2],
    /// How many there are in one time.
    each: u32,
    /// Where the ratio must stay, whatever is recorded.
    ratio_max: f64,
}

const SUBJECTS: [Subject; 2] = [
    Subject {
        name: "read",
        example: "primary_key_reads",
        times: [2048, 6144],
        each: 1,
        ratio_max: 1.25,
    },
    Subject {
        name: "row",
        example: "thousand_row_loads",
        times: [8, 24],
        each: 1000,
        ratio_max: 1.3,
    },
];

/// Counts the instructions of a read by primary key, and of a row of a load.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench instructions")]
struct Arguments {
    /// Make what is counted now the recorded baseline
    #[arg(long)]
    record: bool,
}

pub(super) fn run(arguments: &[String]) -> Outcome {
    let name = "cargo xtask bench instructions".to_owned();
    let arguments = Arguments::parse_from(std::iter::once(&name).chain(arguments));
    let counted = count()?;
    if arguments.record {
        record(&counted)?;
        println!("recorded in {BASELINE}");
    }
    report(&counted, &recorded()?).finish()
}

/// The same as a test: prints, writes nothing; whether all is well.
pub(crate) fn test() -> Result<bool, Error> {
    Ok(report(&count()?, &recorded()?).print() == 0)
}

/// Instructions per read or row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    raw: f64,
    lane: f64,
}

/// What was counted of each subject, in their order.
type Counts = [Counted; SUBJECTS.len()];

impl Counted {
    fn ratio(self) -> f64 {
        self.lane / self.raw
    }
}

fn recorded() -> Result<Counts, Error> {
    let text = std::fs::read_to_string(baseline())
        .map_err(|error| format!("{BASELINE} cannot be read: {error}"))?;
    let value: Value = serde_json::from_str(&text)?;
    let mut counts = [Counted { raw: 0.0, lane: 0.0 }; SUBJECTS.len()];
    for (Subject { name, .. }, counted) in SUBJECTS.iter().zip(&mut counts) {
        let figure = |way: &str| {
            let number = value[*name][way].as_f64();
            number.ok_or_else(|| format!("{BASELINE} has no number {name:?}, {way:?}"))
        };
        *counted = Counted { raw: figure("raw")?, lane: figure("lane")? };
    }
    Ok(counts)
}

fn record(counts: &Counts) -> Result<(), Error> {
    let what = "instructions per read by primary key, and per row of a load of 1,000; \
                cargo xtask bench instructions --record";
    let mut value = Map::from_iter([("what".to_owned(), json!(what))]);
    for (subject, counted) in SUBJECTS.iter().zip(counts) {
        let Counted { raw, lane } = counted;
        let ratio = (counted.ratio() * 1e3).round() / 1e3;
        let figures = json!({ "raw": raw.round(), "lane": lane.round(), "ratio": ratio });
        value.insert(subject.name.to_owned(), figures);
    }
    Ok(std::fs::write(baseline(), format!("{:#}\n", Value::Object(value)))?)
}

fn baseline() -> PathBuf {
    root().join(BASELINE)
}

fn report(counts: &Counts, recorded: &Counts) -> Report {
    let mut report = Report::new("instructions", "cargo xtask bench instructions");
    for ((subject, counted), recorded) in SUBJECTS.iter().zip(counts).zip(recorded) {
        let Subject { name, ratio_max, .. } = subject;
        let unit = format!("instructions/{name}");
        let of_the_record = counted.ratio() / recorded.ratio();
        let mut add = |figure: &str, value, unit: &str, bar| {
            report.add(&format!("{name}: {figure}"), value, unit, bar);
        };
        add("raw, tokio-postgres alone", counted.raw, &unit, Bar::None);
        add("lane, tenfold-db's shared lane", counted.lane, &unit, Bar::None);
        add("lane ÷ raw", counted.ratio(), "ratio", Bar::AtMost(*ratio_max));
        add("that ÷ the recorded one", of_the_record, "ratio", Bar::AtMost(1.0 + TOLERANCE));
        if of_the_record > 1.0 + TOLERANCE {
            report.note(&format!(
                "a {name} on the shared lane has become dearer: {:.3} × tokio-postgres alone, and \
                 {:.3} is recorded. Find out why with callgrind_annotate; if it is worth it, \
                 record it with `cargo xtask bench instructions --record` and say so in the commit",
                counted.ratio(),
                recorded.ratio(),
            ));
        } else if of_the_record < 1.0 - TOLERANCE {
            report.note(&format!(
                "a {name} on the shared lane has become cheaper: keep it so with `cargo xtask \
                 bench instructions --record`",
            ));
        }
    }
    report
}

fn count() -> Result<Counts, Error> {
    let examples = SUBJECTS.iter().flat_map(|subject| ["--example", subject.example]);
    build_only(&["-p", "tenfold-db"].into_iter().chain(examples).collect::<Vec<_>>())?;
    let postgres = PrivatePostgres::start_on(0)?;
    let mut counts = [Counted { raw: 0.0, lane: 0.0 }; SUBJECTS.len()];
    for (subject, counted) in SUBJECTS.iter().zip(&mut counts) {
        let program = program(&format!("examples/{}", subject.example))?;
        let ways = ["raw", "lane"];
        let rounds = interleave(ways.len(), ROUNDS, |turn_of| {
            let [few, many] = subject
                .times
                .map(|times| instructions(&program, &postgres.url, ways[turn_of], times));
            let [fewer, more] = subject.times;
            Ok((many? - few?) / f64::from((more - fewer) * subject.each))
        })?;
        *counted = Counted { raw: median(&rounds[0]), lane: median(&rounds[1]) };
    }
    Ok(counts)
}

/// All instructions of one run.
fn instructions(program: &str, url: &str, way: &str, times: u32) -> Result<f64, Error> {
    let mut valgrind =
        command("valgrind", &["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"]);
    valgrind.args([program, url, way, &times.to_string()]);
    let said = read(valgrind)?;
    parse(&said).ok_or_else(|| format!("valgrind counted nothing:\n{said}").into())
}

/// `==1234== Collected : 56728812`
fn parse(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: Counts =
        [Counted { raw: 9_000.0, lane: 10_800.0 }, Counted { raw: 700.0, lane: 770.0 }];

    fn report_of(reads: f64, rows: f64) -> Report {
        let [read, row] = RECORDED;
        report(&[Counted { lane: reads, ..read }, Counted { lane: rows, ..row }], &RECORDED)
    }

    fn code(reads: f64, rows: f64) -> u8 {
        report_of(reads, rows).code()
    }

    #[test]
    fn a_little_more_is_the_same_and_much_more_is_not() {
        assert_eq!(code(10_800.0, 770.0), 0);
        assert_eq!(code(11_100.0, 790.0), 0, "3 % are tolerated");
        assert_eq!(code(11_200.0, 770.0), 1);
        assert_eq!(code(10_800.0, 800.0), 1);
        assert_eq!(code(9_000.0, 700.0), 0, "cheaper is fine");
    }

    #[test]
    fn the_bars_hold_whatever_is_recorded() {
        let lax = RECORDED.map(|counted| Counted { lane: counted.raw * 2.0, ..counted });
        let code = |ratios: [f64; 2]| {
            let [read, row] = RECORDED;
            let lane = |counted: Counted, ratio| Counted { lane: counted.raw * ratio, ..counted };
            report(&[lane(read, ratios[0]), lane(row, ratios[1])], &lax).code()
        };
        assert_eq!(code([1.249, 1.299]), 0);
        assert_eq!(code([1.251, 1.2]), 1);
        assert_eq!(code([1.2, 1.301]), 1);
    }

    #[test]
    fn says_how_to_record() {
        let shown = report_of(12_000.0, 770.0).shown();
        assert!(shown.contains("1.333 × tokio-postgres alone, and 1.200 is recorded"), "{shown}");
        assert!(shown.contains("a read on the shared lane has become dearer"), "{shown}");
        assert!(!shown.contains("a row on the shared lane"), "{shown}");
        assert!(shown.contains("bench instructions --record"), "{shown}");
    }

    #[test]
    fn reads_what_valgrind_says() {
        let said = "5120\n==77== \n==77== Events    : Ir\n==77== Collected : 56728812\n==77== \n";
        assert_eq!(parse(said), Some(56_728_812.0));
        assert_eq!(parse("valgrind: no such file"), None);
    }

    #[test]
    fn the_record_is_there_and_holds_the_bars() {
        for (counted, subject) in recorded().unwrap().iter().zip(SUBJECTS) {
            assert!(counted.ratio() <= subject.ratio_max, "{}", subject.name);
        }
    }
}
