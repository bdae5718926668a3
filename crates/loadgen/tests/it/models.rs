//! Open and closed loops, a generator that cannot keep up, and ends before the time.

use tenfold_loadgen::{Ending, Limit, NotOffered, Run, Schedule, Spacing, Validity};

use crate::server::{Reply, Server};
use crate::{SECOND, ms, run, scenario};

const GET: &str = "[[request]]\npath = \"/\"\n";

/// Answers at once, but in the last 400 ms of every 2 s not at all.
fn stalls() -> Server {
    let started = tokio::time::Instant::now();
    Server::start(1000, move |_| {
        let into_period = started.elapsed().as_millis() % 2000;
        let stalled = into_period.saturating_sub(1600);
        Reply::ok("").takes(ms(if stalled > 0 { 400 - stalled as u64 } else { 0 }))
    })
}

#[test]
fn a_stall_is_seen_by_an_open_loop_and_hidden_by_a_closed_one() {
    let p99_ms = |run: Run| {
        let total = run.run().unwrap().record.total();
        total.latencies_us(&[Ending::Good]).value_at_quantile(0.99) as f64 / 1e3
    };
    let server = stalls();
    let scenario = scenario(&server.url(), GET);
    let open = p99_ms(Run::open(&scenario, Schedule::constant(200.0, 4 * SECOND)));
    let closed = p99_ms(Run::closed(&scenario, 2, ms(0), 4 * SECOND));
    println!(
        "p99 of a service that stalls for 400 ms every 2 s: open {open} ms, closed {closed} ms"
    );
    assert!(open > 250.0, "a fifth of those who came met the stall: {open} ms");
    assert!(closed < open / 2.0, "but two users met it twice each: {closed} ms");
}

#[test]
fn users_of_a_closed_loop_are_never_more_than_they_are() {
    let server = Server::start(100, |_| Reply::ok("").takes(ms(5)));
    let scenario = scenario(&server.url(), GET);
    for think in [ms(0), ms(10)] {
        let outcome = Run::closed(&scenario, 7, think, ms(500)).run().unwrap();
        let total = outcome.record.total();
        assert!(total.intended > 20 && total.count(Ending::Good) == total.intended);
    }
    assert!(server.most_at_once() <= 7);
    assert!(server.connections() <= 14);
}

#[test]
fn a_generator_that_has_no_connection_free_says_so() {
    let server = Server::start(100, |_| Reply::ok("").takes(ms(40)));
    let text = format!("[client]\nconnections_max = 1\nbacklog_max = 3\n{GET}");
    let outcome = run(&scenario(&server.url(), &text), 100);
    let total = outcome.record.total();
    assert_eq!(total.intended, 100, "the load is not thinned out");
    assert!(total.not_offered > 50, "{}", total.not_offered);
    assert_eq!(outcome.record.not_offered(NotOffered::BacklogFull), total.not_offered);
    assert_eq!(total.count(Ending::Good), total.offered());
    assert_eq!(server.connections(), 1);
    let Validity::Generator(limits) = &outcome.validity else { panic!("{}", outcome.validity) };
    let limit = limits[0].limit;
    assert!(matches!(limit, Limit::Connections { connections_max: 1, intended: 100, .. }));
    // Who waited in line counts from when it wanted to ask: three others went first.
    assert!(total.latency_us(Ending::Good).unwrap().max() > 110_000);
    assert!(total.service_us().unwrap().min() >= 40_000);
    assert!(outcome.record.connection_wait_us.max() > 70_000);
}

#[test]
fn patience_ends_in_line_as_well() {
    let server = Server::start(100, |_| Reply::ok("").takes(ms(5000)));
    let text = format!("[client]\nconnections_max = 1\ntimeout = \"200ms\"\n{GET}");
    let outcome = run(&scenario(&server.url(), &text), 1000);
    let record = &outcome.record;
    assert!(record.not_offered(NotOffered::Expired) >= 100, "{:?}", record.not_offered);
    assert!(record.total().count(Ending::TimedOut) >= 1);
    assert!(!outcome.validity.is_valid());
}

