//! Whether the event loop of a service of Node.js was full. It has one, which one core can fill;
//! but its process may have other threads that work, so that its processor time alone does not
//! tell: the loop itself must have been late, or say that it was busy.

use super::processor::{PROCESS_SECONDS, is_credible};
use super::{Kind, Resource, SHARE_NEAR, Use};
use crate::scrape::Change;

/// A process that used more than a core, and what clocks may differ by, has other threads that
/// work.
const ONE_CORE_MAX: f64 = 1.1;

/// Loops that come round so much later than quiet ones have something to do: the timer that tells
/// it is late by half of a callback on average.
const LATE_MS: f64 = 0.5;

/// The same of one time in a hundred, where half of the times are not told.
const LATE_P99_MS: f64 = 1.0;

/// The timer by which libraries measure it goes off after so long, in a loop with nothing to do.
const TIMER_MS: f64 = 10.0;

const P50: &str = "nodejs_eventloop_lag_p50_seconds";
const P99: &str = "nodejs_eventloop_lag_p99_seconds";
const NOW: &str = "nodejs_eventloop_lag_seconds";

/// Counters of OpenTelemetry, the means of prom-client, and what is told by hand.
const ACTIVE_SECONDS: (&str, [(&str, &str); 1]) =
    ("nodejs_eventloop_time_seconds_total", [("nodejs_eventloop_state", "active")]);
const UTILIZATION_MEANS: [&str; 2] =
    ["nodejs_eventloop_utilization_histogram", "nodejs_eventloop_utilization_summary"];
const UTILIZATIONS: [&str; 2] =
    ["nodejs_eventloop_utilization_ratio", "nodejs_eventloop_utilization"];

pub(super) fn is_node(change: &Change) -> bool {
    let is_late_told = [P50, P99, NOW].iter().any(|name| change.gauge(name, &[]).is_some());
    is_late_told || utilization(change).is_some()
}

/// The event loop, if it is known how busy it was.
pub(super) fn event_loop(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let (share, mut evidence) = match (utilization(change), used(change)) {
        (Some(share), _) => (
            share,
            format!("Node.js has one event loop, which was busy {:.0} % of the time", share * 1e2),
        ),
        (None, Some(used)) if is_alone(used, change, quiet) => (
            used,
            format!("Node.js runs on one core, of which its process used {:.0} %", used * 1e2),
        ),
        _ => return None,
    };
    evidence += &delay(change, quiet);
    Some(Use::new(Resource::EventLoop, share, evidence, Kind::Processor))
}

/// How many cores its process can use, as far as that is known: one, unless other threads than its
/// event loop's have used them.
pub(super) fn cores(change: &Change, quiet: Option<&Change>) -> Option<(f64, &'static str)> {
    let used = used(change).unwrap_or_default();
    let is_one = match utilization(change) {
        Some(share) if share >= SHARE_NEAR => used <= ONE_CORE_MAX,
        Some(_) => used < SHARE_NEAR,
        None => used < SHARE_NEAR || is_alone(used, change, quiet),
    };
    match is_one {
        true => Some((1.0, "that its event loop can use")),
        false => {
            Some((change.machine?.cores as f64, "of the machine, not only for its event loop"))
        }
    }
}

/// The part of the time that the loop did something, if it is told.
fn utilization(change: &Change) -> Option<f64> {
    let (name, labels) = ACTIVE_SECONDS;
    let mean = |name: &&str| change.mean(name, &[]).map(|(mean, _)| mean);
    let told = change.per_second(name, &labels);
    let told = told.or_else(|| UTILIZATION_MEANS.iter().find_map(mean));
    let told = told.or_else(|| UTILIZATIONS.iter().find_map(|name| change.gauge(name, &[])));
    // Of several loops this is the sum, and says nothing of any.
    told.filter(|share| (0.0..=1.05).contains(share))
}

fn used(change: &Change) -> Option<f64> {
    change.per_second(PROCESS_SECONDS, &[]).filter(|used| is_credible(*used, change))
}

/// Whether what the process used was its loop's: it was no more than a loop can use, and the loop
/// was late.
fn is_alone(used: f64, change: &Change, quiet: Option<&Change>) -> bool {
    let later_ms = |name| {
        let alone_ms = quiet.and_then(|quiet| quiet.gauge(name, &[])).map(|alone| alone * 1e3);
        change.gauge(name, &[]).map(|seconds| seconds * 1e3 - alone_ms.unwrap_or(TIMER_MS))
    };
    let is_late = match (later_ms(P50), later_ms(P99), change.gauge(NOW, &[])) {
        (Some(later), _, _) => later >= LATE_MS,
        (None, Some(later), _) => later >= LATE_P99_MS,
        (None, None, now) => now.is_some_and(|seconds| seconds * 1e3 >= LATE_MS),
    };
    used <= ONE_CORE_MAX && is_late
}

/// How late it was, in words.
fn delay(change: &Change, quiet: Option<&Change>) -> String {
    let p99_ms = |change: &Change| change.gauge(P99, &[]).map(|seconds| seconds * 1e3);
    match (p99_ms(change), quiet.and_then(p99_ms), change.gauge(NOW, &[])) {
        // It is measured with a timer of 10 ms, which an idle loop has too.
        (Some(delay), Some(alone), _) => format!(
            "; its event loop came round after {delay:.1} ms (p99), {alone:.1} ms when the service was quiet"
        ),
        (Some(delay), None, _) => format!("; its event loop came round after {delay:.1} ms (p99)"),
        (None, _, Some(now)) => format!("; its event loop was {:.1} ms late", now * 1e3),
        (None, _, None) => String::new(),
    }
}
