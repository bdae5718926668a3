//! What is named as the bottleneck, from made-up scrapes of services that have one.

use super::*;
use crate::scenario::Scenario;
use crate::scrape::{Core, MachineChange, Memory, Sample, Scrape};

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
        latencies_us: None,
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
    let before = "tenfold_db_pool_hold_seconds_sum 0\ntenfold_db_pool_wait_seconds_sum{outcome=\"served\"} 0\n\
                  tenfold_db_pool_wait_seconds_count{outcome=\"served\"} 0\n";
    let after = "tenfold_db_pool_hold_seconds_sum 7.8\ntenfold_db_pool_wait_seconds_sum{outcome=\"served\"} 20\n\
                 tenfold_db_pool_wait_seconds_count{outcome=\"served\"} 400\n\
                 tenfold_db_pool_connections_max 8\n\
                 tenfold_db_pool_connections{state=\"used\"} 1\n\
                 tenfold_db_pool_refused_total{reason=\"full\"} 3\nprocess_cpu_seconds_total 0.3\n";
    check(
        [(before, before), (before, after)],
        Resource::Pool,
        0.975,
        "7.8 of the 8 connections that there may be were in use on average, and 400 requests \
         waited 50.0 ms for one on average, 3 got none",
    );
}

/// Statements on the shared lane that have taken so many seconds together.
fn statements(seconds: f64, count: u32) -> String {
    format!(
        "tenfold_db_statement_seconds_sum{{lane=\"shared\"}} {seconds}\n\
         tenfold_db_statement_seconds_count{{lane=\"shared\"}} {count}\n\
         tenfold_db_shared_in_flight_max 64\n"
    )
}

#[test]
fn a_shared_lane_that_is_full_is_named() {
    check(
        [("", ""), (&statements(0.0, 0), &statements(60.8, 300))],
        Resource::SharedLane,
        0.95,
        "60.8 statements were in flight on average, of the 64 that may be, and each took 202.67 ms",
    );
}

#[test]
fn statements_that_take_many_times_as_long_as_before_are_named() {
    let (quiet, loaded) = (statements(0.05, 100), statements(2.05, 300));
    check(
        [(&statements(0.0, 0), &quiet), (&quiet, &loaded)],
        Resource::SharedLane,
        0.95,
        "2.0 statements were in flight on average, of the 64 that may be, and each took 10.00 ms, \
         0.50 ms when the service was quiet",
    );
}

/// A shard that does not come to read them makes answers late, and holds what they came on.
#[test]
fn a_busy_shard_is_named_before_what_waits_for_it() {
    let (quiet, loaded) = (statements(0.05, 100), statements(20.05, 300));
    let after = format!(
        "tenfold_shard_busy_seconds_total{{shard=\"0\"}} 0.96\n{loaded}\
         tenfold_db_pool_hold_seconds_sum 2\ntenfold_db_pool_connections_max 2\n\
         tenfold_http_refused_total{{reason=\"full\"}} 100\n"
    );
    let before = format!("tenfold_shard_busy_seconds_total{{shard=\"0\"}} 0\n{quiet}");
    let ranked = told([(&statements(0.0, 0), &quiet), (&before, &after)]).ranked;
    let names: Vec<_> = ranked.iter().map(|one| one.resource.name()).collect();
    assert_eq!(names, ["event loop", "connection pool", "door", "shared lane"], "{ranked:#?}");
}

#[test]
fn one_statement_now_and_then_is_no_full_lane() {
    let (quiet, loaded) = (statements(0.05, 100), statements(0.75, 300));
    let bottleneck = told([(&statements(0.0, 0), &quiet), (&quiet, &loaded)]);
    assert_eq!(bottleneck.first(), None, "{bottleneck:?}");
}

