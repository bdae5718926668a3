//! Whether the service itself held requests back: offload threads, the door, memory.

use super::{Resource, Saturation};
use crate::scrape::Change;

const MIB: f64 = 1024.0 * 1024.0;

/// CPU work that waited for a thread: the part of its time that was waiting.
pub(super) fn offload(change: &Change) -> Option<Saturation> {
    let (wait, _) = change.mean("tenfold_offload_wait_seconds", &[])?;
    let (run, pieces) = change.mean("tenfold_offload_run_seconds", &[])?;
    let evidence = format!(
        "{pieces:.0} pieces of CPU work waited {:.1} ms for a thread on average, and ran {:.1} ms",
        wait * 1e3,
        run * 1e3
    );
    let share = wait / (wait + run).max(f64::MIN_POSITIVE);
    Some(Saturation { resource: Resource::Offload, share, evidence })
}

/// Requests that were turned away, of all that came.
pub(super) fn door(change: &Change) -> Option<Saturation> {
    let refused = change.by_label("tenfold_http_refused_total", "reason");
    let all = refused.iter().map(|(_, per_second)| per_second).sum::<f64>();
    if refused.is_empty() {
        return None;
    }
    let served = change.per_second("tenfold_http_requests_total", &[]).unwrap_or_default();
    let share = if all > 0.0 { all / served.max(all) } else { 0.0 };
    let most = refused.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    let evidence = match most {
        Some((reason, per_second)) if *per_second > 0.0 => {
            format!("the door turned {all:.0} requests per second away, most of them for {reason}")
        }
        _ => "the door turned nobody away".to_owned(),
    };
    Some(Saturation { resource: Resource::Door, share, evidence })
}

/// Memory of the machine that is not to be had any more, and what the process took of it.
pub(super) fn memory(change: &Change) -> Option<Saturation> {
    let memory = change.machine?.memory?;
    let resident = |scrape: &crate::scrape::Scrape| {
        scrape.series("process_resident_memory_bytes").first().map(|series| series.value / MIB)
    };
    let (total, available) = (memory.total as f64 / MIB, memory.available as f64 / MIB);
    let mut evidence = format!("{available:.0} of the machine's {total:.0} MiB were left");
    if let (Some(before), Some(after)) = (resident(&change.before), resident(&change.after)) {
        let grown = after - before;
        evidence += &format!("; its process had {after:.0} MiB, {grown:+.0} MiB during the probe");
    }
    let share = 1.0 - available / total.max(1.0);
    Some(Saturation { resource: Resource::Memory, share, evidence })
}
