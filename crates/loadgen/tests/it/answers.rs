//! Answers of every kind, and what is none.

use tenfold_loadgen::{Ending, Failure};

use crate::server::{Reply, Server, Then};
use crate::{ms, offer, run, scenario};

#[test]
fn every_request_that_is_due_is_sent_and_answered() {
    let server = Server::start(100, |_| Reply::ok("hello"));
    let outcome = offer(&server.url(), "", 200);
    let total = outcome.record.total();
    assert_eq!((total.intended, total.count(Ending::Good)), (200, 200));
    assert_eq!(server.lines(), vec!["GET /"; 200]);
    assert!(server.requests()[0].contains(&format!("host: {}", server.address)));
    assert_eq!(outcome.record.connections_opened, server.connections() as u64);
    assert!(outcome.record.lag_us.len() == 200, "the lag of each is known");
    assert!(!outcome.stopped);
}

#[test]
fn chunks_and_bodies_without_a_length_are_read_to_their_end() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let server = Server::start(100, move |_| Reply::new(chunked));
    assert_eq!(offer(&server.url(), "", 50).record.total().count(Ending::Good), 50);

    let endless = Server::start(100, |_| Reply::new("HTTP/1.1 200 OK\r\n\r\nhi").then(Then::Close));
    assert_eq!(offer(&endless.url(), "", 50).record.total().count(Ending::Good), 50);
    assert_eq!(endless.connections(), 50);
}

#[test]
fn a_connection_that_the_service_closes_is_replaced() {
    let server = Server::start(100, |_| Reply::ok("bye").then(Then::Close));
    let outcome = offer(&server.url(), "[client]\nconnections_max = 2\n", 100);
    assert_eq!(outcome.record.total().count(Ending::Good), 100);
    assert!(server.connections() >= 100);
    // Whoever was sent on a connection in the moment of its end was sent again, and is one request.
    assert_eq!(server.lines().len(), 100);
}

#[test]
fn other_statuses_and_bodies_are_wrong_and_refusals_are_refusals() {
    let server = Server::start(100, |request| match request.split(' ').nth(1) {
        Some("/missing") => Reply::status("404 Not Found", ""),
        Some("/busy") => Reply::status("503 Service Unavailable", ""),
        Some("/many") => Reply::status("429 Too Many Requests", ""),
        _ => Reply::ok("hello"),
    });
    let text = r#"
        [[request]]
        class = "missing"
        path = "/missing"
        [[request]]
        class = "busy"
        path = "/busy"
        [[request]]
        class = "busy"
        path = "/many"
        [[request]]
        class = "right"
        path = "/right"
        good = { body_contains = "ell" }
        [[request]]
        class = "body"
        path = "/body"
        good = { body_contains = "bye" }
        [[request]]
        class = "expected"
        path = "/busy"
        good = { status = [503] }
    "#;
    let record = run(&scenario(&server.url(), text), 300).record;
    let expected = [Ending::Wrong, Ending::Refused, Ending::Good, Ending::Wrong, Ending::Good];
    for (class, ending) in expected.into_iter().enumerate() {
        let tally = record.class(class);
        assert!(tally.intended > 10);
        assert_eq!(tally.count(ending), tally.intended, "class {class}");
    }
    // Of those that were not right it is told what they were.
    let [wrong, refused, body] = [0, 1, 3].map(|class| record.class(class).intended);
    assert_eq!(record.statuses[&404], wrong);
    assert_eq!(record.statuses[&503] + record.statuses[&429], refused);
    assert_eq!(record.statuses.len(), 3, "{:?}", record.statuses);
    assert_eq!(record.wrong_bodies, body);
}

#[test]
fn what_is_no_answer_is_a_failure_of_its_kind() {
    let cases = [
        (Reply::new("SSH-2.0-OpenSSH\r\n"), Failure::Garbage),
        (
            Reply::new("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi").then(Then::Close),
            Failure::HalfAnswer,
        ),
        (Reply::new("HTTP/1.1 20").then(Then::Close), Failure::HalfAnswer),
        (Reply::new("").then(Then::Close), Failure::NoAnswer),
        (Reply::new("").then(Then::Reset), Failure::Reset),
    ];
    for (reply, failure) in cases {
        let server = Server::start(100, move |_| reply.clone());
        let record = offer(&server.url(), "", 20).record;
        assert_eq!(record.total().count(Ending::Failed), 20, "{failure:?}");
        assert_eq!(record.failures(failure), 20, "{failure:?}: {:?}", record.failures);
    }
}

#[test]
fn nobody_there_is_measured_too() {
    let port = tenfold_testkit::free_port().unwrap();
    let record = offer(&format!("http://127.0.0.1:{port}"), "", 20).record;
    assert_eq!(record.failures(Failure::Connect), 20);
    let causes = record.causes.ranked();
    let [cause] = causes.as_slice() else { panic!("{causes:?}") };
    assert_eq!(
        (cause.failure.as_str(), cause.words.as_str(), cause.count),
        ("connect", "Connection refused", 20)
    );
}

#[test]
fn a_right_answer_that_is_late_is_slow() {
    let server = Server::start(100, |_| Reply::ok("").takes(ms(60)));
    let mut scenario = scenario(&server.url(), "[[request]]\npath = \"/\"\n");
    scenario.requests[0].good.latency_max = ms(50);
    let outcome = run(&scenario, 20);
    assert_eq!(outcome.record.total().count(Ending::Slow), 20);
}
