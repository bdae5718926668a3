//! Searches the same limit ten times, and tells how far the results lie apart: what a figure that
//! was measured once is worth on this machine. Each probe is told on the standard error. Instead
//! of an address it takes a scenario file.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example limit -- http://127.0.0.1:8080/ 10
//! ```

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use tenfold_loadgen::{Found, LimitEvent, LimitOptions, Scenario, Verdict, find};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().ok_or("an address is needed: limit URL|SCENARIO [SEARCHES]")?;
    let searches: usize = arguments.next().map_or(Ok(10), |number| number.parse())?;
    let scenario = match what.ends_with(".toml") {
        true => Scenario::load(Path::new(&what))?,
        false => Scenario::get(&what)?,
    };

    let mut limits = Vec::new();
    println!("search  limit/s  interval             probes  invalid  seconds  found");
    for search in 1..=searches {
        let options = LimitOptions::default();
        let report = find(&scenario, &options, &mut |event| {
            if let LimitEvent::Probed(probe) = event {
                eprintln!("{:>10.1}/s  {:?}: {}", probe.rate, probe.verdict, probe.why);
            }
            ControlFlow::Continue(())
        })?;
        let (from, until) = report.interval;
        let until = until.map_or("?".to_owned(), |until| format!("{until:.1}"));
        let invalid = report.probes.iter().filter(|probe| probe.verdict == Verdict::Invalid);
        println!(
            "{search:>6}  {:>7.1}  {:<19}  {:>6}  {:>7}  {:>7.1}  {}",
            report.limit_per_second,
            format!("{from:.1} – {until}"),
            report.probes.len(),
            invalid.count(),
            report.elapsed.as_secs_f64(),
            match report.found {
                Found::Limit { .. } => "limit",
                Found::NoLimit { .. } => "no limit",
                Found::NothingHeld => "nothing held",
                Found::GeneratorFirst { .. } => "generator first",
                Found::Unfinished { .. } => "unfinished",
            }
        );
        limits.push(report.limit_per_second);
    }
    limits.sort_by(f64::total_cmp);
    let (Some(least), Some(most)) = (limits.first(), limits.last()) else { return Ok(()) };
    let median = limits[limits.len() / 2];
    let spread = (most - least) / median * 100.0;
    println!("median {median:.1}/s, from {least:.1} to {most:.1}: {spread:.1} % apart");
    Ok(())
}
