//! What the tests have in common: starting, asking, and folders that a server's user can reach.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;
use tenfold_context::Moment;
use tenfold_local::{Machine, Postgres, PostgresOptions, StartError};

/// Guards against a hang; nothing here takes nearly as long.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// A folder that every user can pass, where a test keeps what it makes.
pub(crate) fn scratch() -> TempDir {
    let open = Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .prefix("test of tenfold ")
        .permissions(open)
        .tempdir_in(Machine::this().temporary)
        .unwrap()
}

pub(crate) fn fresh() -> PostgresOptions {
    PostgresOptions::default()
}

pub(crate) fn kept(data: &Path) -> PostgresOptions {
    PostgresOptions { data: Some(data.to_owned()), ..PostgresOptions::default() }
}

pub(crate) fn start(options: &PostgresOptions) -> Postgres {
    try_start(options).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn try_start(options: &PostgresOptions) -> Result<Postgres, StartError> {
    Postgres::start(options, &|line| eprintln!("{line}"))
}

pub(crate) fn error_of(options: &PostgresOptions) -> StartError {
    try_start(options).map(|postgres| postgres.url()).expect_err("it started")
}

/// The first value of the last row, through tokio-postgres.
pub(crate) fn ask(url: &str, sql: &str) -> Result<String, String> {
    use tokio_postgres::SimpleQueryMessage::Row;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connect = tokio_postgres::connect(url, tokio_postgres::NoTls);
        let (client, connection) = connect.await.map_err(|error| error.to_string())?;
        let connection = tokio::spawn(connection);
        let asked = tokio::time::timeout(LONG, client.simple_query(sql)).await;
        connection.abort();
        let messages = asked.map_err(|_| "no answer")?.map_err(|error| error.to_string())?;
        let rows = messages.iter().rev();
        let value = rows.filter_map(|message| match message {
            Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(value.take(1).next().unwrap_or_default())
    })
}

pub(crate) fn answers(url: &str) -> bool {
    ask(url, "SELECT 6 * 7").as_deref() == Ok("42")
}

/// Through libpq.
pub(crate) fn ask_psql(postgres: &Postgres, sql: &str) -> String {
    let output = Command::new(postgres.program_directory().join("psql"))
        .args([&postgres.url(), "-XAtc", sql])
        .env("PGPORT", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Moment::now() + LONG;
    while !holds() {
        assert!(Moment::now() < end, "still not: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A process that has ended but was not waited for counts as gone.
pub(crate) fn is_running(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat[stat.rfind(')').unwrap()..].starts_with(") Z"))
}

/// Where the programs of this machine's newest Postgres are.
pub(crate) fn real_programs() -> PathBuf {
    start(&fresh()).program_directory().to_owned()
}

pub(crate) fn write_script(path: &Path, body: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// A Postgres that says it is of another version, and otherwise is the real one.
pub(crate) fn disguised(folder: &Path, version: &str) -> PathBuf {
    let real = real_programs();
    let real = real.display();
    let says =
        format!("if [ \"$1\" = --version ]; then echo 'postgres (PostgreSQL) {version}'; exit; fi");
    write_script(&folder.join("postgres"), &format!("{says}\nexec {real}/postgres \"$@\""));
    write_script(&folder.join("initdb"), &format!("exec {real}/initdb \"$@\""));
    folder.to_owned()
}
