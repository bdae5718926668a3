//! What a handler does wrong is the trouble of its request and of nobody else.

use tenfold_testkit::{Client, get};

use crate::support::{Service, line, lines};

#[tokio::test]
async fn a_panic_is_a_500_and_the_service_lives_on() {
    let service = Service::start(&["runtime.shards=1"]).await;
    for _ in 0..3 {
        let response = get(service.address, "/panic").await.unwrap();
        assert_eq!(response.status, 500);
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert!(!response.text().contains("on purpose"), "{}", response.text());
        assert_eq!(get(service.address, "/").await.unwrap().text(), "all is well");
    }
    assert_eq!(get(service.admin, "/readyz").await.unwrap().status, 200);
    service.program.signal("TERM");
    let output = service.program.end().await;
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.contains("on purpose"), "the log says what it was: {}", output.stdout);
}

#[tokio::test]
async fn a_panic_in_a_task_of_its_own_is_logged_and_counted() {
    let service = Service::start(&["runtime.shards=1"]).await;
    for _ in 0..2 {
        assert_eq!(get(service.address, "/task-panics").await.unwrap().status, 200);
    }
    // The second answer came after the first task, on the one shard that there is.
    let metrics = get(service.admin, "/metrics").await.unwrap().text();
    let counted = metrics.lines().find_map(|line| line.strip_prefix("tenfold_panics_total "));
    assert!(counted.unwrap().parse::<f64>().unwrap() >= 1.0, "{metrics}");
    assert_eq!(get(service.address, "/").await.unwrap().text(), "all is well");
    service.program.signal("TERM");
    let output = service.program.end().await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout.matches("in a task, on purpose").count(), 2);
}

/// What the documentation of `Shards::failed` promises: a process that has lost a shard ends, in
/// good order for those on the others, and says why, so that it is started afresh.
#[tokio::test]
async fn a_shard_that_dies_ends_the_process_and_those_on_others_are_answered() {
    let service = Service::start(&["runtime.shards=2"]).await;
    // The shards take turns while they have as many connections.
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = Client::connect(service.address).await.unwrap();
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        assert_eq!(client.read_response().await.unwrap().text(), "all is well");
        clients.push(client);
    }
    for client in &mut clients {
        client.send("GET /takes-its-time HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    }
    let killed = get(service.address, "/kills-its-shard").await;
    assert!(killed.is_err(), "nobody is left to answer: {killed:?}");
    let mut answered = 0;
    for client in &mut clients {
        if let Ok(answer) = client.read_response().await {
            assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
            answered += 1;
        }
    }
    assert_eq!(answered, 2, "half of them were on the other shard");

    let output = service.program.end().await;
    assert_eq!(output.status.code(), Some(1));
    let why = "died (in a waker, on purpose): the service must be started again";
    assert!(output.stderr.starts_with("error: shard ") && output.stderr.contains(why));
    let log = lines(&output.stdout);
    assert_eq!(line(&log, "shard died")["level"], 50);
    let stopping = line(&log, "stopping");
    assert_eq!(stopping["level"], 60);
    assert!(stopping["err"]["message"].as_str().unwrap().contains(why), "{stopping}");
    // Those whose shard was gone were gone with it: nobody waited for them.
    let drained = line(&log, "drained");
    assert_eq!((&drained["finished"], &drained["cut"]), (&2.into(), &0.into()), "{drained}");
}

#[tokio::test]
async fn the_admin_port_answers_for_every_host() {
    let service = Service::start(&["server.allowed_hosts=example.org"]).await;
    assert_eq!(get(service.address, "/").await.unwrap().status, 421);
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(service.admin, path).await.unwrap().status, 200, "{path}");
    }
    service.program.signal("TERM");
    service.program.end().await;
}

#[tokio::test]
async fn what_it_is_and_how_it_is_set_can_be_asked() {
    let service = Service::start(&["log.slow_request=7s"]).await;
    let build = get(service.admin, "/buildinfo").await.unwrap().json();
    assert_eq!((&build["name"], &build["version"]), (&"mishaps".into(), &"1.2.3".into()));
    let settings = get(service.admin, "/config").await.unwrap().text();
    assert!(settings.contains("7s") && settings.contains("log.slow_request"), "{settings}");
    service.program.signal("TERM");
    let output = service.program.end().await;
    let address = service.address.to_string();
    assert_eq!(line(&lines(&output.stdout), "serving")["address"], address);
}