#[test]
fn threads_for_work_that_are_all_busy_are_named() {
    let before = "tenfold_offload_run_seconds_sum 4\n";
    let after = "tenfold_offload_wait_seconds_sum 9\ntenfold_offload_wait_seconds_count 10\n\
                 tenfold_offload_run_seconds_sum 5.9\ntenfold_offload_run_seconds_count 10\n\
                 tenfold_offload_threads 2\ntenfold_offload_refused_total{reason=\"full\"} 7\n";
    check(
        [("", ""), (before, after)],
        Resource::Offload,
        0.95,
        "its threads for CPU work (2) were busy 95 % of the time, and 10 pieces of work waited \
         900.0 ms for one on average, 7 came to nothing",
    );
}

#[test]
fn a_service_can_use_no_more_cores_than_it_has_threads() {
    let page = |seconds: f64| {
        format!(
            "process_cpu_seconds_total {seconds}\ntenfold_cores 8\ntenfold_offload_threads 2\n\
             tenfold_shard_busy_seconds_total{{shard=\"0\"}} 0\n"
        )
    };
    check(
        [("", ""), (&page(1.0), &page(3.94))],
        Resource::ProcessCpu,
        0.98,
        "its process used 2.94 of 3 cores that its shards and offload threads can use",
    );
}

/// What a service with prom-client 15 told on Node.js 20 while each request kept its event loop
/// for 4 ms; only its processor time is made up, so that it fits the second between the looks.
#[test]
fn node_is_understood() {
    let quiet = "process_cpu_user_seconds_total 0.01\nprocess_cpu_system_seconds_total 0.005\n\
                 process_cpu_seconds_total 0.01535\nprocess_open_fds 22\nprocess_max_fds 20000\n\
                 nodejs_eventloop_lag_seconds 0\nnodejs_eventloop_lag_min_seconds 0.010043392\n\
                 nodejs_eventloop_lag_p99_seconds 0.010264575\n";
    let loaded = "process_cpu_user_seconds_total 0.93\nprocess_cpu_system_seconds_total 0.04\n\
                  process_cpu_seconds_total 0.97535\nprocess_open_fds 22\nprocess_max_fds 20000\n\
                  nodejs_eventloop_lag_seconds 0.006525709\n\
                  nodejs_eventloop_lag_p99_seconds 0.013893631\n\
                  nodejs_active_handles{type=\"Server\"} 1\n\
                  nodejs_version_info{version=\"v20.20.2\",major=\"20\",minor=\"20\",patch=\"2\"} 1\n";
    check(
        [(quiet, quiet), (quiet, loaded)],
        Resource::EventLoop,
        0.96,
        "Node.js runs on one core, of which its process used 96 %; its event loop came round after \
         13.9 ms (p99), 10.3 ms when the service was quiet",
    );
}

/// The same with threads of its own for the work: whatever its processor time, the loop is named
/// only where it says itself that it was full.
#[test]
fn workers_of_node_are_not_its_event_loop() {
    let page = |cpu: f64, p50_ms: f64, more: &str| {
        format!(
            "process_cpu_seconds_total {cpu}\nnodejs_eventloop_lag_p50_seconds {}\n\
             nodejs_eventloop_lag_p99_seconds {}\n{more}",
            p50_ms / 1e3,
            p50_ms * 1.02 / 1e3
        )
    };
    let named = |cpu: f64, p50_ms: f64, more: &str| {
        let (quiet, loaded) = (page(0.01, 10.1, ""), page(0.01 + cpu, p50_ms, more));
        let ranked = told([(&quiet, &quiet), (&quiet, &loaded)]).ranked;
        let event_loop = ranked.iter().find(|one| one.resource == Resource::EventLoop);
        event_loop.map(|one| one.share)
    };
    assert_eq!(named(0.96, 10.1, ""), None, "one worker, and a loop with nothing to do");
    assert_eq!(named(3.1, 10.1, ""), None);
    assert_eq!(named(3.1, 25.0, ""), None, "late for want of a core, or full: nobody knows");
    assert!(named(0.96, 13.0, "").is_some_and(|share| (share - 0.96).abs() < 0.01));
    for told in [
        "nodejs_eventloop_utilization 0.97\n",
        "nodejs_eventloop_utilization_ratio 0.97\n",
        "nodejs_eventloop_utilization_histogram_sum 97\n\
         nodejs_eventloop_utilization_histogram_count 100\n",
        "nodejs_eventloop_time_seconds_total{nodejs_eventloop_state=\"active\"} 0.97\n\
         nodejs_eventloop_time_seconds_total{nodejs_eventloop_state=\"idle\"} 0.03\n",
    ] {
        let share = named(3.1, 25.0, told).unwrap_or_default();
        assert!((share - 0.97).abs() < 0.01, "{told}: {share}");
        let idle = told.replace("0.97", "0.05").replace("97", "5");
        let share = named(0.96, 13.0, &idle).unwrap_or_default();
        assert!((share - 0.05).abs() < 0.01, "{idle}: {share}");
    }
}

