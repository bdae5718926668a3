//! One run, told as one JSON object: what a script reads that compares generators. With STREAMS
//! it speaks HTTP/2, with so many requests at once on each connection. Instead of an address it
//! takes a scenario file.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example figures -- open RATE SECONDS URL CONNECTIONS [STREAMS]
//! $ cargo run --release -p tenfold-loadgen --example figures -- closed USERS SECONDS URL CONNECTIONS [STREAMS]
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use tenfold_loadgen::scenario::Protocol;
use tenfold_loadgen::{Ending, Outcome, Run, Scenario, Schedule};

const USAGE: &str =
    "wanted: open RATE | closed USERS, then SECONDS URL CONNECTIONS, and STREAMS for HTTP/2";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, number, seconds, url, connections, streams @ ..] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let mut scenario = match url.ends_with(".toml") {
        true => Scenario::load(Path::new(url))?,
        false => Scenario::get(url)?,
    };
    scenario.behaviour.connections_max = Some(connections.parse()?);
    if let Some(streams) = streams.first() {
        scenario.behaviour.protocol = Protocol::Http2;
        scenario.behaviour.streams_max = streams.parse()?;
    }
    let duration = Duration::try_from_secs_f64(seconds.parse()?)?;
    let run = match model.as_str() {
        "open" => Run::open(&scenario, Schedule::constant(number.parse()?, duration)),
        "closed" => Run::closed(&scenario, number.parse()?, Duration::ZERO, duration),
        _ => return Err(USAGE.into()),
    };
    println!("{:#}", figures(&run.run()?));
    Ok(())
}

/// Latencies are those of right answers, from the moment at which each was intended.
fn figures(outcome: &Outcome) -> serde_json::Value {
    let total = outcome.record.total();
    let latencies_us = total.latencies_us(&[Ending::Good, Ending::Slow]);
    serde_json::json!({
        "intended": total.intended,
        "good": total.count(Ending::Good),
        "ended": total.ended(),
        "seconds": outcome.elapsed.as_secs_f64(),
        "cpu_seconds": outcome.cpu.as_secs_f64(),
        "latency_mean_us": latencies_us.mean(),
        "latency_p50_us": latencies_us.value_at_quantile(0.5),
        "latency_p99_us": latencies_us.value_at_quantile(0.99),
        "lag_p99_us": outcome.record.lag_us.value_at_quantile(0.99),
        "valid": outcome.validity.is_valid(),
        "validity": outcome.validity.to_string(),
    })
}
