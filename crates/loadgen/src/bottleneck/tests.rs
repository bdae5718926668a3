//! What is named as the bottleneck, from made-up scrapes of services that have one.

use super::*;
use crate::scenario::Scenario;
use crate::scrape::{Sample, Scrape};

/// A probe of one second during which the service's page changed like this.
fn seen(before: &str, after: &str) -> Seen {
    let scenario = Scenario::get("http://10.0.0.1/").unwrap();
    let sample = Sample::take(&scenario, None);
    let change = Change {
        elapsed: Duration::from_secs(1),
        before: Scrape::parse(before),
        after: Scrape::parse(after),
        ..sample.until(&sample)
    };
    Seen { change, generator_cpu: Duration::from_millis(300) }
}

fn probe(rate: f64, verdict: Verdict) -> ProbeReport {
    ProbeReport {
        rate,
        offered_per_second: rate,
        good_share: 1.0,
        goodput_per_second: rate,
        p50_ms: None,
        p99_ms: None,
        concurrency: 1.0,
        throughput_per_second: rate,
        trend: None,
        verdict,
        why: String::new(),
        validity: String::new(),
        cpu_share: 0.0,
    }
}

/// What is said of a service that held 100 per second and not 200, with these pages.
fn told([quiet, loaded]: [(&str, &str); 2]) -> Bottleneck {
    let probes = [probe(100.0, Verdict::Held), probe(200.0, Verdict::NotHeld)];
    of(&probes, &[seen(quiet.0, quiet.1), seen(loaded.0, loaded.1)], true).unwrap()
}

#[track_caller]
fn check(pages: [(&str, &str); 2], resource: Resource, share: f64, evidence: &str) {
    let bottleneck = told(pages);
    let first = bottleneck.first().unwrap();
    assert_eq!(first.resource, resource, "{bottleneck:?}");
    assert!((first.share - share).abs() < 0.005, "{bottleneck:?}");
    assert_eq!(first.evidence, evidence);
    assert_eq!(bottleneck.unknown, None);
}

#[test]
fn a_shard_that_never_sleeps_is_named() {
    let before = "tenfold_shard_busy_seconds_total{shard=\"0\"} 5\n\
                  tenfold_shard_busy_seconds_total{shard=\"1\"} 5\nprocess_cpu_seconds_total 1\n";
    let after = "tenfold_shard_busy_seconds_total{shard=\"0\"} 5.2\n\
                 tenfold_shard_busy_seconds_total{shard=\"1\"} 5.97\nprocess_cpu_seconds_total 2.1\n\
                 tenfold_shard_lag_seconds_bucket{shard=\"1\",le=\"0.025\"} 100\n\
                 tenfold_shard_lag_seconds_bucket{shard=\"1\",le=\"+Inf\"} 100\n";
    check(
        [(before, before), (before, after)],
        Resource::EventLoop,
        0.97,
        "shard 1 of 2 was busy 97 % of the time, and came to its timers up to 25.0 ms late (p99)",
    );
}

#[test]
fn a_pool_whose_connections_are_all_held_is_named() {
    let before = "tenfold_db_pool_hold_seconds_sum 0\ntenfold_db_pool_wait_seconds_sum 0\n\
                  tenfold_db_pool_wait_seconds_count 0\n";
    let after = "tenfold_db_pool_hold_seconds_sum 7.8\ntenfold_db_pool_wait_seconds_sum 20\n\
                 tenfold_db_pool_wait_seconds_count 400\n\
                 tenfold_db_pool_connections{state=\"used\"} 6\n\
                 tenfold_db_pool_connections{state=\"idle\"} 2\n\
                 tenfold_db_pool_connections{state=\"waited_for\"} 90\n\
                 tenfold_db_pool_refused_total{reason=\"full\"} 3\nprocess_cpu_seconds_total 0.3\n";
    check(
        [(before, before), (before, after)],
        Resource::Pool,
        0.975,
        "7.8 of 8 open connections were in use on average, and 400 requests waited 50.0 ms for one \
         on average, 3 got none",
    );
}

