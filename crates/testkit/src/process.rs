//! Runs a real program inside a test, without ever waiting for it longer than the test can afford.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It could not be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It did not end in time, and was killed.
    #[error("{program} did not end within {limit:?} and was killed")]
    TimedOut {
        /// The program.
        program: String,
        /// The time it had.
        limit: Duration,
    },
}

/// Runs a command to its end with `input` as its standard input, at most for `limit`.
///
/// The runtime goes on meanwhile, so the program may talk to a server of the same test.
///
/// # Errors
/// When it cannot be started, or does not end in time (it is killed then). A failing exit status
/// is no error: see [`Output::status`].
pub async fn run(
    command: std::process::Command,
    input: &[u8],
    limit: Duration,
) -> Result<Output, RunError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = Command::from(command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let failed = |source| RunError::Start { program: program.clone(), source };
    let mut child = command.spawn().map_err(failed)?;
    let mut stdin = child.stdin.take().expect("standard input was asked to be a pipe");
    let all = async {
        let feed = async move {
            // A program that does not read all of its input breaks the pipe, which is its right.
            let _ = stdin.write_all(input).await;
        };
        tokio::join!(feed, child.wait_with_output()).1
    };
    match tokio::time::timeout(limit, all).await {
        Err(_) => Err(RunError::TimedOut { program, limit }),
        Ok(Err(source)) => Err(RunError::Start { program, source }),
        Ok(Ok(output)) => Ok(Output {
            status: output.status,
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }),
    }
}

/// Finds a program that a test needs: in the tools that `cargo xtask test` got, then in PATH.
///
/// # Panics
/// When it is in neither, saying which command gets it.
pub fn tool(name: &str) -> PathBuf {
    // Where a test run keeps its tools is no setting of a service, so `config` has no part in it.
    #[allow(clippy::disallowed_methods)]
    let (tools, path) = (std::env::var_os("TESTKIT_TOOLS"), std::env::var_os("PATH"));
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools");
    let tools = tools.map_or_else(|| PathBuf::from(beside), PathBuf::from);
    let path = path.unwrap_or_default();
    let folders = [tools.join("bin"), tools.join("node/node_modules/.bin")];
    match find(name, folders.into_iter().chain(std::env::split_paths(&path))) {
        Some(found) => found,
        None => panic!(
            "{name} is neither in {} nor in PATH: `cargo xtask test` gets it",
            tools.display()
        ),
    }
}

fn find(name: &str, folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn gives_input_and_collects_output() {
        let output = run(shell("cat; echo oops >&2; exit 3"), b"hello", Duration::from_secs(20))
            .await
            .unwrap();
        assert_eq!(output.stdout, "hello");
        assert_eq!(output.stderr, "oops\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[tokio::test]
    async fn large_input_that_is_not_read_does_not_hang() {
        let input = vec![b'x'; 1 << 20];
        let output = run(shell("true"), &input, Duration::from_secs(20)).await.unwrap();
        assert!(output.status.success());
    }

    #[tokio::test]
    async fn kills_what_does_not_end() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("echo $$ > {}; exec sleep 600", pid_file.display());
        let error = run(shell(&script), b"", Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(error.to_string(), "sh did not end within 500ms and was killed");
        let pid = std::fs::read_to_string(pid_file).unwrap();
        let process = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
        for _ in 0..1000 {
            // Gone, or waiting to be reaped by the runtime.
            match std::fs::read_to_string(&process) {
                Ok(stat) if !stat.contains(") Z ") => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                _ => return,
            }
        }
        panic!("still alive");
    }

    #[tokio::test]
    async fn names_a_program_that_is_not_there() {
        let command = std::process::Command::new("/nowhere/at/all");
        let error = run(command, b"", Duration::from_secs(1)).await.unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/at/all cannot be started"), "{error}");
    }

    #[test]
    fn finds_programs_and_only_those() {
        assert!(tool("sh").is_absolute());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("notes"), "not a program").unwrap();
        assert_eq!(find("notes", [folder.path().to_owned()].into_iter()), None);
    }

    #[test]
    #[should_panic(expected = "no-such-tool is neither in")]
    fn says_how_to_get_a_missing_tool() {
        tool("no-such-tool");
    }
}
