//! Measures how late an event loop is, which is what every request on it feels.

use std::time::Duration;

use tenfold_context::Moment;
use tenfold_telemetry::metrics::{Counter, Histogram, Registry};

use super::ShardHandle;

/// Short enough to see a block of a few milliseconds often, long enough to cost nothing: a
/// hundred wake-ups a second are under 0.1 % of a core.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);

/// From here on a lag is a block: some task kept the event loop to itself, or the machine had no
/// time for it.
const BLOCKED: Duration = Duration::from_millis(100);

/// Where a shard's lag is recorded.
pub(super) struct Lag {
    seconds: Histogram,
    blocked: Counter,
}

impl Lag {
    pub(super) fn new(shard: usize, registry: &Registry) -> Lag {
        let shard = shard.to_string();
        let labels = [("shard", shard.as_str())];
        Lag {
            seconds: registry.histogram(
                "tenfold_shard_lag_seconds",
                "How much later than it should the shard's event loop came to a timer, measured every 10 ms.",
                &labels,
            ),
            blocked: registry.counter(
                "tenfold_shard_blocked_total",
                "Times that the shard's event loop was late by 100 ms or more.",
                &labels,
            ),
        }
    }

    fn record(&self, shard: usize, late: Duration) {
        self.seconds.record(late);
        if late >= BLOCKED {
            self.blocked.increment();
            let late_ms = late.as_millis() as u64;
            tracing::warn!(shard, late_ms, "shard was blocked");
        }
    }
}

/// Beats for as long as the shard lives.
pub(super) async fn beat(shard: ShardHandle, lag: Lag) {
    let mut late = Duration::ZERO;
    loop {
        let due = Moment::now() + INTERVAL;
        shard.beat(late, due);
        tokio::time::sleep_until(due.instant()).await;
        late = Moment::now().since(due);
        lag.record(shard.index(), late);
    }
}
