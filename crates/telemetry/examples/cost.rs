//! Says what telemetry costs on this machine: nanoseconds per recording and per log line.
//!
//! `cargo run --release -p tenfold-telemetry --example cost`

use std::hint::black_box;
use std::time::Duration;

use tenfold_context::Moment;
use tenfold_telemetry::log::{self, LogSettings, LogTarget};
use tenfold_telemetry::metrics::{Counter, Registry};

fn main() -> Result<(), log::StartLogError> {
    let registry = Registry::new();
    let counter = registry.counter("a_total", "A.", &[]);
    let histogram = registry.histogram("b_seconds", "B.", &[]);
    let family = registry.family::<Counter>("c_total", "C.", &["route", "status"]);
    measure("counter", 10_000_000, |_| counter.increment());
    measure("histogram", 10_000_000, |round| {
        histogram.record(Duration::from_nanos(black_box(u64::from(round) << 8)));
    });
    measure("family", 1_000_000, |_| family.with(black_box(&["/orders", "200"])).increment());

    let target = LogTarget::Writer(Box::new(std::io::sink()));
    let guard = log::start(&LogSettings::default(), "store", target)?;
    measure("line", 1_000_000, |round| {
        tracing::info!(order = round, customer = "somebody", "order placed");
    });
    measure("line below the level", 10_000_000, |round| tracing::debug!(round, "not shown"));
    drop(guard);
    Ok(())
}

fn measure(what: &str, rounds: u32, mut work: impl FnMut(u32)) {
    let begin = Moment::now();
    (0..rounds).for_each(&mut work);
    let each = Moment::now().since(begin).as_nanos() as f64 / f64::from(rounds);
    println!("{what:>20} {each:8.1} ns");
}
