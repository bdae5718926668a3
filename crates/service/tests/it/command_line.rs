//! The command line and the settings: what is refused, and in which words.

use std::net::TcpListener;

use tenfold_testkit::{Output, Program, get};

use crate::support::{Service, lines, mishaps};

const PASSWORD: &str = "hunter2";

async fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = mishaps();
    command.args(arguments).envs(variables.iter().copied());
    Program::start(command).unwrap().end().await
}

/// One sentence, exit code 1.
async fn check(arguments: &[&str], variables: &[(&str, &str)], expected: &str) {
    let output = run(arguments, variables).await;
    assert_eq!((output.stderr.as_str(), output.status.code()), (expected, Some(1)));
    assert!(!output.stdout.contains(PASSWORD), "{}", output.stdout);
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_is_exit_code_2() {
    for wrong in [&["--nonsense"][..], &["--set"], &["word"]] {
        let output = run(wrong, &[]).await;
        assert_eq!(output.status.code(), Some(2), "{}", output.stderr);
        assert!(output.stderr.starts_with("error: "), "{}", output.stderr);
    }
    let help = run(&["--help"], &[]).await;
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stdout.contains("--set <SECTION.KEY=VALUE>"), "{}", help.stdout);
}

#[tokio::test]
async fn all_wrong_settings_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, "[server]\nlisten = 'here'\nlisen = 'there'\n").unwrap();
    let arguments = ["--config", file.to_str().unwrap(), "--set", "log.level=loud"];
    let output = run(&arguments, &[("TENFOLD_ADMIN_LISTN", "x")]).await;
    assert_eq!(output.status.code(), Some(1));
    for part in
        ["`server.lisen`", "did you mean `server.listen`", "TENFOLD_ADMIN_LISTN", "`log.level`"]
    {
        assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
    assert_eq!(output.stderr.matches("error: ").count(), 1);
    assert_eq!(output.stdout, "");
}

#[tokio::test]
async fn a_host_that_is_none_is_told_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    std::fs::write(&file, "[server]\nallowed_hosts = ['example.org', 'example.net:80']\n").unwrap();
    let output = run(&["--config", file.to_str().unwrap()], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    for part in ["shop.toml:2: `server.allowed_hosts`", "example.net:80", "a host without its port"]
    {
        assert!(output.stderr.contains(part), "no {part} in {}", output.stderr);
    }
}

#[tokio::test]
async fn ports_that_are_taken_are_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    for key in ["server.listen", "admin.listen"] {
        let sentence = format!(
            "error: {address} is in use: another process listens there; choose another `{key}`\n"
        );
        check(&["--set", &format!("{key}={address}")], &[], &sentence).await;
    }
}

#[tokio::test]
async fn a_start_that_fails_is_in_the_log_too() {
    let output = run(&["--set", "database.url=postgres://u:hunter2@127.0.0.1:1/x"], &[]).await;
    let log = lines(&output.stdout);
    let last = log.last().unwrap();
    assert_eq!((&last["level"], &last["msg"]), (&60.into(), &"cannot start".into()));
    assert!(last["err"]["message"].as_str().unwrap().contains("postgres://u:***@127.0.0.1:1/x"));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_named_without_its_password() {
    check(
        &[],
        &[("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/x")],
        "error: cannot use the database postgres://u:***@127.0.0.1:1/x: cannot reach Postgres: \
         127.0.0.1:1: error connecting to server: Connection refused (os error 111)\n",
    )
    .await;
}

#[tokio::test]
async fn secrets_are_shown_nowhere() {
    let url = format!("database.url=postgres://u:{PASSWORD}@127.0.0.1:1/x");
    let explained = run(&["--set", &url, "--explain"], &[]).await;
    assert_eq!(explained.status.code(), Some(0));
    assert!(explained.stdout.contains("postgres://u:***@127.0.0.1:1/x"), "{}", explained.stdout);
    for output in [explained, run(&["--set", &url, "--set", "nonsense=1"], &[]).await] {
        assert!(!(output.stdout + &output.stderr).contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_secret_of_a_running_service_is_shown_nowhere() {
    let options = tenfold_local::PostgresOptions::default();
    let postgres = tenfold_local::Postgres::start(&options, &|_| ()).unwrap();
    // Postgres lets everybody in through its closed folder, whatever the password.
    let url = postgres.url().replace("postgres:///", "postgres://postgres:hunter2@/");
    let mut command = mishaps();
    command.env("DATABASE_URL", url).args(["--set", "log.level=trace"]);
    let service = Service::run(command).await;
    let settings = get(service.admin, "/config").await.unwrap().text();
    assert!(settings.contains("postgres:***@"), "{settings}");
    assert!(settings.contains("processes (database.expected_replicas)"), "{settings}");
    assert!(!settings.contains(PASSWORD));
    service.program.signal("TERM");
    let output = service.program.end().await;
    assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
    assert!(!(output.stdout + &output.stderr).contains(PASSWORD));
}
