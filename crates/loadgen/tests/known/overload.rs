//! Past the limit: what keeps its goodput, what loses it, what comes back, and when.

use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use tenfold_loadgen::scenario::Retries;
use tenfold_loadgen::{
    Ending, Flood, OverloadError, OverloadEvent, OverloadOptions, OverloadReport, Pause,
    PauseError, Scenario, Variants, past,
};

use crate::servers::{Breaking, Collapsing, Model, Refusing, Server, Workers};

const SERVICE: Duration = Duration::from_millis(10);

/// Clients with little patience, so that those of a long line do not need a thousand connections.
fn scenario(server: &Server) -> Scenario {
    let mut scenario = Scenario::get(&server.url()).unwrap();
    scenario.behaviour.timeout = Duration::from_millis(500);
    scenario
}

fn options(limit: f64, times: &[f64], hold: u64, rest: u64) -> OverloadOptions {
    OverloadOptions {
        times: times.to_vec(),
        hold: Duration::from_secs(hold),
        rest: Duration::from_secs(rest),
        ..OverloadOptions::of_limit(limit)
    }
}

fn offered(model: impl Model, options: &OverloadOptions) -> OverloadReport {
    let server = Server::start(model);
    past(&scenario(&server), options, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn a_service_that_refuses_quickly_keeps_its_goodput_and_is_back_at_once() {
    let report = offered(Refusing(Workers::new(4, SERVICE)), &options(400.0, &[1.0, 4.0], 4, 4));
    let [one, four, after] = report.phases.as_slice() else { panic!("{report:#?}") };
    assert!(one.goodput_per_second > 360.0, "{one:#?}");
    assert!(four.goodput_to_peak > 0.9, "{four:#?}");
    assert!((four.offered_per_second / 1600.0 - 1.0).abs() < 0.01, "{four:#?}");
    assert!(four.count(Ending::Refused) > 3 * four.count(Ending::Good) / 2, "{four:#?}");
    assert!(four.refused.unwrap().p50_ms < four.good.unwrap().p50_ms, "{four:#?}");
    assert!((0.2..0.3).contains(&four.by_class[0].success_share), "{four:#?}");
    assert!(after.by_class[0].success_share > 0.98, "{after:#?}");
    assert!(report.recovery.seconds.unwrap() <= 2.0, "{:?}", report.recovery);
    assert!(report.goodput_peak_per_second() < 450.0, "{report:#?}");
    assert!(report.timeline().buckets().len() >= 12, "{:?}", report.timeline());
}

#[test]
fn a_service_that_collapses_loses_its_goodput_and_stays_down_at_half_the_load() {
    let report = offered(Collapsing(Workers::new(1, SERVICE)), &options(100.0, &[1.0, 3.0], 4, 5));
    let [one, three, after] = report.phases.as_slice() else { panic!("{report:#?}") };
    assert!(one.by_class[0].success_share > 0.95, "{one:#?}");
    assert!(three.goodput_to_peak < 0.3, "{three:#?}");
    assert!(after.goodput_to_peak < 0.3, "{after:#?}");
    // From its third second on there is nothing good in the overload at all.
    let buckets = &report.timeline().buckets()[6..8];
    assert!(buckets.iter().all(|bucket| bucket.count(Ending::Good) <= 10), "{buckets:#?}");
    assert_eq!(report.recovery.seconds, None, "{:?}", report.recovery);
    assert!(report.recovery.why.starts_with("not within 5 s"), "{:?}", report.recovery);
}

#[test]
fn a_line_of_three_seconds_takes_six_to_go_at_half_the_load() {
    let report = offered(Workers::new(2, SERVICE), &options(200.0, &[2.0], 3, 10));
    let seconds = report.recovery.seconds.unwrap();
    assert!((5.0..=7.0).contains(&seconds), "{:?}", report.recovery);
    let [two, _] = report.phases.as_slice() else { panic!("{report:#?}") };
    assert!(two.count(Ending::TimedOut) > two.count(Ending::Good), "{two:#?}");
    assert!(two.valid, "that nobody was free is the service's doing: {two:#?}");
}

#[test]
fn a_service_that_breaks_for_good_has_not_recovered_however_quick_its_errors_are() {
    let model = Breaking { workers: Workers::new(2, SERVICE), broken: false };
    let report = offered(model, &options(200.0, &[3.0], 2, 3));
    assert_eq!(report.recovery.seconds, None);
    assert!(report.recovery.why.contains("0 % were good"), "{:?}", report.recovery);
    assert!(report.phases[1].count(Ending::Wrong) > 200, "{:#?}", report.phases);
}

#[test]
fn stubborn_clients_and_a_flood_are_told_apart_and_a_paused_process_goes_on() {
    let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = sleeper.id() as i32;
    let retries = Retries { max: 2, backoff: Duration::from_millis(20), honour_retry_after: false };
    let pause =
        Pause { pid, after: Duration::from_millis(300), length: Duration::from_millis(500) };
    let variants = Variants {
        retries: Some(retries),
        flood: Some(Flood { clients: 10, share: 0.8 }),
        pause: Some(pause),
        ..Variants::default()
    };
    let options = OverloadOptions { variants, ..options(200.0, &[1.0, 3.0], 1, 1) };
    let server = Server::start(Refusing(Workers::new(2, SERVICE)));
    let mut seen = Vec::new();
    let report = past(&scenario(&server), &options, &mut |event| {
        match event {
            OverloadEvent::Phase { name, .. } => seen.push((*name).to_owned()),
            OverloadEvent::Paused { pid } => seen.push(format!("paused {pid}")),
            OverloadEvent::Continued { pid } => seen.push(format!("continued {pid}")),
            OverloadEvent::Unloaded { .. } | OverloadEvent::Live { .. } => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let (paused, continued) = (format!("paused {pid}"), format!("continued {pid}"));
    assert_eq!(seen, ["1x", &paused, &continued, "3x", "after"]);
    let three = &report.phases[1];
    assert!(three.retries > 100, "{three:#?}");
    assert!(three.offered_per_second > 650.0, "retries are load on top: {three:#?}");
    let classes: Vec<_> = three.by_class.iter().map(|class| class.name.as_str()).collect();
    assert_eq!(classes, ["all", "all (flood)"]);
}

#[test]
fn a_load_that_is_stopped_still_reports() {
    let server = Server::start(Workers::new(4, SERVICE));
    for stop_at in ["unloaded", "live"] {
        let report =
            past(&scenario(&server), &options(100.0, &[1.0, 2.0], 60, 60), &mut |event| match (
                event, stop_at,
            ) {
                (OverloadEvent::Unloaded { .. }, "unloaded") => ControlFlow::Break(()),
                (OverloadEvent::Live { snapshot, .. }, "live")
                    if snapshot.elapsed > Duration::from_secs(1) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            })
            .unwrap();
        assert!(report.stopped, "{report:#?}");
        assert_eq!(report.recovery.seconds, None);
        // What was never offered has no figures; what was cut off is no failure.
        let names: Vec<_> = report.phases.iter().map(|phase| phase.name.as_str()).collect();
        match stop_at {
            "live" => {
                assert_eq!(names, ["1x"]);
                assert!(report.phases[0].by_class[0].success_share > 0.99, "{report:#?}");
            }
            _ => assert!(names.len() <= 1, "{names:?}: it may just have begun"),
        }
    }
}

#[test]
fn what_cannot_be_done_is_told_before_anything_is_offered() {
    let server = Server::start(Workers::new(1, SERVICE));
    let tell = |options: &OverloadOptions| {
        past(&scenario(&server), options, &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    assert!(matches!(tell(&options(100.0, &[], 1, 1)), OverloadError::NoLoad));
    let pause = Pause { pid: 1, after: Duration::ZERO, length: Duration::ZERO };
    let variants = Variants { pause: Some(pause), ..Variants::default() };
    let error = tell(&OverloadOptions { variants, ..options(100.0, &[1.0], 1, 1) });
    assert!(matches!(error, OverloadError::Pause(PauseError::NotOne { pid: 1 })), "{error}");
    let gone = scenario(&server);
    drop(server);
    let error = past(&gone, &options(100.0, &[1.0], 1, 1), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(OverloadError::Unwell { .. })));
}