/// The names of the collectors of client_golang.
#[test]
fn go_is_understood() {
    let go = "process_cpu_seconds_total 3.9\ngo_goroutines 412\ngo_sched_gomaxprocs_threads 4\n";
    check(
        [("", ""), ("process_cpu_seconds_total 0", go)],
        Resource::ProcessCpu,
        0.975,
        "its process used 3.90 of 4 cores that GOMAXPROCS allows",
    );
}

#[test]
fn one_core_one_connection_and_one_request_are_not_many() {
    let go = "process_cpu_seconds_total 0.98\ngo_sched_gomaxprocs_threads 1\n";
    check(
        [("", ""), ("process_cpu_seconds_total 0", go)],
        Resource::ProcessCpu,
        0.98,
        "its process used 0.98 of 1 core that GOMAXPROCS allows",
    );
    let pool = "tenfold_db_pool_hold_seconds_sum 0.9\ntenfold_db_pool_connections_max 1\n\
                tenfold_db_pool_wait_seconds_sum{outcome=\"served\"} 0.5\ntenfold_db_pool_wait_seconds_count{outcome=\"served\"} 1\n";
    check(
        [("", ""), ("", pool)],
        Resource::Pool,
        0.9,
        "0.9 of the 1 connection that there may be were in use on average, and 1 request waited \
         500.0 ms for one on average",
    );
    let alone = |busy_share| {
        let mut seen = on(busy_share, 2000, seen("", ""));
        let core = Core { number: 0, busy_share };
        let machine = seen.change.machine.as_mut().unwrap();
        (machine.cores, machine.shared) = (1, Some(core));
        seen
    };
    let named = machine(alone(0.2), alone(0.9));
    assert_eq!(
        named.ranked[0].evidence,
        "the machine's only core was busy 90 % of the time; the generator used 0.30 of one"
    );
}

/// A machine of two cores in a probe of one second.
fn on(busy_share: f64, available_mib: u64, seen: Seen) -> Seen {
    let memory = Memory { total: 4096 << 20, available: available_mib << 20 };
    let machine =
        MachineChange { cores: 2, busy_share, others: None, shared: None, memory: Some(memory) };
    Seen { change: Change { machine: Some(machine), ..seen.change }, ..seen }
}

#[track_caller]
fn machine(quiet: Seen, loaded: Seen) -> Bottleneck {
    let probes = [probe(100.0, Verdict::Held), probe(200.0, Verdict::NotHeld)];
    of(&probes, &[quiet, loaded], true).unwrap()
}

