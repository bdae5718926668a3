//! Clients that retry, leave, read slowly, or are one of many.

use tenfold_loadgen::{Ending, NotOffered};

use crate::server::{Reply, Server};
use crate::{SECOND, ms, offer, run, scenario};

/// Refuses everybody's first attempt: whoever's number it has not seen.
fn refuses_once(retry_after: impl Into<String>) -> Server {
    let retry_after = retry_after.into();
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    Server::start(100, move |request| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        if seen.lock().unwrap().insert(path) {
            Reply::new(format!("HTTP/1.1 503 Busy\r\n{retry_after}content-length: 0\r\n\r\n"))
        } else {
            Reply::ok("")
        }
    })
}

const NUMBERED: &str = "[[request]]\npath = \"/{{sequence}}\"\n";

#[test]
fn retries_are_load_of_their_own() {
    let server = refuses_once("");
    let text = format!("[client]\nretries = 3\nretry_backoff = \"10ms\"\n{NUMBERED}");
    let mut scenario = scenario(&server.url(), &text);
    scenario.behaviour.retries.backoff = ms(10);
    let schedule = tenfold_loadgen::Schedule::steps(&[(60.0, ms(500)), (0.0, SECOND)]);
    let outcome = tenfold_loadgen::Run::open(&scenario, schedule).run().unwrap();
    let class = &outcome.record.phases[0].classes[0];
    assert_eq!((class.first.intended, class.first.count(Ending::Refused)), (30, 30));
    assert_eq!((class.retries.intended, class.retries.count(Ending::Good)), (30, 30));
    assert_eq!(class.satisfied, 30);
    assert_eq!(server.lines().len(), 60);
    let buckets = outcome.record.timeline.buckets();
    assert_eq!(buckets.iter().map(|bucket| bucket.retries).sum::<u64>(), 30);
}

#[test]
fn retry_after_is_waited_for_by_those_who_honour_it() {
    // A date has no parts of seconds: it is two to three seconds away.
    let soon = std::time::SystemTime::now() + 3 * SECOND;
    let date = format!("retry-after: {}\r\n", httpdate::fmt_http_date(soon));
    let seconds = "retry-after: 1\r\n".to_owned();
    for (honour, retry_after) in [(true, date), (true, seconds.clone()), (false, seconds)] {
        let server = refuses_once(retry_after);
        let text = format!(
            "[client]\nretries = 1\nretry_backoff = \"1ms\"\nretry_after = {honour}\n{NUMBERED}"
        );
        let scenario = scenario(&server.url(), &text);
        let schedule = tenfold_loadgen::Schedule::steps(&[(100.0, ms(100)), (0.0, 3 * SECOND)]);
        let run = tenfold_loadgen::Run::open(&scenario, schedule);
        let outcome = run.phases([("at once", ms(1000)), ("later", ms(2100))]).run().unwrap();
        let retries = outcome.record.phases.iter().map(|phase| phase.classes[0].retries.intended);
        let retries: Vec<u64> = retries.collect();
        assert_eq!(retries.iter().sum::<u64>(), 10);
        assert!(if honour { retries[0] == 0 } else { retries[0] > 0 }, "{honour}: {retries:?}");
    }
}

#[test]
fn retries_that_wait_are_bounded_too() {
    let server = refuses_once("retry-after: 60\r\n");
    let text = format!("[client]\nretries = 1\nbacklog_max = 4\n{NUMBERED}");
    let scenario = scenario(&server.url(), &text);
    let schedule = tenfold_loadgen::Schedule::steps(&[(100.0, ms(200)), (0.0, 600 * SECOND)]);
    let running = tenfold_loadgen::Run::open(&scenario, schedule).start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let mut live = running.live();
        live.wait_for(|snapshot| snapshot.count(Ending::Refused) >= 20).await.unwrap();
        running.stopper().stop();
        running.wait().await.unwrap()
    });
    assert_eq!(outcome.record.not_offered(NotOffered::RetriesFull), 16);
    assert!(!outcome.validity.is_valid());
}

#[test]
fn users_who_wait_to_ask_again_are_as_many_as_there_are_users() {
    let server = refuses_once("retry-after: 1\r\n");
    let text = format!("[client]\nretries = 1\nbacklog_max = 1\n{NUMBERED}");
    let run = tenfold_loadgen::Run::closed(&scenario(&server.url(), &text), 8, SECOND, 4 * SECOND);
    let record = run.run().unwrap().record;
    assert_eq!(record.not_offered(NotOffered::RetriesFull), 0);
    let class = &record.phases[0].classes[0];
    assert!(class.retries.count(Ending::Good) >= 8, "{}", class.retries.intended);
}

