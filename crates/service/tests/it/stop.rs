//! From the first signal to the exit code.

use tenfold_testkit::{Client, End};

use crate::support::{Service, line, lines};

const REQUEST: &str = "GET /waits HTTP/1.1\r\nhost: test\r\n\r\n";

/// A connection whose request is being worked on.
async fn busy(service: &Service, path: &str) -> Client {
    let mut client = Client::connect(service.address).await.unwrap();
    client.send(REQUEST.replace("/waits", path)).await.unwrap();
    in_flight(service, 1).await;
    client
}

async fn in_flight(service: &Service, count: usize) {
    let wanted = format!("tenfold_http_in_flight {count}");
    for _ in 0..1000 {
        let metrics = tenfold_testkit::get(service.admin, "/metrics").await.unwrap().text();
        if metrics.lines().any(|line| line == wanted) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("there are never {count} requests in flight");
}

#[tokio::test]
async fn a_signal_stops_the_parts_in_reverse_and_the_exit_code_is_0() {
    for signal in ["TERM", "INT"] {
        let service = Service::start(&[]).await;
        service.program.signal(signal);
        let output = service.program.end().await;
        assert_eq!((output.status.code(), output.stderr.as_str()), (Some(0), ""));
        let log = lines(&output.stdout);
        assert_eq!(line(&log, "stopping")["signal"], format!("SIG{signal}"));
        let stopped = log.iter().filter(|line| line["msg"] == "part stopped");
        let parts: Vec<_> = stopped.map(|line| line["part"].as_str().unwrap()).collect();
        assert_eq!(parts, ["server", "shards", "offload", "admin"]);
    }
}

#[tokio::test]
async fn a_request_that_is_being_worked_on_still_has_its_answer() {
    let service = Service::start(&["server.request_timeout=1s"]).await;
    let mut client = busy(&service, "/waits").await;
    service.program.signal("TERM");
    // It is the time of the request that ends it, not the end of the service.
    let response = client.read_response().await.unwrap();
    assert_eq!((response.status, response.end), (504, End::Complete));
    assert_eq!(service.program.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_handler_that_never_ends_is_cut_and_named_in_the_end() {
    let service =
        Service::start(&["server.request_timeout=10m", "server.drain_timeout=200ms"]).await;
    let mut client = busy(&service, "/waits").await;
    service.program.signal("TERM");
    let output = service.program.end().await;
    assert_eq!(output.status.code(), Some(1));
    let sentence = "server could not be stopped: connections cut at server.drain_timeout: 1";
    assert_eq!(output.stderr, format!("error: {sentence}\n"));
    let log = lines(&output.stdout);
    assert_eq!(line(&log, "part could not be stopped")["part"], "server");
    client.read_response().await.unwrap_err();
}

#[tokio::test]
async fn a_handler_that_blocks_its_shard_is_left_behind_and_the_shard_named() {
    let settings = ["runtime.shards=1", "runtime.stop_timeout=200ms", "server.drain_timeout=200ms"];
    let service = Service::start(&settings).await;
    let _client = busy(&service, "/blocks").await;
    service.program.signal("TERM");
    let output = service.program.end().await;
    assert_eq!(output.status.code(), Some(1));
    let shards = "error: shards could not be stopped: \
        a task blocks these shards, so that they did not end in time: [0]\n";
    assert!(output.stderr.contains(shards), "{}", output.stderr);
    assert!(output.stderr.contains("server.drain_timeout"), "{}", output.stderr);
}

#[tokio::test]
async fn the_second_signal_ends_it_at_once() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut service = Service::start(&["server.request_timeout=10m"]).await;
        let _client = busy(&service, "/waits").await;
        service.program.signal("TERM");
        service.program.says("\"msg\":\"stopping\"").await;
        service.program.signal(signal);
        let output = service.program.end().await;
        assert_eq!(output.status.code(), Some(code), "{}", output.stderr);
    }
}