#[test]
fn a_core_that_is_full_is_the_reason_and_what_waits_for_it_is_not() {
    let statements = "tenfold_db_shared_in_flight_max 64\n\
                      tenfold_db_statement_seconds_sum{lane=\"shared\"} 60\n\
                      tenfold_db_statement_seconds_count{lane=\"shared\"} 1500\n\
                      process_cpu_seconds_total 0.19\n";
    let before = "tenfold_db_statement_seconds_sum{lane=\"shared\"} 0\n\
                  tenfold_db_statement_seconds_count{lane=\"shared\"} 0\n\
                  process_cpu_seconds_total 0\n";
    let core = |busy_share| {
        let mut seen = on(0.54, 2000, seen(before, statements));
        let core = Core { number: 0, busy_share };
        seen.change.machine.as_mut().unwrap().others = Some(core);
        seen
    };
    let named = machine(core(0.4), core(0.98));
    assert_eq!(named.ranked[1].resource, Resource::SharedLane);
    assert!(named.ranked[1].share >= 0.9, "where the line stands is told as well: {named:?}");
    assert_eq!(named.ranked[0].resource, Resource::MachineCpu);
    assert_eq!(
        named.ranked[0].evidence,
        "core 0 of the machine's 2 was busy 98 % of the time, all together 54 %; the generator had \
         another, the service's own process 0.19, so most of it was somebody else's, such as a \
         database on this machine"
    );
    let mut own = core(0.98);
    let page = "tenfold_shard_busy_seconds_total{shard=\"0\"} 0.96\n";
    own.change.after = Scrape::parse(&format!("{statements}{page}"));
    let named: Vec<Resource> =
        machine(core(0.4), own).ranked.iter().map(|one| one.resource).collect();
    assert_eq!(named[..2], [Resource::EventLoop, Resource::MachineCpu], "its own fills the core");
    let neighbour = machine(core(0.9), core(0.98));
    assert_eq!(neighbour.ranked[0].resource, Resource::SharedLane, "it was as full before");
}

#[test]
fn a_machine_that_is_full_comes_before_what_waits_for_it_unless_it_is_full_of_the_generator() {
    let pool = "tenfold_db_pool_hold_seconds_sum 2\ntenfold_db_pool_connections_max 2\n";
    let at = |generator_ms| {
        let loaded = Seen {
            generator_cpu: Duration::from_millis(generator_ms),
            ..on(0.97, 1900, seen("", pool))
        };
        machine(on(0.3, 2000, seen("", "")), loaded).ranked[0].resource
    };
    assert_eq!(at(300), Resource::MachineCpu);
    assert_eq!(at(1800), Resource::Pool);
}

#[test]
fn a_machine_that_is_used_up_is_named_and_what_others_use_is_told() {
    let pool = "tenfold_db_pool_hold_seconds_sum 1.9\ntenfold_db_pool_connections_max 2\n";
    let full = || seen("", pool);
    let named = machine(on(0.3, 2000, full()), on(0.99, 1900, full()));
    assert_eq!(named.ranked[0].resource, Resource::MachineCpu);
    assert_eq!(
        named.ranked[0].evidence,
        "the machine's 2 cores were busy 99 % of the time; the generator used 0.30 of one"
    );
    let others = machine(on(0.9, 2000, full()), on(0.99, 1900, full()));
    assert_eq!(others.ranked[0].resource, Resource::Pool);
    let told = &others.ranked[1].evidence;
    assert!(told.ends_with("busy 90 % already at a rate that was held: other programs run"));
}

#[test]
fn memory_that_a_load_takes_is_named_and_what_was_gone_before_is_not() {
    let gone = machine(on(0.1, 400, seen("", "")), on(0.1, 390, seen("", "")));
    assert_eq!(gone.first(), None, "{gone:?}");
    let resident = |mib: u64| format!("process_resident_memory_bytes {}\n", mib << 20);
    let taken =
        machine(on(0.1, 2000, seen("", "")), on(0.1, 200, seen(&resident(50), &resident(1850))));
    assert_eq!(
        taken.first().unwrap().to_string(),
        "memory 90 %: 200 MiB were left, 2000 MiB at a rate that was held; its process had 1850 \
         MiB, +1800 MiB during the probe"
    );
}

