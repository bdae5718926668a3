//! Values in requests, values out of answers, and what fails a run.

use tenfold_loadgen::Ending;

use crate::server::{Reply, Server};
use crate::{run, scenario};

#[test]
fn an_answer_brings_what_later_requests_use() {
    let server = Server::start(100, |request| match request.starts_with("POST") {
        true => Reply::status("201 Created", r#"{"order": {"id": 77, "kind": "shoe"}}"#),
        false => Reply::ok("{}"),
    });
    let text = r#"
        [[request]]
        method = "POST"
        path = "/orders"
        headers = { content-type = "application/json" }
        body = '{"number": {{sequence 100}}}'
        capture = { id = "/order/id", absent = "/nothing/here" }
        [[request]]
        path = "/orders/{{captured id or first}}?absent={{captured absent or none}}"
    "#;
    let record = run(&scenario(&server.url(), text), 100).record;
    assert_eq!(record.total().count(Ending::Good), 100);
    let lines = server.lines();
    assert!(lines.contains(&"GET /orders/77?absent=none".to_owned()), "{lines:?}");
    let known = ["GET /orders/77?absent=none", "GET /orders/first?absent=none", "POST /orders"];
    assert!(lines.iter().all(|line| known.contains(&line.as_str())), "{lines:?}");
    let post = server.requests().into_iter().find(|request| request.starts_with("POST")).unwrap();
    let (head, body) = post.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
    assert!(body.starts_with("{\"number\": 1"), "{body}");
}

#[test]
fn weights_are_kept_and_classes_told_apart() {
    let server = Server::start(100, |_| Reply::ok(""));
    let text = "[[request]]\nclass = \"often\"\nweight = 9\npath = \"/often\"\n\
                [[request]]\nclass = \"seldom\"\nweight = 1\npath = \"/seldom\"\n\
                [[request]]\nclass = \"never\"\nweight = 0\npath = \"/never\"\n";
    let record = run(&scenario(&server.url(), text), 400).record;
    let [often, seldom, never] = [0, 1, 2].map(|class| record.class(class).intended);
    assert_eq!((often + seldom, never), (400, 0));
    assert!((15..80).contains(&seldom), "{seldom}");
    assert_eq!(record.timeline.buckets()[0].classes[0].0, often);
}

#[test]
fn a_post_without_a_body_says_so_and_head_has_none() {
    let server = Server::start(100, |request| match request.starts_with("HEAD") {
        true => Reply::new("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n"),
        false => Reply::ok(""),
    });
    let text = "[[request]]\nmethod = \"POST\"\npath = \"/\"\n\
                [[request]]\nmethod = \"HEAD\"\npath = \"/\"\n";
    let record = run(&scenario(&server.url(), text), 40).record;
    assert_eq!(record.total().count(Ending::Good), 40);
    let requests = server.requests();
    for request in requests {
        assert_eq!(request.starts_with("POST"), request.contains("content-length: 0"), "{request}");
    }
}

#[test]
fn thresholds_that_are_crossed_are_named() {
    let server = Server::start(100, |request| match request.starts_with("GET /bad") {
        true => Reply::status("500 Oh", ""),
        false => Reply::ok("").takes(crate::ms(20)),
    });
    let text = "[[request]]\nclass = \"good\"\npath = \"/good\"\n\
                [[request]]\nclass = \"bad\"\npath = \"/bad\"\n\
                [thresholds]\ngood_share_min = 0.99\np50_max = \"1d\"\n\
                [thresholds.class.good]\ngood_share_min = 1.0\np99_max = \"10ms\"\n\
                [thresholds.class.bad]\np99_max = \"1d\"\n";
    let scenario = scenario(&server.url(), text);
    let crossed = run(&scenario, 100).crossed(&scenario.thresholds);
    let names: Vec<(Option<&str>, &str)> =
        crossed.iter().map(|crossed| (crossed.class.as_deref(), crossed.what)).collect();
    let expected = [(None, "good_share"), (Some("good"), "p99"), (Some("bad"), "p99")];
    assert_eq!(names, expected, "a class without a right answer has no latency that would do");
    assert!(crossed[0].to_string().starts_with("good_share is 0."), "{}", crossed[0]);
}

#[test]
fn a_threshold_of_what_was_never_asked_is_crossed() {
    let server = Server::start(100, |_| Reply::ok(""));
    let text = "[[request]]\nclass = \"read\"\npath = \"/\"\n\
                [[request]]\nclass = \"order\"\npath = \"/\"\nweight = 0\n\
                [thresholds]\ngood_share_min = 0.5\n\
                [thresholds.class.order]\ngood_share_min = 0.99\np99_max = \"1s\"\n";
    let scenario = scenario(&server.url(), text);
    let mut outcome = run(&scenario, 20);
    let crossed = outcome.crossed(&scenario.thresholds);
    let crossed: Vec<String> = crossed.iter().map(ToString::to_string).collect();
    let expected = [
        "order: good_share is unknown, because nothing was asked, 0.990 was demanded",
        "order: p99 is unknown, because nothing was asked, 1000.000 ms was demanded",
    ];
    assert_eq!(crossed, expected);
    outcome.stopped = true;
    assert_eq!(outcome.crossed(&scenario.thresholds), [], "who ended it early knows that it was");
    let nothing = run(&scenario, 0);
    assert_eq!(nothing.crossed(&scenario.thresholds).len(), 3);
}
