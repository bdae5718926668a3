//! The example `mishaps` as a process that a test talks to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tenfold_testkit::Program;

/// Its program, which has been built beside this test's folder.
pub(crate) fn mishaps() -> Command {
    let test = std::env::current_exe().unwrap();
    let program: PathBuf = test.ancestors().nth(2).unwrap().join("examples/mishaps");
    let mut command = Command::new(program);
    // Where no `tenfold.toml` lies, and with none of the tester's own settings.
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
    for listen in ["server.listen=127.0.0.1:0", "admin.listen=127.0.0.1:0"] {
        command.args(["--set", listen]);
    }
    command
}

/// The service, running.
pub(crate) struct Service {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Service {
    pub(crate) async fn start(settings: &[&str]) -> Service {
        let mut command = mishaps();
        for setting in settings {
            command.args(["--set", setting]);
        }
        Service::run(command).await
    }

    pub(crate) async fn run(command: Command) -> Service {
        let mut program = Program::start(command).unwrap();
        let serving = parsed(&program.says("\"msg\":\"serving\"").await);
        let address = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        Service { program, address: address("address"), admin: address("admin") }
    }
}

/// Lines of the log; each must be one JSON object.
pub(crate) fn lines(log: &str) -> Vec<Value> {
    log.lines().map(parsed).collect()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"))
}

/// The one line with this message.
pub(crate) fn line<'a>(lines: &'a [Value], message: &str) -> &'a Value {
    let mut with = lines.iter().filter(|line| line["msg"] == message);
    match (with.next(), with.next()) {
        (Some(line), None) => line,
        (found, _) => {
            panic!("{} {message:?} in {lines:#?}", found.map_or("no", |_| "more than one"))
        }
    }
}
