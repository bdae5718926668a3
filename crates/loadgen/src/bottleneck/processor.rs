//! Whether processors were used up: the service's own, an event loop's, the machine's.

use std::time::Duration;

use super::node::{self, is_node};
use super::{Kind, Resource, SHARE_FULL, SHARE_NEAR, Use};
use crate::report::words;
use crate::scrape::{Change, Core, MachineChange};

/// What every Prometheus library calls the processor time of its process.
pub(super) const PROCESS_SECONDS: &str = "process_cpu_seconds_total";

/// No thread is busy for more of the time than there is; so much more may be how clocks differ.
const TIMES_MAX: f64 = 1.5;

/// The busiest shard of a Tenfold service, or the one event loop of Node.js.
pub(super) fn event_loop(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let mut busy = change.by_label("tenfold_shard_busy_seconds_total", "shard");
    busy.retain(|(_, share)| *share <= TIMES_MAX);
    let busiest = busy.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((shard, share)) = busiest else { return node::event_loop(change, quiet) };
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

/// The processor time of the service's process, of the cores that it can use.
pub(super) fn process(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let used = change.per_second(PROCESS_SECONDS, &[])?;
    let (cores, whose) = cores(change, quiet).filter(|_| is_credible(used, change))?;
    let mut evidence = format!(
        "its process used {used:.2} of {} {whose}",
        words::counted(cores.round() as u64, "core", "cores")
    );
    if cores > 1.0
        && (used - used.round()).abs() < 0.06
        && used.round() >= 1.0
        && used < 0.9 * cores
    {
        let threads = words::counted(used.round() as u64, "thread", "threads");
        evidence += &format!(", as one that has only {threads} to work with would");
    }
    Some(Use::new(Resource::ProcessCpu, used / cores, evidence, Kind::Processor))
}

/// Whether a process can have used so many cores. One that says otherwise counts something else,
/// or nothing at all.
pub(super) fn is_credible(used: f64, change: &Change) -> bool {
    let machine = change.machine.map(|machine| machine.cores as f64);
    // Threads for which a service does not tell a number come on top of those for which it does.
    // How many Node.js has is not told at all.
    let told = || {
        let cores = if is_node(change) { None } else { cores(change, None) };
        cores.map(|(cores, _)| 4.0 * cores)
    };
    machine.or_else(told).is_none_or(|cores| used <= TIMES_MAX * cores)
}

/// How many cores the process can use, and who says so.
pub(super) fn cores(change: &Change, quiet: Option<&Change>) -> Option<(f64, &'static str)> {
    let shards = change.by_label("tenfold_shard_busy_seconds_total", "shard").len() as f64;
    let offload = change.gauge("tenfold_offload_threads", &[]).unwrap_or_default();
    if is_node(change) {
        node::cores(change, quiet)
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

/// A single core that was full of others than the generator, where there is one: a service and its
/// database that are kept to one core leave the machine half idle when they are at their end.
/// Otherwise all programs of this machine together. If it was as busy while the load was held, it
/// was not this that grew with it.
pub(super) fn machine(
    change: &Change,
    quiet: Option<&Change>,
    generator_cpu: Duration,
) -> Option<Use> {
    let machine = change.machine?;
    let generator = generator_cpu.as_secs_f64() / change.elapsed.as_secs_f64();
    let looked = look(&machine, generator);
    // In cores.
    let (share, used, generator_here) = match looked {
        Looked::Core { core, generator } => {
            (core.busy_share, core.busy_share, generator.unwrap_or_default())
        }
        Looked::Together => {
            (machine.busy_share, machine.busy_share * machine.cores as f64, generator)
        }
    };
    let mut evidence = match looked {
        Looked::Core { core, .. } => format!(
            "core {} of the machine's {} was busy {:.0} % of the time, all together {:.0} %",
            core.number,
            machine.cores,
            core.busy_share * 1e2,
            machine.busy_share * 1e2
        ),
        Looked::Together => format!(
            "the machine's {} busy {:.0} % of the time",
            if machine.cores == 1 {
                "only core was".to_owned()
            } else {
                format!("{} cores were", machine.cores)
            },
            machine.busy_share * 1e2
        ),
    };
    evidence += &match looked {
        Looked::Core { generator: None, .. } => "; the generator had another".to_owned(),
        _ => format!("; the generator used {generator:.2} of one"),
    };
    let own = change.per_second(PROCESS_SECONDS, &[]).filter(|own| is_credible(*own, change));
    if let Some(own) = own {
        evidence += &format!(", the service's own process {own:.2}");
        if own + generator_here < used / 2.0 {
            evidence += ", so most of it was somebody else's, such as a database on this machine";
        }
    }
    let before = quiet.and_then(|quiet| quiet.machine);
    let before = before.map(|before| match look(&before, generator) {
        Looked::Core { core, .. } => core.busy_share,
        Looked::Together => before.busy_share,
    });
    let busy_before = before.filter(|before| *before >= SHARE_NEAR);
    if let Some(before) = busy_before {
        evidence += &format!(
            ", and it was busy {:.0} % already at a rate that was held: other programs run",
            before * 1e2
        );
    }
    let kind = if busy_before.is_some() {
        Kind::Effect
    } else if is_others(used, generator_here) {
        Kind::Processor
    } else {
        Kind::Sized
    };
    Some(Use::new(Resource::MachineCpu, share, evidence, kind))
}

/// What of the machine tells how near its end it was.
enum Looked {
    Core {
        core: Core,
        /// The most of it that the generator can have used; none if it could not run there.
        generator: Option<f64>,
    },
    Together,
}

/// The fullest core that was near its end with what the generator did not use. Where the generator
/// may run on it, all that it used may have been there; so a core of which that would be most tells
/// nothing.
fn look(machine: &MachineChange, generator: f64) -> Looked {
    let cores = [(machine.others, None), (machine.shared, Some(generator.min(1.0)))];
    let full = cores.into_iter().filter_map(|(core, generator)| {
        let core = core?;
        (core.busy_share >= SHARE_NEAR && is_others(core.busy_share, generator.unwrap_or_default()))
            .then_some((core, generator))
    });
    let fullest = full.max_by(|(one, _), (other, _)| one.busy_share.total_cmp(&other.busy_share));
    match fullest {
        // When all are full, or there is but one, it is not about a core.
        Some((core, generator)) if machine.busy_share < SHARE_FULL && machine.cores > 1 => {
            Looked::Core { core, generator }
        }
        _ => Looked::Together,
    }
}

/// Whether at least half of what was used was not the generator's.
fn is_others(used: f64, generator: f64) -> bool {
    generator <= used / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of the core that is told of: the generator may run on core 1, and on core 0 only
    /// if it is not bound.
    fn told(together: f64, cores: [f64; 2], is_bound: bool, generator: f64) -> Option<usize> {
        let core = |number: usize| Core { number, busy_share: cores[number] };
        let fuller = if cores[0] > cores[1] { core(0) } else { core(1) };
        let (others, shared) =
            if is_bound { (Some(core(0)), Some(core(1))) } else { (None, Some(fuller)) };
        let machine =
            MachineChange { cores: 2, busy_share: together, others, shared, memory: None };
        match look(&machine, generator) {
            Looked::Core { core, .. } => Some(core.number),
            Looked::Together => None,
        }
    }

    #[test]
    fn a_full_core_is_found_unless_it_may_be_full_of_the_generator() {
        let bound = |together, cores, generator| told(together, cores, true, generator);
        assert_eq!(bound(0.54, [0.98, 0.10], 0.09), Some(0));
        assert_eq!(bound(0.84, [0.98, 0.70], 0.68), Some(0), "the generator's is busy too");
        assert_eq!(bound(0.91, [0.85, 0.97], 0.95), Some(0), "and even if more so");
        assert_eq!(bound(0.60, [0.25, 0.95], 0.94), None, "it is the generator's own");
        assert_eq!(bound(0.54, [0.10, 0.98], 0.09), Some(1), "others are on the generator's");
        assert_eq!(bound(0.98, [0.99, 0.97], 0.30), None, "the whole machine is");
        assert_eq!(bound(0.50, [0.50, 0.50], 0.10), None, "nothing is");
        let free = |together, cores, generator| told(together, cores, false, generator);
        assert_eq!(free(0.54, [0.98, 0.10], 0.09), Some(0));
        assert_eq!(free(0.80, [0.98, 0.62], 0.60), None, "it may have been there");
        assert_eq!(free(0.90, [0.98, 0.82], 3.0), None);
    }
}