#[test]
fn a_door_that_turns_away_most_is_named_if_nothing_behind_it_was_full() {
    let after = "tenfold_http_refused_total{reason=\"full\"} 900\n\
                 tenfold_http_refused_total{reason=\"late\"} 10\n\
                 tenfold_http_requests_total{status=\"503\"} 910\n\
                 tenfold_http_requests_total{status=\"200\"} 90\n\
                 tenfold_http_request_seconds_sum 6.5\ntenfold_http_door_inside_max 8\n";
    let evidence = "6.5 requests were inside or waited at it on average, and it lets 8 in; it turned \
                    910 per second away, most of them for full";
    check([("", ""), ("", after)], Resource::Door, 0.91, evidence);
    let pool = "tenfold_db_pool_hold_seconds_sum 3.4\ntenfold_db_pool_connections_max 4\n";
    let ranked = told([("", ""), ("", &format!("{pool}{after}"))]).ranked;
    assert_eq!(ranked[0].resource, Resource::Pool, "{ranked:?}");
    assert_eq!(ranked[1].resource, Resource::Door, "{ranked:?}");
}

/// What is said of a service whose page changed like this and that did not hold its only rate.
fn untold(before: &str, after: &str, metrics: bool) -> String {
    let bottleneck =
        of(&[probe(200.0, Verdict::NotHeld)], &[seen(before, after)], metrics).unwrap();
    assert_eq!(bottleneck.first(), None);
    bottleneck.unknown.unwrap()
}

#[test]
fn what_cannot_be_known_is_told() {
    let idle = "process_cpu_seconds_total 1\ngo_sched_gomaxprocs_threads 2\n";
    let unknown = untold(idle, idle, true);
    assert!(unknown.contains("(looked at: process CPU)"), "{unknown}");
    let elsewhere = "the memory of its machine cannot be seen from here";
    assert!(unknown.ends_with(elsewhere), "{unknown}");

    let unknown = untold("", "", false);
    assert!(unknown.contains("(looked at: nothing)"), "{unknown}");
    assert!(unknown.contains("give the address where it speaks to Prometheus"), "{unknown}");
    assert!(unknown.contains(elsewhere), "{unknown}");

    let unknown = untold("up 1", "up 1", true);
    assert!(unknown.contains("no process_cpu_seconds_total, so its processor time"), "{unknown}");
    let unknown = untold("process_cpu_seconds_total 1", "process_cpu_seconds_total 2.5", true);
    assert!(unknown.contains("its process used 1.50 cores, but not even"), "{unknown}");
    let unknown = untold("", "process_open_fds 1000\nprocess_max_fds 1024\n", true);
    assert!(unknown.contains("1000 of the 1024 files"), "{unknown}");

    let mut unread = seen("", "");
    unread.change.trouble = Some("status 404".to_owned());
    let probes = [probe(200.0, Verdict::NotHeld)];
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

#[test]
fn what_cannot_be_is_not_believed() {
    let page = |cpu: &str, busy: &str, memory: &str| {
        format!(
            "process_cpu_seconds_total {cpu}\ngo_sched_gomaxprocs_threads 2\n\
             tenfold_shard_busy_seconds_total{{shard=\"0\"}} {busy}\n\
             process_resident_memory_bytes {memory}\n"
        )
    };
    let before = page("1", "1", "1e6");
    for (cpu, busy, memory) in [
        ("NaN", "NaN", "NaN"),
        ("-5", "-5", "-5"),
        ("1e9", "1e9", "1e17"),
        ("+Inf", "1e99", "1e99"),
    ] {
        let after = page(cpu, busy, memory);
        let bottleneck = told([(&before, &before), (&before, &after)]);
        assert!(bottleneck.first().is_none(), "{bottleneck:?}");
        let unknown = bottleneck.unknown.as_deref().unwrap();
        assert!(unknown.contains("processor time is unknown"), "{unknown}");
        let said = format!("{bottleneck:?}");
        for nonsense in ["NaN", "inf ", "-4", "-5", "1e", "100000000 %"] {
            assert!(!said.contains(nonsense), "{nonsense}: {said}");
        }
    }
}
