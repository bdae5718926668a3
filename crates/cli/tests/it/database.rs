//! A database that is named, and one that goes away.

use std::fs;

use tenfold_local::{Postgres, PostgresOptions};
use tenfold_testkit::Program;

use crate::support::{
    check_that_nothing_is_left, demo, fails, psql, run, scratch, sentence, servers, serving,
};

/// What a demo on that database says when it fails.
async fn check(url: &str, expected: &str) {
    let mut command = demo(["--once", "--products", "100"]);
    command.env("DATABASE_URL", url);
    let sentence = fails(command).await;
    assert!(sentence.starts_with(&format!("error: {expected}")), "{sentence}");
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[tokio::test]
async fn nobody_at_the_address() {
    check(
        "postgres://u:hunter2@127.0.0.1:1/shop",
        "cannot use the database postgres://u:***@127.0.0.1:1/shop: cannot reach Postgres: ",
    )
    .await;
    check(
        "postgres:///shop?host=/nowhere&password=hunter2",
        "cannot use the database postgres:///shop?host=/nowhere&password=***: \
         cannot reach Postgres: ",
    )
    .await;
}

#[tokio::test]
async fn no_address_at_all() {
    for nonsense in ["nonsense hunter2", "mysql://u:hunter2@h/d", "postgres://u:hunter2@h:99999/d"]
    {
        check(nonsense, "DATABASE_URL: `database.url` is no Postgres URL").await;
    }
}

#[tokio::test]
async fn no_address_of_replicas() {
    let mut command = demo(["--once", "--products", "100"]);
    command.env("DATABASE_REPLICA_URL", "nonsense hunter2");
    let sentence = fails(command).await;
    let expected = "error: DATABASE_REPLICA_URL: `database.replica_url` is no Postgres URL";
    assert!(sentence.starts_with(expected), "{sentence}");
    assert!(!sentence.contains("hunter2"), "{sentence}");
}

#[tokio::test]
async fn wrong_password_and_a_database_that_is_not_there() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let options = PostgresOptions { data: Some(data.clone()), ..PostgresOptions::default() };
    let postgres = Postgres::start(&options, &|_| ()).unwrap();
    let missing = postgres.url_of("missing");
    let server = format!("{}:5432", postgres.socket_directory().display());
    check(
        &missing,
        &format!(
            "cannot use the database {missing}: cannot reach Postgres: {server}: db error: \
             FATAL: database \"missing\" does not exist"
        ),
    )
    .await;

    // One user needs a password from now on.
    let access = data.join("pg_hba.conf");
    let rest = fs::read_to_string(&access).unwrap();
    fs::write(&access, format!("local all walled scram-sha-256\n{rest}")).unwrap();
    psql(&postgres.url(), "CREATE USER walled PASSWORD 'the right one'");
    psql(&postgres.url(), "SELECT pg_reload_conf()");
    let walled = postgres.url().replace("user=postgres", "user=walled&password=hunter2");
    check(
        &walled,
        &format!(
            "cannot use the database {}: cannot reach Postgres: {server}: db error: \
             FATAL: password authentication failed for user \"walled\"",
            walled.replace("hunter2", "***")
        ),
    )
    .await;
}

#[tokio::test]
async fn a_database_that_is_named_is_used_and_kept() {
    let options = PostgresOptions { database: "shop".into(), ..PostgresOptions::default() };
    let postgres = Postgres::start(&options, &|_| ()).unwrap();
    let mut command = demo(["--once", "--products", "100"]);
    command.env("DATABASE_URL", postgres.url());
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{}{}", output.stdout, output.stderr);
    assert_eq!(psql(&postgres.url(), "SELECT count(*) FROM products"), "100");

    let scratch = scratch();
    let mut both = demo(["--data", scratch.path().to_str().unwrap()]);
    both.env("DATABASE_URL", postgres.url());
    assert_eq!(
        fails(both).await,
        "error: --data keeps a Postgres of the demo's own, but DATABASE_URL names another one: \
         leave out one of the two"
    );
}

#[tokio::test]
async fn a_postgres_that_is_killed_while_the_catalog_is_loaded() {
    let mut program = Program::start(demo(["--products", "1000000"])).unwrap();
    let id = program.id();
    program.says("serving   http://").await;
    kill_server(id);
    let output = program.end().await;
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
    let sentence = sentence(&output.stderr);
    // Whichever is seen first.
    let known = [
        "error: the private Postgres ended (signal: 9 (SIGKILL))",
        "error: the catalog could not be loaded: ",
    ];
    assert!(known.iter().any(|known| sentence.starts_with(known)), "{sentence}");
    check_that_nothing_is_left(id);
}

#[tokio::test]
async fn a_postgres_that_is_killed_while_it_serves() {
    let (program, _) = serving(["--products", "100"]).await;
    let id = program.id();
    kill_server(id);
    let output = program.end().await;
    assert_eq!(output.status.code(), Some(1), "{}", output.stderr);
    assert_eq!(sentence(&output.stderr), "error: the private Postgres ended (signal: 9 (SIGKILL))");
    check_that_nothing_is_left(id);
}

fn kill_server(process: u32) {
    for server in servers(process) {
        let killed = std::process::Command::new("kill").args(["-9", &server.to_string()]).status();
        assert!(killed.unwrap().success());
    }
}
