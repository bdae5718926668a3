//! Whether the service itself held requests back: offload threads, the door, memory.

use super::{Kind, Resource, Use};
use crate::scrape::Change;

const MIB: f64 = 1024.0 * 1024.0;

/// CPU work: for how much of their time the threads for it were busy.
pub(super) fn offload(change: &Change) -> Option<Use> {
    let threads = change.gauge("tenfold_offload_threads", &[]).filter(|threads| *threads > 0.0)?;
    let busy = change.per_second("tenfold_offload_run_seconds_sum", &[])?;
    let mut evidence = format!(
        "its threads for CPU work ({threads:.0}) were busy {:.0} % of the time",
        busy / threads * 1e2
    );
    if let Some((wait, pieces)) = change.mean("tenfold_offload_wait_seconds", &[]) {
        let wait_ms = wait * 1e3;
        evidence +=
            &format!(", and {pieces:.0} pieces of work waited {wait_ms:.1} ms for one on average");
    }
    let refused = change.grown("tenfold_offload_refused_total", &[]).unwrap_or_default();
    if refused > 0.0 {
        evidence += &format!(", {refused:.0} came to nothing");
    }
    Some(Use::new(Resource::Offload, busy / threads, evidence, Kind::Sized))
}

/// The door: how many requests were in the service, of those that it lets in. It fills up when
/// something behind it does not keep up, so it is the cause only if nothing else is.
pub(super) fn door(change: &Change) -> Option<Use> {
    let refused = change.by_label("tenfold_http_refused_total", "reason");
    if refused.is_empty() {
        return None;
    }
    let turned_away = refused.iter().map(|(_, per_second)| per_second).sum::<f64>();
    let all = change.per_second("tenfold_http_requests_total", &[]).unwrap_or_default();
    let of_all = if turned_away > 0.0 { turned_away / all.max(turned_away) } else { 0.0 };
    let inside = change.per_second("tenfold_http_request_seconds_sum", &[]);
    let most = change.gauge("tenfold_http_door_inside_max", &[]).filter(|most| *most > 0.0);
    let mut evidence = String::new();
    let mut used = 0.0;
    if let (Some(inside), Some(most)) = (inside, most) {
        evidence = format!(
            "{inside:.1} requests were inside or waited at it on average, and it lets {most:.0} in; "
        );
        used = inside / most;
    }
    let reason = refused.iter().max_by(|(_, one), (_, other)| one.total_cmp(other));
    evidence += &match reason {
        Some((reason, per_second)) if *per_second > 0.0 => {
            format!("it turned {turned_away:.0} per second away, most of them for {reason}")
        }
        _ => "it turned nobody away".to_owned(),
    };
    Some(Use::new(Resource::Door, of_all.max(used), evidence, Kind::Effect))
}

/// Memory: how much was taken of what the machine had left at a rate that was held, or of all
/// that it has, if there was none such.
pub(super) fn memory(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let memory = change.machine?.memory?;
    let resident = |scrape: &crate::scrape::Scrape| {
        let amount = scrape.series("process_resident_memory_bytes").first()?.amount()?;
        // No process has more than there is.
        (amount <= memory.total as f64).then_some(amount / MIB)
    };
    let left = memory.available as f64 / MIB;
    let before = quiet.and_then(|quiet| quiet.machine?.memory);
    let (had, mut evidence) = match before.map(|memory| memory.available as f64 / MIB) {
        Some(had) => {
            (had, format!("{left:.0} MiB were left, {had:.0} MiB at a rate that was held"))
        }
        None => {
            let total = memory.total as f64 / MIB;
            (total, format!("{left:.0} of the machine's {total:.0} MiB were left"))
        }
    };
    if let (Some(before), Some(after)) = (resident(&change.before), resident(&change.after)) {
        let grown = after - before;
        evidence += &format!("; its process had {after:.0} MiB, {grown:+.0} MiB during the probe");
    }
    Some(Use::new(Resource::Memory, 1.0 - left / had.max(1.0), evidence, Kind::Sized))
}
