//! Whether requests waited for the database: for a connection of their own, or on a shared one.

use super::{Resource, Saturation};
use crate::scrape::Change;

/// Connections of the exclusive lane: how many were held on the average, of those that are open.
pub(super) fn pool(change: &Change) -> Option<Saturation> {
    let held = change.per_second("tenfold_db_pool_hold_seconds_sum", &[])?;
    let open = ["used", "idle"]
        .iter()
        .filter_map(|state| change.gauge("tenfold_db_pool_connections", &[("state", state)]));
    let open: f64 = open.sum();
    if open == 0.0 {
        return None;
    }
    let mut evidence = format!("{held:.1} of {open:.0} open connections were in use on average");
    if let Some((wait, requests)) = change.mean("tenfold_db_pool_wait_seconds", &[]) {
        let wait_ms = wait * 1e3;
        evidence +=
            &format!(", and {requests:.0} requests waited {wait_ms:.1} ms for one on average");
    }
    let refused = change.grown("tenfold_db_pool_refused_total", &[]).unwrap_or_default();
    if refused > 0.0 {
        evidence += &format!(", {refused:.0} got none");
    }
    Some(Saturation { resource: Resource::Pool, share: held / open, evidence })
}

/// Statements on shared connections have no fixed number; that they wait is seen by how much
/// longer they take than in a quiet service.
pub(super) fn shared_lane(change: &Change, quiet: Option<&Change>) -> Option<Saturation> {
    let (name, lane) = ("tenfold_db_statement_seconds", [("lane", "shared")]);
    let (took, _) = change.mean(name, &lane)?;
    let (alone, _) = quiet?.mean(name, &lane)?;
    let in_flight = change.per_second(&format!("{name}_sum"), &lane)?;
    let evidence = format!(
        "a statement took {:.2} ms on average, {:.2} ms when the service was quiet; {in_flight:.1} were \
         on their way at a time",
        took * 1e3,
        alone * 1e3
    );
    Some(Saturation { resource: Resource::SharedLane, share: 1.0 - alone / took, evidence })
}
