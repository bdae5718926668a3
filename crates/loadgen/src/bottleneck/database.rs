//! Whether requests waited for the database: for a connection of their own, or on a shared one.

use super::{Kind, Resource, SHARE_NEAR, Use};
use crate::report::words;
use crate::scrape::Change;

/// Connections of the exclusive lane: how many were held on the average, of those that there
/// may be.
pub(super) fn pool(change: &Change) -> Option<Use> {
    let held = change.per_second("tenfold_db_pool_hold_seconds_sum", &[])?;
    let most = change.gauge("tenfold_db_pool_connections_max", &[]).filter(|most| *most > 0.0)?;
    let mut evidence = format!(
        "{held:.1} of the {} that there may be were in use on average",
        words::counted(most.round() as u64, "connection", "connections")
    );
    let served = [("outcome", "served")];
    if let Some((wait, requests)) = change.mean("tenfold_db_pool_wait_seconds", &served) {
        let wait_ms = wait * 1e3;
        let requests = words::counted(requests.round() as u64, "request", "requests");
        evidence += &format!(", and {requests} waited {wait_ms:.1} ms for one on average");
    }
    let refused = change.grown("tenfold_db_pool_refused_total", &[]).unwrap_or_default();
    if refused > 0.0 {
        evidence += &format!(", {refused:.0} got none");
    }
    Some(Use::new(Resource::Pool, held / most, evidence, Kind::Sized))
}

/// Statements on shared connections: how many were on their way, of those that may be. Before
/// that is full, Postgres may have more to do on a connection than it can, since it answers one
/// statement after the other: then they take longer than in a quiet service. That alone is no
/// proof, as they also do when the service does not come to read the answers.
pub(super) fn shared_lane(change: &Change, quiet: Option<&Change>) -> Option<Use> {
    let (name, lane) = ("tenfold_db_statement_seconds", [("lane", "shared")]);
    let (took, _) = change.mean(name, &lane)?;
    let in_flight = change.per_second(&format!("{name}_sum"), &lane)?;
    let most = change.gauge("tenfold_db_shared_in_flight_max", &[]).filter(|most| *most > 0.0);
    let mut evidence = match most {
        Some(most) => format!(
            "{in_flight:.1} statements were in flight on average, of the {most:.0} that may be"
        ),
        None => format!("{in_flight:.1} statements were in flight on average"),
    };
    let alone = quiet.and_then(|quiet| quiet.mean(name, &lane)).map(|(alone, _)| alone);
    evidence += &format!(", and each took {:.2} ms", took * 1e3);
    if let Some(alone) = alone {
        evidence += &format!(", {:.2} ms when the service was quiet", alone * 1e3);
    }
    let used = most.map(|most| in_flight / most).unwrap_or_default();
    let slower = alone.map(|alone| 1.0 - alone / took).unwrap_or_default();
    // A lane with less than one statement on it is none that anybody waits for.
    let slower = if in_flight >= 1.0 { slower } else { 0.0 };
    let kind = if used >= SHARE_NEAR { Kind::Sized } else { Kind::Effect };
    Some(Use::new(Resource::SharedLane, used.max(slower), evidence, kind))
}
