//! Whether processors were used up: the service's own, an event loop's, the machine's.

use std::time::Duration;

use super::{Kind, Resource, SHARE_NEAR, Use};
use crate::scrape::Change;

/// What every Prometheus library calls the processor time of its process.
pub(super) const PROCESS_SECONDS: &str = "process_cpu_seconds_total";

/// No thread is busy for more of the time than there is; so much more may be how clocks differ.
const TIMES_MAX: f64 = 1.5;

/// The busiest shard of a Tenfold service, or the one event loop of Node.js.
pub(super) fn event_loop(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let mut busy = change.by_label("tenfold_shard_busy_seconds_total", "shard");
    busy.retain(|(_, share)| *share <= TIMES_MAX);
    let busiest = busy.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((shard, share)) = busiest else { return node(change, quiet) };
    let mut evidence =
        format!("shard {shard} of {} was busy {:.0} % of the time", busy.len(), share * 1e2);
    if let Some(lag) = change.quantile("tenfold_shard_lag_seconds", &[("shard", shard)], 0.99) {
        evidence += &match lag.is_finite() {
            true => format!(", and came to its timers up to {:.1} ms late (p99)", lag * 1e3),
            false => ", and came to its timers later than its histogram can tell".to_owned(),
        };
    }
    Some(Use::new(Resource::EventLoop, *share, evidence, Kind::Processor))
}

/// Node.js has one event loop, which one core can fill (the default metrics of prom-client).
fn node(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let delay = |change: &Change| change.gauge("nodejs_eventloop_lag_p99_seconds", &[]);
    let now = change.gauge("nodejs_eventloop_lag_seconds", &[]);
    let share = is_node(change).then(|| change.per_second(PROCESS_SECONDS, &[]))??;
    if !is_credible(share, change) {
        return None;
    }
    let mut evidence =
        format!("Node.js runs on one core, of which its process used {:.0} %", share * 1e2);
    match (delay(change), quiet.and_then(delay)) {
        // It is measured with a timer of 10 ms, which an idle loop has too.
        (Some(delay), Some(alone)) => {
            let (delay, alone) = (delay * 1e3, alone * 1e3);
            evidence += &format!(
                "; its event loop came round after {delay:.1} ms (p99), {alone:.1} ms when the service was quiet"
            );
        }
        (Some(delay), None) => {
            evidence += &format!("; its event loop came round after {:.1} ms (p99)", delay * 1e3);
        }
        (None, _) => {
            let now = now.unwrap_or_default() * 1e3;
            evidence += &format!("; its event loop was {now:.1} ms late");
        }
    }
    Some(Use::new(Resource::EventLoop, share, evidence, Kind::Processor))
}

fn is_node(change: &Change) -> bool {
    ["nodejs_eventloop_lag_p99_seconds", "nodejs_eventloop_lag_seconds"]
        .iter()
        .any(|name| change.gauge(name, &[]).is_some())
}

/// The processor time of the service's process, of the cores that it can use.
pub(super) fn process(change: &Change) -> Option<Use> {
    let used = change.per_second(PROCESS_SECONDS, &[])?;
    let (cores, whose) = cores(change).filter(|_| is_credible(used, change))?;
    let mut evidence = format!("its process used {used:.2} of {cores:.0} cores {whose}");
    if cores > 1.0
        && (used - used.round()).abs() < 0.06
        && used.round() >= 1.0
        && used < 0.9 * cores
    {
        evidence +=
            &format!(", as one that has only {:.0} threads to work with would", used.round());
    }
    Some(Use::new(Resource::ProcessCpu, used / cores, evidence, Kind::Processor))
}

/// Whether a process can have used so many cores. One that says otherwise counts something else,
/// or nothing at all.
pub(super) fn is_credible(used: f64, change: &Change) -> bool {
    let machine = change.machine.map(|machine| machine.cores as f64);
    // Threads for which a service does not tell a number come on top of those for which it does.
    let told = || cores(change).map(|(cores, _)| 4.0 * cores);
    machine.or_else(told).is_none_or(|cores| used <= TIMES_MAX * cores)
}

/// How many cores the process can use, and who says so.
pub(super) fn cores(change: &Change) -> Option<(f64, &'static str)> {
    let shards = change.by_label("tenfold_shard_busy_seconds_total", "shard").len() as f64;
    let offload = change.gauge("tenfold_offload_threads", &[]).unwrap_or_default();
    if is_node(change) {
        Some((1.0, "that its event loop can use"))
    } else if let Some(threads) = change.gauge("go_sched_gomaxprocs_threads", &[]) {
        Some((threads, "that GOMAXPROCS allows"))
    } else if let Some(cores) = change.gauge("tenfold_cores", &[]).filter(|_| shards > 0.0) {
        Some((cores.min(shards + offload), "that its shards and offload threads can use"))
    } else if shards > 0.0 {
        Some((shards, "that its shards can use"))
    } else {
        Some((change.machine?.cores as f64, "of the machine"))
    }
}

/// All programs of this machine together. If they were as busy while the load was held, it was
/// not this that grew with it.
pub(super) fn machine(
    change: &Change,
    quiet: Option<&Change>,
    generator_cpu: Duration,
) -> Option<Use> {
    let machine = change.machine?;
    let generator = generator_cpu.as_secs_f64() / change.elapsed.as_secs_f64();
    let mut evidence = format!(
        "the machine's {} cores were busy {:.0} % of the time; the generator used {generator:.2} of one",
        machine.cores,
        machine.busy_share * 1e2
    );
    let before = quiet.and_then(|quiet| quiet.machine).map(|machine| machine.busy_share);
    let others = before.filter(|share| *share >= SHARE_NEAR);
    if let Some(share) = others {
        evidence += &format!(
            ", and they were busy {:.0} % already at a rate that was held: other programs run",
            share * 1e2
        );
    }
    let kind = if others.is_some() { Kind::Effect } else { Kind::Sized };
    Some(Use::new(Resource::MachineCpu, machine.busy_share, evidence, kind))
}