#[test]
fn statements_that_take_many_times_as_long_as_before_are_named() {
    let page = |sum: f64, count: u32| {
        format!(
            "tenfold_db_statement_seconds_sum{{lane=\"shared\"}} {sum}\n\
             tenfold_db_statement_seconds_count{{lane=\"shared\"}} {count}\n"
        )
    };
    check(
        [(&page(0.0, 0), &page(0.05, 100)), (&page(0.05, 100), &page(2.05, 300))],
        Resource::SharedLane,
        0.95,
        "a statement took 10.00 ms on average, 0.50 ms when the service was quiet; 2.0 were on \
         their way at a time",
    );
}

#[test]
fn work_that_waits_for_threads_is_named() {
    let after = "tenfold_offload_wait_seconds_sum 9\ntenfold_offload_wait_seconds_count 10\n\
                 tenfold_offload_run_seconds_sum 1\ntenfold_offload_run_seconds_count 10\n";
    check(
        [("", ""), ("", after)],
        Resource::Offload,
        0.9,
        "10 pieces of CPU work waited 900.0 ms for a thread on average, and ran 100.0 ms",
    );
}

#[test]
fn other_languages_are_understood() {
    let after = "process_cpu_seconds_total 0.96\nnodejs_eventloop_lag_seconds 0.01\n\
                 nodejs_eventloop_lag_p99_seconds 0.05\n";
    check(
        [("", ""), ("process_cpu_seconds_total 0", after)],
        Resource::EventLoop,
        0.96,
        "Node.js runs on one core, of which its process used 96 %; its event loop was 50.0 ms late",
    );
    let go = "process_cpu_seconds_total 3.9\ngo_sched_gomaxprocs_threads 4\n";
    check(
        [("", ""), ("process_cpu_seconds_total 0", go)],
        Resource::ProcessCpu,
        0.975,
        "its process used 3.90 of 4 cores that GOMAXPROCS allows",
    );
}

#[test]
fn a_door_that_turns_away_most_is_named() {
    let after = "tenfold_http_refused_total{reason=\"full\"} 900\n\
                 tenfold_http_refused_total{reason=\"late\"} 10\n\
                 tenfold_http_requests_total{status=\"503\"} 910\n\
                 tenfold_http_requests_total{status=\"200\"} 90\n";
    let evidence = "the door turned 910 requests per second away, most of them for full";
    check([("", ""), ("", after)], Resource::Door, 0.91, evidence);
}

#[test]
fn what_cannot_be_known_is_told() {
    let idle = "process_cpu_seconds_total 1\ngo_sched_gomaxprocs_threads 2\n";
    let bottleneck = told([(idle, idle), (idle, idle)]);
    assert_eq!(bottleneck.first(), None);
    let unknown = bottleneck.unknown.unwrap();
    assert!(unknown.contains("(looked at: process CPU)"), "{unknown}");

    let probes = [probe(200.0, Verdict::NotHeld)];
    let unknown = of(&probes, &[seen("", "")], false).unwrap().unknown.unwrap();
    assert!(unknown.contains("give the address where it speaks to Prometheus"), "{unknown}");

    let mut unread = seen("", "");
    unread.change.trouble = Some("status 404".to_owned());
    let unknown = of(&probes, &[unread], true).unwrap().unknown.unwrap();
    assert_eq!(unknown, "its metrics could not be read: status 404");
}

#[test]
fn a_service_that_holds_everything_has_no_bottleneck() {
    assert_eq!(of(&[probe(100.0, Verdict::Held)], &[seen("", "")], true), None);
    assert_eq!(of(&[], &[], true), None);
}

#[test]
fn it_is_looked_at_the_edge_and_not_far_above_it() {
    let probes = [probe(800.0, Verdict::NotHeld), probe(210.0, Verdict::NotHeld)];
    assert_eq!(of(&probes, &[seen("", ""), seen("", "")], true).unwrap().rate, 210.0);
}
