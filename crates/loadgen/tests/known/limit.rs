//! The limit that is found is the true one; what breaks, and what does not answer, is said.

use std::ops::ControlFlow;
use std::time::Duration;

use tenfold_loadgen::{
    Found, LimitError, LimitEvent, LimitOptions, Scenario, SearchLimits, Verdict, find,
};

use crate::servers::{Breaking, Collapsing, Dragging, Refusing, Server, Workers};

const SERVICE: Duration = Duration::from_millis(10);

fn options() -> LimitOptions {
    LimitOptions {
        probe: Duration::from_millis(1500),
        search: SearchLimits { rate_max: 5_000.0, ..SearchLimits::default() },
        rest_max: Duration::from_secs(8),
        ..LimitOptions::default()
    }
}

fn scenario(server: &Server) -> Scenario {
    Scenario::get(&server.url()).unwrap()
}

fn silent(_: &LimitEvent<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[track_caller]
fn check_is_near(found: f64, truth: f64) {
    let error = found / truth - 1.0;
    assert!(error.abs() <= 0.05, "{found} was found, {truth} is true");
}

#[test]
fn the_limit_of_four_workers_of_ten_milliseconds_is_400_per_second() {
    let server = Server::start(Workers::new(4, SERVICE));
    let mut live = 0;
    let mut rates = Vec::new();
    let report = find(&scenario(&server), &options(), &mut |event| {
        match event {
            LimitEvent::Live { .. } => live += 1,
            LimitEvent::Probed(report) => rates.push(report.rate),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    check_is_near(report.limit_per_second, 400.0);
    let (from, until) = report.interval;
    assert!(from <= 404.0 && until.unwrap() >= 396.0, "{report:#?}");
    assert!(report.recovers() && !report.stopped, "{report:#?}");
    assert!((9.0..20.0).contains(&report.unloaded.p50_ms), "{report:#?}");
    assert!(live > 10 && rates.len() == report.probes.len(), "{live} {rates:?}");
    let law = report.law.expect("there were enough probes");
    let ten = law.throughput(4.0);
    assert!((200.0..=480.0).contains(&ten), "{law:?}");
    let bottleneck = report.bottleneck.expect("some rates were not held");
    assert!(bottleneck.rate > 380.0 && bottleneck.rate < 450.0, "{bottleneck:?}");
}

#[test]
fn a_service_that_collapses_has_its_limit_before_that_and_comes_back() {
    let server = Server::start(Collapsing(Workers::new(3, SERVICE)));
    let report = find(&scenario(&server), &options(), &mut silent).unwrap();
    check_is_near(report.limit_per_second, 300.0);
    assert!(report.recovers(), "{report:#?}");
}

#[test]
fn the_limit_is_what_a_service_comes_back_to_and_not_what_it_holds_until_the_first_hiccup() {
    let model = Dragging { workers: Workers::new(4, SERVICE), drags: false };
    let server = Server::start(model);
    // Each rate above it is offered for longer, of which there are enough.
    let search = SearchLimits { rate_max: 800.0, resolution: 0.06, ..SearchLimits::default() };
    let options = LimitOptions { search, lasting: Duration::from_secs(3), ..options() };
    let report = find(&scenario(&server), &options, &mut silent).unwrap();
    check_is_near(report.limit_per_second, 312.0);
    let from_rest =
        |probe: &tenfold_loadgen::ProbeReport| probe.rate > 340.0 && probe.verdict == Verdict::Held;
    assert!(report.probes.iter().any(from_rest), "{:#?}", report.probes);
}

#[test]
fn the_limit_of_our_own_connections_is_not_taken_for_the_services() {
    // A hundred at once, each for 40 ms: 2500 per second.
    let server = Server::start(Workers::new(100, 4 * SERVICE));
    let mut scenario = scenario(&server);
    scenario.behaviour.connections_max = Some(4);
    let search = SearchLimits { rate_max: 400.0, ..SearchLimits::default() };
    let options = LimitOptions { search, lasting: Duration::from_secs(2), ..options() };
    let report = find(&scenario, &options, &mut silent).unwrap();
    let Found::GeneratorFirst { held } = report.found else { panic!("{:#?}", report.probes) };
    assert!((45.0..=105.0).contains(&held), "four connections do 100 per second: {held}");
    let why = |probe: &tenfold_loadgen::ProbeReport| probe.validity.contains("its 4 connections");
    assert!(report.probes.iter().any(why), "{:#?}", report.probes);
    scenario.behaviour.connections_max = None;
    let report = find(&scenario, &options, &mut silent).unwrap();
    assert_eq!(report.found, Found::NoLimit { held: 400.0 }, "{:#?}", report.probes);
}

#[test]
fn a_service_that_refuses_has_its_limit_where_it_begins_to() {
    let server = Server::start(Refusing(Workers::new(5, SERVICE)));
    let report = find(&scenario(&server), &options(), &mut silent).unwrap();
    check_is_near(report.limit_per_second, 500.0);
    let refused = report.probes.iter().find(|probe| probe.verdict == Verdict::NotHeld).unwrap();
    assert!(refused.why.contains("refused"), "{refused:?}");
}

#[test]
fn a_service_that_never_recovers_ends_the_search_and_that_is_said() {
    let server = Server::start(Breaking { workers: Workers::new(4, SERVICE), broken: false });
    let options = LimitOptions { rest_max: Duration::from_secs(1), ..options() };
    let report = find(&scenario(&server), &options, &mut silent).unwrap();
    let unrecovered = report.unrecovered.clone().expect("it is broken for good");
    assert!(!report.recovers());
    assert!(unrecovered.after_rate > 400.0, "{unrecovered:?}");
    assert!(unrecovered.waited >= Duration::from_millis(500), "{unrecovered:?}");
    assert!(unrecovered.why.contains("wrong"), "{unrecovered:?}");
    assert!(matches!(report.found, Found::Limit { .. }), "{report:#?}");
    assert!((100.0..=404.0).contains(&report.limit_per_second), "{report:#?}");
    assert!(report.interval.1.unwrap() >= 404.0, "{report:#?}");

    // And whoever begins with it learns that there is nothing to search for.
    let error = find(&scenario(&server), &options, &mut silent).unwrap_err();
    assert!(matches!(error, LimitError::Unwell { .. }), "{error}");
}

#[test]
fn a_search_that_is_stopped_still_reports() {
    let server = Server::start(Workers::new(4, SERVICE));
    for stop_at in ["resting", "probing", "live", "probed"] {
        let report = find(&scenario(&server), &options(), &mut |event| {
            let name = match event {
                LimitEvent::Resting { .. } => "resting",
                LimitEvent::Probing { .. } => "probing",
                LimitEvent::Live { .. } => "live",
                LimitEvent::Probed(_) => "probed",
            };
            if name == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert!(report.stopped, "{stop_at}: {report:#?}");
        assert!(report.probes.len() <= 1, "{stop_at}: {report:#?}");
        assert!(matches!(report.found, Found::Unfinished { .. }), "{stop_at}: {report:#?}");
    }
}

#[test]
fn nobody_there_is_an_error_and_not_a_limit_of_nothing() {
    let gone = Server::start(Workers::new(1, SERVICE));
    let scenario = scenario(&gone);
    drop(gone);
    let error = find(&scenario, &options(), &mut silent).unwrap_err();
    assert!(error.to_string().contains("failed"), "{error}");
}

#[test]
fn no_more_is_offered_than_is_worth_it_even_at_first() {
    let server = Server::start(Workers::new(4, SERVICE));
    let search = SearchLimits { rate_max: 50.0, ..SearchLimits::default() };
    let options = LimitOptions { search, rate_first: Some(200.0), ..options() };
    let report = find(&scenario(&server), &options, &mut silent).unwrap();
    assert_eq!(report.found, Found::NoLimit { held: 50.0 });
    assert!(report.probes.iter().all(|probe| probe.rate <= 50.0), "{:?}", report.probes);
}

#[test]
fn what_was_held_is_known_even_when_the_search_is_stopped_right_after() {
    let server = Server::start(Workers::new(4, SERVICE));
    let mut probed = false;
    let report = find(&scenario(&server), &options(), &mut |event| match event {
        LimitEvent::Probed(_) => {
            probed = true;
            ControlFlow::Continue(())
        }
        LimitEvent::Resting { .. } if probed => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .unwrap();
    assert!(report.stopped && report.probes.len() == 1, "{report:?}");
    assert_eq!(report.found, Found::Unfinished { held: report.probes[0].rate });
}
