//! Asks whether the generator sees a stall: a server that answers nobody for half a second, each
//! five, is asked by the clock and by one client who waits for each answer.

use std::time::Duration;

use super::servers::Server;
use crate::Error;
use crate::bench::ours::{Model, Said, ours};
use crate::bench::{Bar, Connections, LOAD_CORE, Report};

/// By how much the two must differ at the least, or the one hides nothing.
const OPEN_TO_CLOSED_MIN: f64 = 10.0;

const RATE: f64 = 200.0;

const CONNECTIONS: Connections = Connections::Http1(256);

pub(super) fn ask(quick: bool, report: &mut Report) -> Result<(), Error> {
    // Two stalls, or four.
    let duration = Duration::from_secs(if quick { 11 } else { 21 });
    let p99_ms = |model| {
        // Each of the two has its own, with as many stalls.
        let server = Server::start("stalling", &[])?;
        let Said { latency_p99_ms, .. } =
            ours(&[LOAD_CORE], model, CONNECTIONS, duration, &server.url)?;
        Ok::<_, Error>(latency_p99_ms)
    };
    let (open, closed) = (p99_ms(Model::Open(RATE))?, p99_ms(Model::Closed(1))?);
    report.add("stall of 500 ms each 5 s: p99, open model", open, "ms", Bar::None);
    report.add("stall of 500 ms each 5 s: p99, closed model", closed, "ms", Bar::None);
    let bar = Bar::AtLeast(OPEN_TO_CLOSED_MIN);
    report.add("stall of 500 ms each 5 s: p99, open ÷ closed", open / closed, "ratio", bar);
    Ok(())
}
