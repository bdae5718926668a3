//! Runs other programs and says what went wrong with them in one sentence.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::{Error, Stopwatch};

/// The folder of the workspace.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().expect("xtask lies in a folder of the workspace").to_owned()
}

/// A command that runs in the workspace's folder.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Where a program is, by the rules of the shell; `None` when it is nowhere in PATH.
pub fn which(program: &str) -> Option<PathBuf> {
    // The shell looks in PATH, so nobody here has to read the environment. Debian keeps servers
    // where only root's PATH leads to.
    let script = "PATH=\"$PATH:/usr/sbin\"; command -v -- \"$1\"";
    let found = command("sh", &["-c", script, "sh", program]).output().ok()?;
    let path = PathBuf::from(String::from_utf8_lossy(&found.stdout).trim_end());
    (found.status.success() && path.is_absolute()).then_some(path)
}

/// Runs a command in view of the person at the terminal.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(mut command: Command) -> Result<(), Error> {
    eprintln!("$ {}", shown(&command));
    let status = command.status().map_err(|error| cannot_start(&command, &error))?;
    succeeded(&command, status)
}

/// Runs a command in silence and gives its standard output without the last line's end.
///
/// # Errors
/// When it cannot be started, or fails; with its standard error then.
pub fn read(mut command: Command) -> Result<String, Error> {
    let output = command.output().map_err(|error| cannot_start(&command, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(format!("{} failed ({}): {said}", shown(&command), output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Runs a command in view, and keeps every line that it wrote to either output.
///
/// # Errors
/// When it cannot be started. A failure is in the status.
pub fn watch(mut command: Command) -> Result<(ExitStatus, Vec<String>), Error> {
    eprintln!("$ {}", shown(&command));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| cannot_start(&command, &error))?;
    let lines = Arc::new(Mutex::new(Vec::new()));
    let out = child.stdout.take().expect("standard output was asked to be a pipe");
    let err = child.stderr.take().expect("standard error was asked to be a pipe");
    let tees = [
        thread::spawn({
            let lines = lines.clone();
            move || tee(out, std::io::stdout(), &lines)
        }),
        thread::spawn({
            let lines = lines.clone();
            move || tee(err, std::io::stderr(), &lines)
        }),
    ];
    let status = child.wait()?;
    // Something that the command left running may hold the pipes open for ever; what the command
    // itself wrote has arrived by then.
    let ended = Stopwatch::start();
    while !tees.iter().all(thread::JoinHandle::is_finished) && ended.elapsed() < PIPES_WAIT_MAX {
        thread::sleep(Duration::from_millis(5));
    }
    let lines = std::mem::take(&mut *lines.lock().expect("copying lines does not panic"));
    Ok((status, lines))
}

/// Time for what a command wrote to get through the pipes once it has ended.
const PIPES_WAIT_MAX: Duration = Duration::from_secs(3);

/// Copies to the terminal and keeps a copy, until the pipe ends.
fn tee(from: impl Read, mut to: impl Write, lines: &Mutex<Vec<String>>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // A terminal that is gone is no reason to stop the tests.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        lines.lock().expect("copying lines does not panic").push(text);
        line.clear();
    }
}

/// The command as somebody would type it.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .map(|word| match word {
            // A script that is several lines long says what it does by what it writes.
            word if word.contains('\n') => "…".to_owned(),
            word if word.contains([' ', '"', '$']) => format!("'{word}'"),
            word => word.into_owned(),
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> Error {
    format!("{} cannot be started: {error}", command.get_program().to_string_lossy()).into()
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<(), Error> {
    if status.success() {
        return Ok(());
    }
    Err(format!("{} failed ({status})", shown(command)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("xtask/Cargo.toml").is_file());
    }

    #[test]
    fn finds_what_is_there_and_no_more() {
        assert!(which("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(which("no-such-program-anywhere"), None);
        // A word that the shell itself knows is not a program.
        assert_eq!(which("while"), None);
    }

    #[test]
    fn watches_both_outputs() {
        let (status, mut lines) =
            watch(command("sh", &["-c", "echo out; echo err >&2; exit 3"])).unwrap();
        lines.sort();
        assert_eq!(status.code(), Some(3));
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn does_not_wait_for_what_a_command_left_running() {
        let started = Stopwatch::start();
        let (status, lines) = watch(command("sh", &["-c", "sleep 600 & echo $!"])).unwrap();
        assert!(status.success() && started.elapsed() < Duration::from_secs(60));
        run(command("kill", &[&lines[0]])).unwrap();
    }

    #[test]
    fn failures_are_sentences() {
        let error = read(command("sh", &["-c", "echo oh no >&2; exit 2"])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "sh -c 'echo oh no >&2; exit 2' failed (exit status: 2): oh no"
        );
        let error = run(command("no-such-program-anywhere", &[])).unwrap_err();
        assert!(error.to_string().starts_with("no-such-program-anywhere cannot be started"));
    }
}
