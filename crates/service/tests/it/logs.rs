//! The log on standard output: JSON line by line, as pino writes it and `pino-pretty` reads it.

use std::process::Command;
use std::time::Duration;

use tenfold_testkit::{Client, get, tool};

use crate::support::{Service, lines};

#[tokio::test]
async fn the_real_pino_pretty_reads_the_log() {
    let service = Service::start(&[]).await;
    let id = service.program.id();
    let mut client = Client::connect(service.address).await.unwrap();
    let request = "GET /panic HTTP/1.1\r\nhost: test\r\nx-request-id: find-me-1234\r\n\r\n";
    client.send(request).await.unwrap();
    assert_eq!(client.read_response().await.unwrap().status, 500);
    assert_eq!(get(service.address, "/").await.unwrap().status, 200);
    service.program.signal("TERM");
    let log = service.program.end().await.stdout;

    for line in lines(&log) {
        for (key, holds) in [
            ("level", line["level"].is_u64()),
            ("time", line["time"].is_u64()),
            ("pid", line["pid"] == id),
            ("hostname", line["hostname"].is_string()),
            ("name", line["name"] == "mishaps"),
            ("msg", line["msg"].is_string()),
        ] {
            assert!(holds, "{key} in {line}");
        }
    }
    let failed: Vec<_> =
        lines(&log).into_iter().filter(|line| line["reqId"] == "find-me-1234").collect();
    assert!(
        failed.iter().any(|line| line["level"] == 50 && line["msg"] == "request failed"),
        "the failed request is found by its id: {failed:#?}"
    );

    let mut pino_pretty = Command::new(tool("pino-pretty"));
    pino_pretty.args(["--translateTime", "UTC:HH:MM"]);
    let pretty = tenfold_testkit::run(pino_pretty, log.as_bytes(), Duration::from_secs(30));
    let pretty = pretty.await.unwrap();
    assert!(pretty.status.success(), "{}", pretty.stderr);
    for part in [format!("INFO (mishaps/{id}): serving\n"), format!("ERROR (mishaps/{id}): ")] {
        assert!(pretty.stdout.contains(&part), "no {part:?} in\n{}", pretty.stdout);
    }
    assert!(!pretty.stdout.contains("{\"level\""), "unread:\n{}", pretty.stdout);
}
