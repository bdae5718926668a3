//! Load on small real servers whose behaviour is known.

#![allow(clippy::unwrap_used, reason = "all of this is a test, helpers as well")]

mod answers;
mod behaviour;
mod exhausted;
mod http2;
mod listener;
mod models;
mod mutated;
mod scenarios;
mod server;
mod streams;

use std::path::Path;
use std::time::Duration;

use tenfold_loadgen::{Outcome, Run, Scenario, Schedule};

const SECOND: Duration = Duration::from_secs(1);

/// So many milliseconds.
fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A scenario from its text, with the address of a server in it. Machines that are busy are
/// patient: an answer is good when it comes within ten seconds.
fn scenario(url: &str, text: &str) -> Scenario {
    let mut scenario =
        Scenario::parse(&format!("target = \"{url}\"\n{text}"), Path::new("")).unwrap();
    for request in &mut scenario.requests {
        request.good.latency_max = request.good.latency_max.max(10 * SECOND);
    }
    if !text.contains("timeout") {
        scenario.behaviour.timeout = 20 * SECOND;
    }
    scenario
}

/// GET /, so many times within half a second.
fn offer(url: &str, text: &str, requests: u32) -> Outcome {
    let scenario = scenario(url, &format!("{text}\n[[request]]\npath = \"/\"\n"));
    run(&scenario, requests)
}

fn run(scenario: &Scenario, requests: u32) -> Outcome {
    let schedule = Schedule::constant(f64::from(requests) * 2.0, ms(500));
    let outcome = Run::open(scenario, schedule).run().unwrap();
    let total = outcome.record.total();
    assert_eq!(
        total.intended,
        total.ended() + total.not_offered + total.unfinished,
        "nothing is lost or counted twice"
    );
    outcome
}
