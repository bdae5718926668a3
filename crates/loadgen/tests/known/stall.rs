//! What a closed loop hides: a stall that everybody feels who comes during it.

use std::time::Duration;

use tenfold_loadgen::{Ending, Outcome, Run, Scenario, Schedule};
use tokio::time::Instant;

use crate::servers::{Server, Stalling};

fn p99_ms(outcome: &Outcome) -> f64 {
    let latencies_us = outcome.record.total().latencies_us(&[Ending::Good, Ending::Slow]);
    latencies_us.value_at_quantile(0.99) as f64 / 1e3
}

#[test]
fn the_open_model_sees_a_stall_that_the_closed_one_hides() {
    let length = Duration::from_secs(11);
    let model = || Stalling {
        since: Instant::now(),
        every: Duration::from_secs(5),
        stall: Duration::from_millis(500),
        service: Duration::from_millis(2),
    };
    let (one, other) = (Server::start(model()), Server::start(model()));
    // Both at once, so that a neighbour on the machine hurts both alike.
    let scenario = |server: &Server| Scenario::get(&server.url()).unwrap();
    let open = Run::open(&scenario(&one), Schedule::constant(200.0, length)).start().unwrap();
    let closed = Run::closed(&scenario(&other), 1, Duration::ZERO, length).start().unwrap();
    let (open, closed) = (open.join().unwrap(), closed.join().unwrap());
    let (open_ms, closed_ms) = (p99_ms(&open), p99_ms(&closed));
    println!(
        "p99 of a service that stalls 500 ms each 5 s: open {open_ms} ms, closed {closed_ms} ms"
    );
    assert!(open_ms > 350.0, "{open_ms} ms");
    assert!(closed_ms < open_ms / 3.0, "closed {closed_ms} ms, open {open_ms} ms");
}
