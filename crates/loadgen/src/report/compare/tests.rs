//! What is a change, and what is noise.

use hdrhistogram::Histogram;

use super::*;
use crate::report::sample::report;

fn find<'c>(comparison: &'c Comparison, name: &str) -> &'c Change {
    comparison.changes.iter().find(|change| change.name == name).unwrap()
}

#[test]
fn a_report_is_no_better_than_itself() {
    let comparison = report().compare(&report());
    assert!(comparison.changes.len() > 10);
    for change in &comparison.changes {
        assert_eq!((change.significance, change.ratio), (Significance::Noise, 1.0), "{change:?}");
        assert_eq!(change.old, change.new);
    }
    assert!(comparison.caveats.is_empty());
}

#[test]
fn within_the_spread_it_is_noise_and_beyond_it_has_a_direction() {
    let (old, mut new) = (report(), report());
    for (limit, expected) in [
        (395.0, Significance::Noise),
        (412.0, Significance::Noise),
        (300.0, Significance::Worse),
        (800.0, Significance::Better),
    ] {
        let found = new.limit.as_mut().unwrap();
        (found.limit_per_second, found.interval) = (limit, (limit * 0.99, Some(limit * 1.02)));
        let comparison = new.compare(&old);
        assert_eq!(find(&comparison, "limit").significance, expected, "{limit}");
    }
    assert_eq!(find(&new.compare(&old), "limit").new, "800/s");
}

#[test]
fn quicker_is_better() {
    let (old, mut new) = (report(), report());
    new.limit.as_mut().unwrap().unloaded.p50_ms = 1.0;
    let comparison = new.compare(&old);
    let change = find(&comparison, "unloaded p50");
    assert_eq!(change.significance, Significance::Better);
    assert_eq!((change.old.as_str(), change.new.as_str()), ("2.1 ms", "1 ms"));
    assert_eq!(find(&old.compare(&new), "unloaded p50").significance, Significance::Worse);
}

/// The median of a load in which everybody waited for as long, for so many seconds.
fn median(latency_us: u64, seconds: usize) -> Figure {
    let mut latencies_us = Histogram::new(3).unwrap();
    latencies_us.record_n(latency_us, 1_000 * seconds as u64).unwrap();
    let seen = Attempts { latencies_us: vec![(Ending::Good, latencies_us)], ..Attempts::default() };
    let mut course = report().run.unwrap().course;
    course.slices.truncate(1);
    course.slices[0].latency_ms = Some([latency_us as f64 / 1e3; 4]);
    course.slices = vec![course.slices[0].clone(); seconds];
    latencies("", &seen, &course, Some(&(0..seconds))).swap_remove(0)
}

#[test]
fn a_latency_that_is_a_tenth_higher_in_the_next_run_is_noise() {
    let significance = |old: (u64, usize), new: (u64, usize)| {
        Change::of(&median(old.0, old.1), &median(new.0, new.1)).significance
    };
    assert_eq!(significance((10_000, 6), (11_900, 6)), Significance::Noise);
    assert_eq!(significance((10_000, 6), (13_000, 6)), Significance::Worse);
    assert_eq!(significance((13_000, 6), (10_000, 6)), Significance::Better);
    // How threads wake up is no property of a service.
    assert_eq!(significance((86, 6), (115, 6)), Significance::Noise);
    assert_eq!(significance((86, 6), (160, 6)), Significance::Worse);
    // Of one second nobody knows how much it moves.
    assert_eq!(significance((10_000, 1), (13_000, 1)), Significance::Noise);
    assert_eq!(significance((10_000, 1), (20_000, 1)), Significance::Worse);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (old, mut new) = (report(), report());
    new.target = "http://other:1".to_owned();
    new.scenario = String::new();
    new.run.as_mut().unwrap().load = "less".to_owned();
    let said = new.compare(&old).to_string();
    assert!(said.contains("Another address was asked: http://127.0.0.1:8080 then"), "{said}");
    assert!(said.contains("The scenario is not the same."), "{said}");
    assert!(said.contains("Another load: 400, 800 and 4,000 per second then, less now."), "{said}");
    new.run = None;
    assert!(new.compare(&old).changes.iter().all(|change| change.name != "goodput"));
}

#[test]
fn ratios_are_spoken_as_people_do() {
    let spoken = [1.0, 1.123, 0.5, 3.12, f64::NAN, f64::INFINITY].map(changed);
    assert_eq!(spoken, ["same", "+12.3 %", "-50.0 %", "×3.1", "–", "–"]);
}

#[test]
fn of_what_never_ended_nothing_is_a_part() {
    let mut old = report();
    old.overload.as_mut().unwrap().recovery.seconds = None;
    let comparison = report().compare(&old);
    let recovery = comparison.changes.iter().find(|change| change.name == "recovery").unwrap();
    assert_eq!((recovery.old.as_str(), recovery.significance), ("never", Significance::Better));
    assert_eq!(changed(recovery.ratio), "–");
}
