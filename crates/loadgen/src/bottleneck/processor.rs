//! Whether processors were used up: the service's own, an event loop's, the machine's.

use std::time::Duration;

use super::{Resource, Saturation};
use crate::scrape::Change;

/// The busiest shard of a Tenfold service, or the one event loop of Node.js.
pub(super) fn event_loop(change: &Change) -> Option<Saturation> {
    let busy = change.by_label("tenfold_shard_busy_seconds_total", "shard");
    let busiest = busy.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((shard, share)) = busiest else { return node(change) };
    let mut evidence =
        format!("shard {shard} of {} was busy {:.0} % of the time", busy.len(), share * 1e2);
    if let Some(lag) = change.quantile("tenfold_shard_lag_seconds", &[("shard", shard)], 0.99) {
        evidence += &match lag.is_finite() {
            true => format!(", and came to its timers up to {:.1} ms late (p99)", lag * 1e3),
            false => ", and came to its timers later than its histogram can tell".to_owned(),
        };
    }
    Some(Saturation { resource: Resource::EventLoop, share: *share, evidence })
}

/// Node.js has one event loop, which one core can fill (prom-client's default metrics).
fn node(change: &Change) -> Option<Saturation> {
    let lag = change
        .gauge("nodejs_eventloop_lag_p99_seconds", &[])
        .or_else(|| change.gauge("nodejs_eventloop_lag_seconds", &[]))?;
    let share = change.per_second("process_cpu_seconds_total", &[])?;
    let evidence = format!(
        "Node.js runs on one core, of which its process used {:.0} %; its event loop was {:.1} ms late",
        share * 1e2,
        lag * 1e3
    );
    Some(Saturation { resource: Resource::EventLoop, share, evidence })
}

/// The processor time of the service's process, of the cores that it can use.
pub(super) fn process(change: &Change) -> Option<Saturation> {
    let used = change.per_second("process_cpu_seconds_total", &[])?;
    let shards = change.by_label("tenfold_shard_busy_seconds_total", "shard").len();
    let (cores, whose) = if change.gauge("nodejs_eventloop_lag_seconds", &[]).is_some() {
        (1.0, "that its event loop can use")
    } else if let Some(threads) = change.gauge("go_sched_gomaxprocs_threads", &[]) {
        (threads, "that GOMAXPROCS allows")
    } else if shards > 0 {
        (shards as f64, "that its shards can use")
    } else {
        (change.machine?.cores as f64, "of the machine")
    };
    let mut evidence = format!("its process used {used:.2} of {cores:.0} cores {whose}");
    if cores > 1.0
        && (used - used.round()).abs() < 0.06
        && used.round() >= 1.0
        && used < 0.9 * cores
    {
        evidence +=
            &format!(", as one that has only {:.0} threads to work with would", used.round());
    }
    Some(Saturation { resource: Resource::ProcessCpu, share: used / cores, evidence })
}

/// All programs of this machine together.
pub(super) fn machine(change: &Change, generator_cpu: Duration) -> Option<Saturation> {
    let machine = change.machine?;
    let generator = generator_cpu.as_secs_f64() / change.elapsed.as_secs_f64();
    let evidence = format!(
        "the machine's {} cores were busy {:.0} % of the time; the generator used {generator:.2} of one",
        machine.cores,
        machine.busy_share * 1e2
    );
    Some(Saturation { resource: Resource::MachineCpu, share: machine.busy_share, evidence })
}
