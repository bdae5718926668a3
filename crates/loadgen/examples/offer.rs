//! Offers GET requests at a constant rate, and tells what came of it: the smallest use of the
//! library, and the one that is measured against other generators.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example offer -- 50000 10 64 http://127.0.0.1:8080/
//! ```

use std::error::Error;
use std::time::Duration;

use tenfold_loadgen::{Ending, Run, Scenario, Schedule};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rate, seconds, connections, url] = arguments.as_slice() else {
        return Err("four arguments are needed: RATE SECONDS CONNECTIONS URL".into());
    };
    let mut scenario = Scenario::get(url)?;
    scenario.behaviour.connections_max = Some(connections.parse()?);
    let load = Schedule::constant(rate.parse()?, Duration::from_secs(seconds.parse()?));
    let outcome = Run::open(&scenario, load).run()?;

    let total = outcome.record.total();
    let seconds = outcome.elapsed.as_secs_f64();
    println!("answers per second  {:.0}", total.ended() as f64 / seconds);
    for ending in Ending::ALL {
        println!("{:<18}  {}", ending.name(), total.count(ending));
    }
    println!("not offered         {}", total.not_offered);
    if let Some(latency_us) = total.latency_us(Ending::Good) {
        let at = |quantile| latency_us.value_at_quantile(quantile);
        println!("latency µs          p50 {} p99 {} p99.9 {}", at(0.5), at(0.99), at(0.999));
    }
    if let Some(service_us) = total.service_us() {
        let at = |quantile| service_us.value_at_quantile(quantile);
        println!("service µs          p50 {} p99 {} p99.9 {}", at(0.5), at(0.99), at(0.999));
    }
    let lag_us = &outcome.record.lag_us;
    let at = |quantile| lag_us.value_at_quantile(quantile);
    println!("lag µs              p50 {} p99 {} p99.9 {}", at(0.5), at(0.99), at(0.999));
    let per_answer = outcome.cpu.as_secs_f64() * 1e6 / total.ended().max(1) as f64;
    println!("cpu µs per answer   {per_answer:.2} ({:.0} % of a core)", outcome.cpu_share * 100.0);
    println!("{}", outcome.validity);
    Ok(())
}
