//! What is measured about CPU work: the wait for a thread, the work, the refusals, and the work
//! that was done for nobody.

use std::time::Duration;

use tenfold_overload::Entrance;
use tenfold_telemetry::metrics::{Counter, Family, Histogram, Registry, TimeCounter};

use super::OffloadError;

/// All of it; handles are cheap to clone and to use.
#[derive(Clone, Debug)]
pub(super) struct OffloadMetrics {
    wait: Histogram,
    run: Histogram,
    wasted: TimeCounter,
    panics: Counter,
    refused: Family<Counter>,
}

impl OffloadMetrics {
    pub(super) fn new(registry: &Registry, entrance: &Entrance) -> OffloadMetrics {
        let (running, waiting) = (entrance.clone(), entrance.clone());
        let threads = entrance.limits().places;
        registry.gauge_with("tenfold_offload_threads", "Threads for CPU work.", &[], move || {
            threads as f64
        });
        registry.gauge_with(
            "tenfold_offload_running",
            "Pieces of CPU work that run.",
            &[],
            move || running.occupancy().inside as f64,
        );
        registry.gauge_with(
            "tenfold_offload_waiting",
            "Pieces of CPU work that wait for a thread.",
            &[],
            move || waiting.occupancy().waiting as f64,
        );
        OffloadMetrics {
            wait: registry.histogram(
                "tenfold_offload_wait_seconds",
                "Time that CPU work which was begun had waited for a thread.",
                &[],
            ),
            run: registry.histogram(
                "tenfold_offload_run_seconds",
                "Time that CPU work took: its sum is how long the threads were busy.",
                &[],
            ),
            wasted: registry.time_counter(
                "tenfold_offload_wasted_seconds_total",
                "Time spent on CPU work whose caller had left before it was done.",
                &[],
            ),
            panics: registry.counter(
                "tenfold_offload_panics_total",
                "Pieces of CPU work that panicked.",
                &[],
            ),
            refused: registry.family(
                "tenfold_offload_refused_total",
                "Pieces of CPU work that gave their caller no result in time, by reason.",
                &["reason"],
            ),
        }
    }

    /// Work begins that had waited for `waited`.
    pub(super) fn began(&self, waited: Duration) {
        self.wait.record(waited);
    }

    /// Work ended that took `took`.
    pub(super) fn ended(&self, took: Duration) {
        self.run.record(took);
    }

    /// Work ended in a panic.
    pub(super) fn panicked(&self) {
        self.panics.increment();
    }

    /// Work ended that took `took` and that nobody waited for any more.
    pub(super) fn wasted(&self, took: Duration) {
        self.wasted.add(took);
    }

    /// A caller gets `error` instead of a result.
    pub(super) fn failed(&self, error: &OffloadError) {
        // A panic is counted where it happens, since the caller may have left before.
        if !matches!(error, OffloadError::Panicked(_)) {
            self.refused.with(&[error.reason()]).increment();
        }
    }
}
