//! Ctrl-C and its kin, at every moment of a demo.

use tenfold_testkit::{Client, End, Head, Program};

use crate::support::{
    Addresses, check_that_nothing_is_left, demo, folders, run, servers, serving, until,
};

#[tokio::test]
async fn ctrl_c_drains_and_leaves_nothing() {
    check_drain("INT").await;
}

#[tokio::test]
async fn sigterm_drains_and_leaves_nothing() {
    check_drain("TERM").await;
}

async fn check_drain(signal: &str) {
    let (mut program, addresses) = serving(["--products", "20000"]).await;
    let id = program.id();
    assert_eq!((servers(id).len(), folders(id).len()), (1, 1));
    let (mut reader, head) = exporting(&addresses).await;
    program.signal(signal);
    program.says(&format!("SIG{signal}: draining")).await;
    let (body, end) = reader.read_body(&head).await.unwrap();
    assert_eq!((lines(&body), end), (20_000, End::Complete), "it is drained to its end");
    let output = program.end().await;
    assert_eq!((output.status.code(), output.stderr.as_str()), (Some(0), ""));
    check_that_nothing_is_left(id);
}

/// A reader in the middle of an export, which waits for it.
async fn exporting(addresses: &Addresses) -> (Client, Head) {
    let client = Client::connect_with_receive_buffer(addresses.server, 16 * 1024).await;
    let mut reader = client.unwrap();
    reader.send("GET /export.ndjson HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let head = reader.read_head().await.unwrap();
    assert_eq!(head.status, 200);
    (reader, head)
}

fn lines(body: &[u8]) -> usize {
    body.iter().filter(|&&byte| byte == b'\n').count()
}

#[tokio::test]
async fn a_signal_is_heard_while_the_catalog_is_loaded() {
    let mut program = Program::start(demo(["--products", "1000000"])).unwrap();
    let id = program.id();
    program.says("serving   http://").await;
    program.signal("INT");
    let output = program.end().await;
    assert_eq!((output.status.code(), output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.ends_with("SIGINT: draining\n"), "{}", output.stdout);
    assert!(!output.stdout.contains("first round"), "{}", output.stdout);
    check_that_nothing_is_left(id);
}

#[tokio::test]
async fn a_signal_is_heard_before_it_serves() {
    let mut program = Program::start(demo([])).unwrap();
    let id = program.id();
    program.says("tenfold demo").await;
    program.signal("TERM");
    let output = program.end().await;
    assert_eq!((output.status.code(), output.stderr.as_str()), (Some(0), ""));
    assert!(output.stdout.ends_with("SIGTERM: stopping\n"), "{}", output.stdout);
    check_that_nothing_is_left(id);
}

#[tokio::test]
async fn who_asked_for_one_round_and_had_none_gets_exit_code_1() {
    let mut program = Program::start(demo(["--once", "--products", "1000000"])).unwrap();
    program.says("serving   http://").await;
    program.signal("INT");
    assert_eq!(program.end().await.status.code(), Some(1));
}

#[tokio::test]
async fn the_second_ctrl_c_ends_it_and_its_postgres_at_once() {
    check_second("INT", 130).await;
}

#[tokio::test]
async fn a_sigterm_after_ctrl_c_ends_it_and_its_postgres_at_once() {
    check_second("TERM", 143).await;
}

async fn check_second(signal: &str, code: i32) {
    let (mut program, addresses) = serving(["--products", "20000"]).await;
    let id = program.id();
    // The drain waits for a reader that has stopped.
    let _reader = exporting(&addresses).await;
    program.signal("INT");
    program.says("SIGINT: draining").await;
    program.signal(signal);
    assert_eq!(program.end().await.status.code(), Some(code));
    until("its server is gone", || servers(id).is_empty()).await;
    // What was left goes at the next start, which may be a long time after the tests.
    folders(id).into_iter().for_each(|folder| drop(std::fs::remove_dir_all(folder)));
}

#[tokio::test]
async fn its_postgres_ends_with_it_even_on_kill_9_and_the_next_start_clears_up() {
    let (program, _) = serving(["--products", "100"]).await;
    let id = program.id();
    assert_eq!(servers(id).len(), 1);
    program.signal("KILL");
    program.end().await;
    until("its server is gone", || servers(id).is_empty()).await;
    assert!(run(demo(["--once", "--products", "100"])).await.status.success());
    check_that_nothing_is_left(id);
}
