//! Starts the program, reads what it prints, and looks for what it left.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tenfold_local::Machine;
use tenfold_testkit::{Output, Program};

/// The program with these arguments, in a folder where no `tenfold.toml` lies, and with none of
/// the tester's own settings.
pub(crate) fn tenfold<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenfold"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env_remove("DATABASE_URL");
    command
}

/// A demo without the load, which has a test of its own, on ports that the system chooses.
pub(crate) fn demo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = show(arguments);
    command.arg("--no-load");
    command
}

/// A demo with all that it shows.
pub(crate) fn show<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = tenfold(["demo"].into_iter().chain(arguments));
    command.args(["--set", "server.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"]);
    command
}

pub(crate) async fn run(command: Command) -> Output {
    Program::start(command).unwrap().end().await
}

/// A demo that must fail: with exit code 1, one sentence after all that the log may say, and
/// nothing left. The sentence.
pub(crate) async fn fails(command: Command) -> String {
    let program = Program::start(command).unwrap();
    let id = program.id();
    let output = program.end().await;
    assert_eq!(output.status.code(), Some(1), "{}{}", output.stdout, output.stderr);
    let sentence = sentence(&output.stderr);
    check_that_nothing_is_left(id);
    sentence
}

/// The one sentence of an error, which comes last.
pub(crate) fn sentence(stderr: &str) -> String {
    let (sentences, log): (Vec<_>, Vec<_>) =
        stderr.lines().partition(|line| !line.starts_with("{\"level\""));
    assert_eq!(sentences.len(), 1, "one sentence and no more:\n{stderr}");
    assert_eq!(stderr.lines().last(), Some(sentences[0]), "it comes last:\n{stderr}");
    assert!(log.iter().all(|line| line.ends_with('}')), "whole lines:\n{stderr}");
    sentences[0].to_owned()
}

/// What a demo that serves has printed about itself.
pub(crate) struct Addresses {
    pub(crate) server: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) database: String,
}

/// A demo that has shown everything and goes on serving.
pub(crate) async fn serving<'a>(
    arguments: impl IntoIterator<Item = &'a str>,
) -> (Program, Addresses) {
    let mut program = Program::start(demo(arguments)).unwrap();
    program.says("serving until Ctrl-C").await;
    let said = program.said();
    let between = |start: &str, end: char| {
        let after = said.split_once(start).unwrap_or_else(|| panic!("no {start:?} in\n{said}")).1;
        after.split(end).next().unwrap().to_owned()
    };
    let addresses = Addresses {
        server: between("serving   http://", ' ').parse().unwrap(),
        admin: between("watch     http://", '/').parse().unwrap(),
        database: between("psql '", '\''),
    };
    (program, addresses)
}

/// What `psql`, the real one, answers.
pub(crate) fn psql(database: &str, sql: &str) -> String {
    let output = Command::new(tenfold_testkit::tool("psql"))
        .args([database, "-XAtc", sql])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A folder that the unprivileged user of a server can reach as well.
pub(crate) fn scratch() -> TempDir {
    let open = fs::Permissions::from_mode(0o755);
    tempfile::Builder::new()
        .prefix("test-of-tenfold-")
        .permissions(open)
        .tempdir_in(Machine::this().temporary)
        .unwrap()
}

/// The temporary folders of a process's servers.
pub(crate) fn folders(process: u32) -> Vec<PathBuf> {
    let mark = format!("tenfold-postgres-{process}-");
    let entries = fs::read_dir(Machine::this().temporary).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&mark))
        .collect()
}

/// The processes whose server has its socket in a folder of that process.
pub(crate) fn servers(process: u32) -> Vec<u32> {
    let mark = format!("tenfold-postgres-{process}-");
    let mut servers = Vec::new();
    for entry in fs::read_dir("/proc").unwrap() {
        let entry = entry.unwrap();
        let Ok(id) = entry.file_name().to_string_lossy().parse() else { continue };
        let command_line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command_line = String::from_utf8_lossy(&command_line).into_owned();
        if id != process && command_line.contains(&mark) {
            servers.push(id);
        }
    }
    servers
}

/// Neither a server nor a folder of a process that has ended in order.
pub(crate) fn check_that_nothing_is_left(process: u32) {
    assert_eq!(servers(process), [0; 0], "its server still runs");
    assert_eq!(folders(process), [""; 0].map(Path::new), "its folder is still there");
}

/// Waits for what comes soon but gives no notice.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still not: {what}");
}