#[test]
fn a_quick_service_behind_too_few_connections_is_no_measurement() {
    for (timeout, length) in [("2s", 3 * SECOND), ("100ms", SECOND)] {
        let server = Server::start(100, |_| Reply::ok("").takes(ms(10)));
        let text = format!("[client]\nconnections_max = 1\ntimeout = \"{timeout}\"\n{GET}");
        let schedule = Schedule::constant(500.0, length);
        let outcome = Run::open(&scenario(&server.url(), &text), schedule).run().unwrap();
        let total = outcome.record.total();
        assert_eq!(total.intended, total.ended() + total.not_offered);
        assert!(total.count(Ending::TimedOut) >= total.spoilt - total.count(Ending::Slow));
        let Validity::Generator(limits) = &outcome.validity else { panic!("it took {timeout}") };
        let Limit::Connections { not_offered, spoilt, intended, connections_max: 1, .. } =
            limits[0].limit
        else {
            panic!("{}", outcome.validity)
        };
        assert_eq!(
            (not_offered, spoilt, intended),
            (total.not_offered, total.spoilt, 500 * length.as_secs())
        );
        assert!((not_offered + spoilt) * 2 > intended, "{}", outcome.validity);
    }
}

#[test]
fn connections_are_opened_as_they_are_needed_unless_it_is_said_how_many() {
    let server = Server::start(1000, |_| Reply::ok("").takes(ms(600)));
    let mut scenario = scenario(&server.url(), GET);
    let load = Schedule::constant(600.0, SECOND);
    let outcome = Run::open(&scenario, load.clone()).run().unwrap();
    let total = outcome.record.total();
    assert_eq!((total.count(Ending::Good), total.spoilt), (600, 0));
    assert!(server.connections() > 256, "{}", server.connections());
    assert!(outcome.record.phases[0].line_us.is_empty());
    scenario.behaviour.connections_max = Some(2);
    // More threads than connections would have to share what cannot be.
    let outcome = Run::open(&scenario, load).threads(8).run().unwrap();
    assert_eq!(outcome.record.connections_peak, 2);
    assert!(outcome.record.phases[0].line_us.len() > 2, "they stood in line");
    assert!(!outcome.validity.is_valid());
}

#[test]
fn a_saturated_service_with_connections_for_everybody_is_measured_well() {
    // It does 100 per second and is asked for 400: whoever comes late waits there, and not here.
    let server = Server::start(1, |_| Reply::ok("").takes(ms(10)));
    let text = format!("[client]\nconnections_max = 1000\ntimeout = \"500ms\"\n{GET}");
    let schedule = Schedule::constant(400.0, 2 * SECOND);
    let outcome = Run::open(&scenario(&server.url(), &text), schedule).run().unwrap();
    let total = outcome.record.total();
    assert!(total.count(Ending::TimedOut) > 200, "{}", total.count(Ending::TimedOut));
    assert_eq!((total.not_offered, total.spoilt), (0, 0));
    let limits = match &outcome.validity {
        Validity::Valid => &[],
        Validity::Generator(limits) => limits.as_slice(),
    };
    // That a machine with other work makes it late is another matter.
    let too_few = limits.iter().any(|short| matches!(short.limit, Limit::Connections { .. }));
    assert!(!too_few, "{}", outcome.validity);
}

