//! `cargo xtask bench instructions`: how many instructions a read by primary key takes on the
//! shared lane, against tokio-postgres alone with the same pipelining.
//!
//! A count hardly depends on what else the machine does, so it can be a test: `cargo xtask test`
//! fails when the lane has become dearer than what is recorded in [`BASELINE`]. valgrind counts
//! what happens outside of the kernel; clocks and timers are in it.

use std::path::PathBuf;

use clap::Parser;
use serde_json::{Value, json};

use super::release::{PrivatePostgres, build, program};
use super::{Bar, Report, interleave, median};
use crate::shell::{command, read, root};
use crate::{Error, Outcome};

/// What a read took when it was last recorded.
const BASELINE: &str = "bench/baselines/instructions.json";

/// Where the ratio must stay, whatever is recorded.
const RATIO_MAX: f64 = 1.25;

/// How much above the recorded ratio is still the same: counts of one program differ by up to a
/// hundredth, because Postgres' answers arrive in other portions.
const TOLERANCE: f64 = 0.03;

/// Two lengths of a run. The difference is nothing but reads: starting and ending cancel out.
const READS: [u32; 2] = [2048, 6144];

const ROUNDS: usize = 3;

/// Counts the instructions of a read by primary key.
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
        counted.record()?;
        println!("recorded in {BASELINE}");
    }
    report(counted, Counted::recorded()?).finish()
}

/// The same as a test: prints, writes nothing; whether all is well.
pub(crate) fn test() -> Result<bool, Error> {
    Ok(report(count()?, Counted::recorded()?).print() == 0)
}

/// Instructions per read.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    raw: f64,
    lane: f64,
}

impl Counted {
    fn ratio(self) -> f64 {
        self.lane / self.raw
    }

    fn recorded() -> Result<Counted, Error> {
        let text = std::fs::read_to_string(baseline())
            .map_err(|error| format!("{BASELINE} cannot be read: {error}"))?;
        let value: Value = serde_json::from_str(&text)?;
        let figure = |name: &str| {
            value[name].as_f64().ok_or_else(|| format!("{BASELINE} has no number {name:?}"))
        };
        Ok(Counted { raw: figure("raw")?, lane: figure("lane")? })
    }

    fn record(self) -> Result<(), Error> {
        let Counted { raw, lane } = self;
        let what = "instructions per read by primary key; cargo xtask bench instructions --record";
        let ratio = (self.ratio() * 1e3).round() / 1e3;
        let text = json!({
            "what": what, "raw": raw.round(), "lane": lane.round(), "ratio": ratio,
        });
        Ok(std::fs::write(baseline(), format!("{text:#}\n"))?)
    }
}

fn baseline() -> PathBuf {
    root().join(BASELINE)
}

fn report(counted: Counted, recorded: Counted) -> Report {
    let mut report = Report::new("instructions", "cargo xtask bench instructions");
    let of_the_record = counted.ratio() / recorded.ratio();
    report.add("raw: tokio-postgres alone", counted.raw, "instructions/read", Bar::None);
    report.add("lane: tenfold-db's shared lane", counted.lane, "instructions/read", Bar::None);
    report.add("lane ÷ raw", counted.ratio(), "ratio", Bar::AtMost(RATIO_MAX));
    report.add("that ÷ the recorded one", of_the_record, "ratio", Bar::AtMost(1.0 + TOLERANCE));
    if of_the_record > 1.0 + TOLERANCE {
        report.note(&format!(
            "the shared lane has become dearer: {:.3} × tokio-postgres alone, and {:.3} is \
             recorded. Find out why with callgrind_annotate; if it is worth it, record it with \
             `cargo xtask bench instructions --record` and say so in the commit",
            counted.ratio(),
            recorded.ratio(),
        ));
    } else if of_the_record < 1.0 - TOLERANCE {
        report.note(
            "the shared lane has become cheaper: keep it so with `cargo xtask bench instructions \
             --record`",
        );
    }
    report
}

fn count() -> Result<Counted, Error> {
    build(&["-p", "tenfold-db", "--example", "primary_key_reads"])?;
    let program = program("examples/primary_key_reads")?;
    let postgres = PrivatePostgres::start_on(0)?;
    let ways = ["raw", "lane"];
    let counts = interleave(ways.len(), ROUNDS, |turn_of| {
        let way = ways[turn_of];
        let [few, many] = READS.map(|reads| instructions(&program, &postgres.url, way, reads));
        Ok((many? - few?) / f64::from(READS[1] - READS[0]))
    })?;
    Ok(Counted { raw: median(&counts[0]), lane: median(&counts[1]) })
}

/// All instructions of one run.
fn instructions(program: &str, url: &str, way: &str, reads: u32) -> Result<f64, Error> {
    let mut valgrind =
        command("valgrind", &["--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1"]);
    valgrind.args([program, url, way, &reads.to_string()]);
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

    const RECORDED: Counted = Counted { raw: 9_000.0, lane: 10_800.0 };

    fn code(lane: f64) -> u8 {
        report(Counted { lane, ..RECORDED }, RECORDED).code()
    }

    #[test]
    fn a_little_more_is_the_same_and_much_more_is_not() {
        assert_eq!(code(10_800.0), 0);
        assert_eq!(code(11_100.0), 0, "3 % are tolerated");
        assert_eq!(code(11_200.0), 1);
        assert_eq!(code(9_000.0), 0, "cheaper is fine");
    }

    #[test]
    fn the_bar_holds_whatever_is_recorded() {
        let lax = Counted { raw: 9_000.0, lane: 18_000.0 };
        assert_eq!(report(Counted { raw: 9_000.0, lane: 11_250.0 }, lax).code(), 0);
        assert_eq!(report(Counted { raw: 9_000.0, lane: 11_260.0 }, lax).code(), 1);
    }

    #[test]
    fn says_how_to_record() {
        let shown = report(Counted { lane: 12_000.0, ..RECORDED }, RECORDED).shown();
        assert!(shown.contains("1.333 × tokio-postgres alone, and 1.200 is recorded"), "{shown}");
        assert!(shown.contains("bench instructions --record"), "{shown}");
    }

    #[test]
    fn reads_what_valgrind_says() {
        let said = "5120\n==77== \n==77== Events    : Ir\n==77== Collected : 56728812\n==77== \n";
        assert_eq!(parse(said), Some(56_728_812.0));
        assert_eq!(parse("valgrind: no such file"), None);
    }

    #[test]
    fn the_record_is_there_and_holds_the_bar() {
        assert!(Counted::recorded().unwrap().ratio() <= RATIO_MAX);
    }
}
