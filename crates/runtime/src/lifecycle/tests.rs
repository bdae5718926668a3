//! Orders of stopping, and everything that can go wrong in one.

use std::sync::{Arc, Mutex};

use super::*;

const LIMIT: Duration = Duration::from_secs(5);

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<&'static str>>>);

impl Events {
    fn note(&self, event: &'static str) {
        self.0.lock().unwrap().push(event);
    }

    fn all(&self) -> Vec<&'static str> {
        self.0.lock().unwrap().clone()
    }

    /// A part that notes its stop.
    fn part(&self, lifecycle: &mut Lifecycle, name: &'static str) {
        let events = self.clone();
        lifecycle.started(name, LIMIT, async move |_deadline| {
            events.note(name);
            Ok::<(), String>(())
        });
    }
}

fn outcomes(report: &StopReport) -> Vec<(&'static str, StopOutcome)> {
    report.parts.iter().map(|part| (part.name, part.outcome.clone())).collect()
}

#[tokio::test]
async fn parts_stop_in_reverse() {
    let events = Events::default();
    let mut lifecycle = Lifecycle::new();
    for name in ["database", "shards", "server"] {
        events.part(&mut lifecycle, name);
    }
    assert_eq!(format!("{lifecycle:?}"), r#"["database", "shards", "server"]"#);
    let report = lifecycle.stop().await;
    assert_eq!(events.all(), ["server", "shards", "database"]);
    assert!(report.is_clean());
    assert_eq!(report.to_string(), "everything stopped");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_hangs_or_panics_does_not_keep_the_others_from_stopping() {
    let events = Events::default();
    let mut lifecycle = Lifecycle::new();
    events.part(&mut lifecycle, "first");
    lifecycle.started("broken", LIMIT, async |_| Err("no route to host"));
    lifecycle.started("hanging", LIMIT, async |_| {
        std::future::pending::<()>().await;
        Ok::<(), String>(())
    });
    lifecycle.started("panicking", LIMIT, async |_| -> Result<(), String> {
        panic!("what now");
    });
    lifecycle.started("hasty", LIMIT, |_| -> std::future::Ready<Result<(), String>> {
        panic!("before any await");
    });
    events.part(&mut lifecycle, "last");

    let report = lifecycle.stop().await;
    assert_eq!(events.all(), ["last", "first"]);
    assert_eq!(
        outcomes(&report),
        [
            ("last", StopOutcome::Stopped),
            ("hasty", StopOutcome::Failed("panicked: before any await".to_owned())),
            ("panicking", StopOutcome::Failed("panicked: what now".to_owned())),
            ("hanging", StopOutcome::TookTooLong { limit: LIMIT }),
            ("broken", StopOutcome::Failed("no route to host".to_owned())),
            ("first", StopOutcome::Stopped),
        ]
    );
    assert_eq!(report.parts[3].took, LIMIT);
    assert_eq!(
        report.to_string(),
        "hasty could not be stopped: panicked: before any await; \
         panicking could not be stopped: panicked: what now; \
         hanging did not stop within 5s; \
         broken could not be stopped: no route to host"
    );
}

#[tokio::test(start_paused = true)]
async fn each_part_has_its_own_time_and_is_told_of_it() {
    let mut lifecycle = Lifecycle::new();
    for name in ["one", "two"] {
        lifecycle.started(name, LIMIT, async |deadline: Deadline| {
            tokio::time::sleep(deadline.remaining() - Duration::from_secs(1)).await;
            Ok::<(), String>(())
        });
    }
    let report = lifecycle.stop().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.parts[1].took, Duration::from_secs(4));
}

#[tokio::test]
async fn a_failed_start_stops_what_had_started() {
    let events = Events::default();
    let failed = Lifecycle::start(async |lifecycle| {
        events.part(lifecycle, "database");
        lifecycle.started("queue", LIMIT, async |_| Err("gone"));
        Err::<(), _>(std::io::Error::other("port 8080 is taken"))
    });
    let failed = failed.await.unwrap_err();
    assert_eq!(events.all(), ["database"]);
    assert_eq!(
        failed.to_string(),
        "port 8080 is taken (and then: queue could not be stopped: gone)"
    );
}

#[tokio::test]
async fn a_start_gives_what_it_made_and_stops_nothing() {
    let events = Events::default();
    let started = Lifecycle::start(async |lifecycle| {
        events.part(lifecycle, "database");
        Ok::<_, String>(8080)
    });
    let (lifecycle, port) = started.await.unwrap();
    assert_eq!(port, 8080);
    assert!(events.all().is_empty());
    assert!(lifecycle.stop().await.is_clean());
    assert_eq!(events.all(), ["database"]);
}

#[tokio::test]
async fn a_part_that_cannot_be_started_is_named() {
    let events = Events::default();
    let failed = Lifecycle::start(async |lifecycle: &mut Lifecycle| -> Result<(), _> {
        lifecycle.starting("shards");
        events.part(lifecycle, "shards");
        lifecycle.starting("database");
        Err("no route to host")
    });
    let failed = failed.await.unwrap_err();
    assert_eq!(failed.part, Some("database"));
    assert_eq!(failed.to_string(), "database could not be started: no route to host");
    assert_eq!(events.all(), ["shards"]);

    // Between two parts nobody is to blame.
    let failed = Lifecycle::start(async |lifecycle: &mut Lifecycle| -> Result<(), _> {
        lifecycle.starting("shards");
        events.part(lifecycle, "shards");
        Err("two metrics have one name")
    });
    let failed = failed.await.unwrap_err();
    assert_eq!((failed.part, failed.to_string().as_str()), (None, "two metrics have one name"));
}
