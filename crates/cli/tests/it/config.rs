//! `tenfold config`: letter by letter what people see, and never a secret.

use std::fs;
use std::process::Command;

use tenfold_testkit::Output;

use crate::support::{run, tenfold};

/// `tenfold config explain` with these arguments and variables.
async fn explain(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = tenfold(["config", "explain"].into_iter().chain(arguments.iter().copied()));
    command.envs(variables.iter().copied());
    run(command).await
}

async fn printed(command: Command) -> String {
    let output = run(command).await;
    assert_eq!((output.status.code(), output.stderr.as_str()), (Some(0), ""));
    output.stdout
}

#[tokio::test]
async fn the_default_file() {
    insta::assert_snapshot!(printed(tenfold(["config", "default"])).await);
}

#[tokio::test]
async fn the_explanation_of_the_defaults() {
    insta::assert_snapshot!(printed(tenfold(["config", "explain"])).await);
}

#[tokio::test]
async fn the_default_file_says_what_holds_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenfold.toml");
    fs::write(&file, printed(tenfold(["config", "default"])).await).unwrap();
    let values = |explanation: String| -> Vec<String> {
        let value = |line: &str| line.split_once("  ").unwrap().1.trim().to_owned();
        explanation.lines().map(|line| value(line).split("  ").next().unwrap().to_owned()).collect()
    };
    let without = printed(tenfold(["config", "explain"])).await;
    // It is found where the program is started.
    let mut found = tenfold(["config", "explain"]);
    found.current_dir(folder.path());
    let found = printed(found).await;
    assert!(found.lines().all(|line| line.contains("tenfold.toml:")), "{found}");
    assert_eq!(values(found), values(without));
}

#[tokio::test]
async fn each_value_has_its_origin_and_the_nearest_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    let file = file.to_str().unwrap();
    fs::write(file, "[log]\nlevel = 'warn'\nslow_request = '5s'\n\n[runtime]\nshards = 3\n")
        .unwrap();
    let output = explain(
        &["--config", file, "--set", "runtime.shards=1"],
        &[("TENFOLD_RUNTIME_SHARDS", "2"), ("TENFOLD_LOG_SLOW_REQUEST", "3s")],
    )
    .await;
    assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
    let of_file = format!("{file}:2");
    for (key, value, origin) in [
        ("log.level", "warn", of_file.as_str()),
        ("log.slow_request", "3s", "TENFOLD_LOG_SLOW_REQUEST"),
        ("runtime.shards", "1", "--set runtime.shards=1"),
        ("log.requests", "all", "default"),
    ] {
        let line = output.stdout.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
        let rest: Vec<_> = line[key.len()..].trim().splitn(2, ' ').map(str::trim).collect();
        assert_eq!(rest, [value, origin], "{line}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.toml");
    let file = file.to_str().unwrap();
    fs::write(file, "[server]\nlisen = 'x'\nbody_max = 'big'\n\n[sever]\nlisten = 1\n").unwrap();
    let output = explain(
        &["--config", file, "--set", "log.level=loud", "--set", "nonsense"],
        &[("TENFOLD_LOG_LEVLE", "info"), ("TENFOLD_RUNTIME_SHARDS", "many")],
    )
    .await;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(1), ""));
    for expected in [
        "shop.toml:2: unknown key `server.lisen`: did you mean `server.listen`?",
        "shop.toml:3: `server.body_max` is \"big\": a size in bytes",
        "shop.toml:5: unknown section `sever`: did you mean `server`?",
        "TENFOLD_LOG_LEVLE: no such setting: did you mean TENFOLD_LOG_LEVEL?",
        "TENFOLD_RUNTIME_SHARDS: `runtime.shards` is \"many\": an integer",
        "--set log.level=loud: `log.level` is \"loud\": a level",
        "--set nonsense: section.key=value is needed",
    ] {
        assert!(output.stderr.contains(expected), "no {expected:?} in\n{}", output.stderr);
    }
    assert_eq!(output.stderr.matches("error: ").count(), 1, "{}", output.stderr);
}

#[tokio::test]
async fn a_file_that_is_named_must_be_there() {
    let output = explain(&["--config", "/nowhere/shop.toml"], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.starts_with("error: /nowhere/shop.toml: "), "{}", output.stderr);
}

#[tokio::test]
async fn a_secret_is_never_shown() {
    let url = "postgres://shop:hunter2@db.example/shop";
    let flag = format!("database.url={url}");
    for (output, origin) in [
        (explain(&[], &[("DATABASE_URL", url)]).await, "DATABASE_URL"),
        (explain(&["--set", &flag], &[]).await, "--set database.url=***"),
    ] {
        assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
        let line = output.stdout.lines().find(|line| line.starts_with("database.url")).unwrap();
        assert!(line.contains("postgres://shop:***@db.example/shop"), "{line}");
        assert!(line.ends_with(origin), "{line}");
        assert!(!output.stdout.contains("hunter2"));
    }
    for wrong in ["database.url=hunter2", "databse.url=hunter2", "database.ulr=hunter2"] {
        let output = explain(&["--set", wrong], &[]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);
    }
}
