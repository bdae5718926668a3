//! Time that Postgres spends on what nobody waits for any more, by the route that left it behind:
//! what a route costs others by leaving too late, or by asking for what it cannot wait for.

use tenfold_context::{Context, Moment};
use tenfold_telemetry::metrics::{Family, Registry, TimeCounter};

use crate::error::Lane;

/// What stands for the route of work that has none.
pub(crate) const NO_ROUTE: &str = "none";

/// The sum of it. A clone adds to the same.
#[derive(Clone, Debug)]
pub(crate) struct Abandoned(Family<TimeCounter>);

impl Abandoned {
    pub(crate) fn new(registry: &Registry) -> Abandoned {
        Abandoned(registry.family(
            "tenfold_db_abandoned_seconds_total",
            "Time that Postgres spent on statements and transactions after their caller was gone.",
            &["lane", "route"],
        ))
    }

    /// The caller has left this moment; what it left behind lasts until the guard is dropped.
    pub(crate) fn begin(&self, lane: Lane, context: Context) -> Abandonment {
        Abandonment { sum: self.0.clone(), lane, context, since: Moment::now() }
    }
}

/// Something that runs on without a caller. Adds up its time when dropped, so that it counts
/// whatever becomes of it.
#[derive(Debug)]
pub(crate) struct Abandonment {
    sum: Family<TimeCounter>,
    lane: Lane,
    context: Context,
    since: Moment,
}

impl Drop for Abandonment {
    fn drop(&mut self) {
        let route = self.context.route().unwrap_or(NO_ROUTE);
        self.sum.with(&[self.lane.name(), route]).add(Moment::now().since(self.since));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_behind_is_counted_by_the_route_that_left_it() {
        let registry = Registry::new();
        let abandoned = Abandoned::new(&registry);
        let context = Context::new();
        context.set_route("/orders/{id}".into());
        let known = abandoned.begin(Lane::Exclusive, context);
        let unknown = abandoned.begin(Lane::Shared, Context::new());
        tokio::time::advance(Duration::from_millis(1500)).await;
        drop(known);
        tokio::time::advance(Duration::from_millis(500)).await;
        drop(unknown);
        let text = registry.encode();
        for line in [
            r#"tenfold_db_abandoned_seconds_total{lane="exclusive",route="/orders/{id}"} 1.5"#,
            r#"tenfold_db_abandoned_seconds_total{lane="shared",route="none"} 2"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is not in\n{text}");
        }
    }
}