#[test]
fn who_leaves_before_a_connection_is_free_was_not_offered_in_time() {
    let server = Server::start(100, |_| Reply::ok("").takes(ms(40)));
    let text = "[client]\nconnections_max = 1\nleave_early_share = 1.0\n\
                leave_early_after = \"100ms\"\n";
    let total = offer(&server.url(), text, 50).record.total();
    assert!(total.spoilt > 10 && total.spoilt <= total.count(Ending::LeftEarly), "{total:?}");
}

#[test]
fn without_retries_and_after_a_wrong_answer_nobody_asks_again() {
    let server = refuses_once("");
    let outcome = run(&scenario(&server.url(), NUMBERED), 20);
    assert_eq!(outcome.record.phases[0].classes[0].retries.intended, 0);
    let wrong = Server::start(100, |_| Reply::status("404 Not Found", ""));
    let outcome = offer(&wrong.url(), "[client]\nretries = 3\nretry_backoff = \"1ms\"\n", 20);
    assert_eq!(outcome.record.phases[0].classes[0].retries.intended, 0);
    assert_eq!(outcome.record.total().count(Ending::Wrong), 20);
}

#[test]
fn silence_ends_with_the_clients_patience() {
    let server = Server::start(1000, |_| Reply::ok("").takes(60 * SECOND));
    let outcome = offer(&server.url(), "[client]\ntimeout = \"100ms\"\n", 20);
    let total = outcome.record.total();
    assert_eq!(total.count(Ending::TimedOut), 20);
    assert!(total.latency_us(Ending::TimedOut).unwrap().min() >= 99_000);
    assert_eq!(outcome.record.connections_opened, 20, "what is timed out is not used again");
}

#[test]
fn some_leave_early() {
    let server = Server::start(1000, |_| Reply::ok("").takes(ms(300)));
    let text = "[client]\nleave_early_share = 0.5\nleave_early_after = \"30ms\"\n";
    let total = offer(&server.url(), text, 100).record.total();
    let left = total.count(Ending::LeftEarly);
    assert!((20..80).contains(&left), "{left}");
    assert_eq!(total.count(Ending::Good), 100 - left);
}

#[test]
fn slow_readers_hold_the_service_back() {
    let body = "x".repeat(8 << 20);
    let reply = Reply::ok(&body);
    let server = Server::start(100, move |_| reply.clone());
    let text = "[client]\nslow_reader_share = 1.0\nslow_reader_bytes_per_second = 10000\n\
                timeout = \"600ms\"\n";
    let outcome = offer(&server.url(), text, 2);
    assert_eq!(outcome.record.total().count(Ending::TimedOut), 2);
    assert!(outcome.record.bytes_read < 40_000, "{}", outcome.record.bytes_read);
    assert!(server.bytes_sent() < 2 * (8 << 20), "the service could not get rid of it all");
    let fast = offer(&server.url(), "", 2);
    assert_eq!(fast.record.total().count(Ending::Good), 2);
}

#[test]
fn a_slow_reader_who_has_time_gets_everything() {
    let server = Server::start(100, |_| Reply::ok(&"x".repeat(3000)));
    let text = "[client]\nslow_reader_share = 1.0\nslow_reader_bytes_per_second = 10000\n";
    let total = offer(&server.url(), text, 4).record.total();
    assert_eq!(total.count(Ending::Good), 4);
    assert!(total.service_us().unwrap().min() >= 200_000, "3 kB at 10 kB/s, a sip at once");
}

#[test]
fn clients_are_many_and_a_flood_is_one() {
    let client = |request: &String| {
        request.lines().find_map(|line| line.strip_prefix("x-who: ")).unwrap().to_owned()
    };
    let server = Server::start(100, |_| Reply::ok(""));
    let text = "[client]\nclients = 40\nclient_header = \"x-who\"\nflood_share = 0.5\n";
    offer(&server.url(), text, 200);
    let clients: Vec<String> = server.requests().iter().map(client).collect();
    let flood = clients.iter().filter(|client| *client == "client-0").count();
    assert!((60..140).contains(&flood), "{flood}");
    let distinct: std::collections::HashSet<&String> = clients.iter().collect();
    assert!(distinct.len() > 20, "{distinct:?}");
}
