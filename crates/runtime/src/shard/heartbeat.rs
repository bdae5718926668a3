//! Measures how late an event loop is, which is what every request on it feels.

use std::time::Duration;

use tenfold_context::Moment;
use tenfold_telemetry::metrics::{Histogram, Registry};

use super::ShardHandle;

/// Short enough to see a block of a few milliseconds often, long enough to cost nothing: a
/// hundred wake-ups a second are under 0.1 % of a core.
pub(super) const INTERVAL: Duration = Duration::from_millis(10);

/// Where a shard's lag is recorded.
pub(super) fn lag(shard: usize, registry: &Registry) -> Histogram {
    registry.histogram(
        "tenfold_shard_lag_seconds",
        "How much later than it should the shard's event loop came to a timer, measured every 10 ms.",
        &[("shard", &shard.to_string())],
    )
}

/// Beats for as long as the shard lives.
pub(super) async fn beat(shard: ShardHandle, lag: Histogram) {
    let mut late = Duration::ZERO;
    loop {
        let due = Moment::now() + INTERVAL;
        shard.beat(late, due);
        tokio::time::sleep_until(due.instant()).await;
        late = Moment::now().since(due);
        lag.record(late);
    }
}