#[test]
fn the_same_seed_asks_the_same_on_any_number_of_threads() {
    let asked = |seed: u64, threads: usize| {
        let server = Server::start(100, |_| Reply::ok(""));
        let text = "[[request]]\npath = \"/a/{{uniform 1 1000000}}\"\n\
                    [[request]]\npath = \"/b/{{zipf 1 1000 1.1}}/{{sequence}}\"\n\
                    [client]\nclients = 50\n";
        let schedule = Schedule::constant(200.0, ms(500)).spaced(Spacing::Poisson);
        let run = Run::open(&scenario(&server.url(), text), schedule).seed(seed).threads(threads);
        let outcome = run.run().unwrap();
        assert_eq!(outcome.record.total().count(Ending::Good), outcome.record.total().intended);
        let mut requests: Vec<String> = server
            .requests()
            .iter()
            .map(|request| {
                let host = format!("host: {}\r\n", server.address);
                request.replace(&host, "")
            })
            .collect();
        requests.sort();
        requests
    };
    assert_eq!(asked(5, 1), asked(5, 1));
    assert_eq!(asked(5, 1), asked(5, 3));
    assert_ne!(asked(5, 1), asked(6, 1));
}

#[test]
fn phases_are_told_apart_by_the_intended_moment() {
    let server = Server::start(100, |_| Reply::ok(""));
    let scenario = scenario(&server.url(), GET);
    let schedule = Schedule::steps(&[(40.0, ms(500)), (200.0, ms(500))]);
    let outcome = Run::open(&scenario, schedule)
        .phases([("calm", ms(500)), ("storm", ms(500))])
        .run()
        .unwrap();
    let intended = outcome.record.phases.iter().map(|phase| phase.classes[0].first.intended);
    assert_eq!(intended.collect::<Vec<_>>(), [20, 100]);
    let lags = outcome.record.phases.iter().map(|phase| phase.lag_us.len());
    assert_eq!(lags.collect::<Vec<_>>(), [20, 100], "how late it was is known of each");
    assert_eq!(outcome.record.lag_us.len(), 120);
    assert_eq!(outcome.phases[1].name, "storm");
    assert_eq!((outcome.phases[1].from, outcome.phases[1].until), (ms(500), SECOND));
}

#[test]
fn a_run_can_be_watched_and_stopped() {
    let server = Server::start(100, |_| Reply::ok("").takes(ms(50)));
    let scenario = scenario(&server.url(), GET);
    let running = Run::open(&scenario, Schedule::constant(100.0, 600 * SECOND)).start().unwrap();
    let stopper = running.stopper();
    let mut live = running.live();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let good =
            live.wait_for(|snapshot| snapshot.count(Ending::Good) > 20).await.unwrap().clone();
        assert!(good.p50.unwrap() >= ms(45) && good.p99 >= good.p50);
        assert!(good.intended >= 20 && good.connections > 0);
        stopper.stop();
        running.wait().await.unwrap()
    });
    let total = outcome.record.total();
    assert!(outcome.stopped && outcome.elapsed < 60 * SECOND);
    assert_eq!(total.intended, total.ended() + total.not_offered + total.unfinished);
}

#[test]
fn a_run_that_is_dropped_stops() {
    let server = Server::start(100, |_| Reply::ok(""));
    let scenario = scenario(&server.url(), GET);
    let running = Run::open(&scenario, Schedule::constant(50.0, 600 * SECOND)).start().unwrap();
    let mut live = running.live();
    drop(running);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let gone =
            tokio::time::timeout(30 * SECOND, async { while live.changed().await.is_ok() {} });
        gone.await.expect("the threads end");
    });
}

#[test]
fn nothing_to_send_and_no_address_are_told_before_the_start() {
    let server = Server::start(1, |_| Reply::ok(""));
    let mut nothing = scenario(&server.url(), GET);
    nothing.requests[0].weight = 0.0;
    let schedule = Schedule::constant(1.0, SECOND);
    let error = Run::open(&nothing, schedule.clone()).run().unwrap_err().to_string();
    assert!(error.contains("weight above 0"), "{error}");
    let nowhere = scenario("http://no-such-host.invalid", GET);
    let error = Run::open(&nowhere, schedule).run().unwrap_err().to_string();
    assert!(error.contains("no-such-host.invalid"), "{error}");
}
