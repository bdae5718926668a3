//! A real program that runs beside a test: what it says is heard while it runs, signals reach it,
//! and it does not outlive the test.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::process::{Output, RunError};

/// Long enough for any program on a busy machine, short enough that a hang is noticed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    id: u32,
    stdout: Heard,
    stderr: Heard,
}

impl Program {
    /// Starts the command with no input; call it within a tokio runtime, which then listens.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: std::process::Command) -> Result<Program, RunError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut command = Command::from(command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = command.kill_on_drop(true).spawn();
        let mut child =
            started.map_err(|source| RunError::Start { program: name.clone(), source })?;
        let id = child.id().expect("it has not been waited for");
        let stdout = Heard::of(child.stdout.take().expect("it was asked to be a pipe"));
        let stderr = Heard::of(child.stderr.take().expect("it was asked to be a pipe"));
        Ok(Program { name, child, id, stdout, stderr })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Waits until its standard output has a whole line with this text; that line.
    ///
    /// # Panics
    /// When it ends, or a minute passes, without saying so; shows what it did say.
    pub async fn says(&mut self, text: &str) -> String {
        match tokio::time::timeout(PATIENCE, self.stdout.line_with(text)).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended without saying {text:?}:\n{}", self.name, self.said()),
            Err(_) => panic!("{} does not say {text:?}:\n{}", self.name, self.said()),
        }
    }

    /// All that it has said so far on standard output and, behind that, on standard error.
    pub fn said(&self) -> String {
        self.stdout.text() + &self.stderr.text()
    }

    /// Sends it a signal, by its name without SIG.
    ///
    /// # Panics
    /// When there is no such signal, or no such process any more.
    pub fn signal(&self, signal: &str) {
        let script = format!("kill -s {signal} {}", self.id);
        let sent = std::process::Command::new("sh").args(["-c", &script]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{script} fails:\n{}", self.said());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When that does not come within a minute; shows what it has said.
    pub async fn end(mut self) -> Output {
        let end = async {
            let status = self.child.wait().await;
            self.stdout.end().await;
            self.stderr.end().await;
            status
        };
        match tokio::time::timeout(PATIENCE, end).await {
            Ok(Ok(status)) => {
                Output { status, stdout: self.stdout.text(), stderr: self.stderr.text() }
            }
            Ok(Err(error)) => panic!("cannot wait for {}: {error}", self.name),
            Err(_) => panic!("{} does not end:\n{}", self.name, self.said()),
        }
    }
}

/// What came through one pipe: read at once, so that the program never waits for the test.
#[derive(Debug)]
struct Heard {
    text: Arc<Mutex<String>>,
    bytes: watch::Receiver<usize>,
    listener: JoinHandle<()>,
}

impl Heard {
    fn of(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> Heard {
        let text = Arc::new(Mutex::new(String::new()));
        let (told, bytes) = watch::channel(0);
        let heard = Arc::clone(&text);
        let listener = tokio::spawn(async move {
            let mut buffer = vec![0; 16 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                let part = String::from_utf8_lossy(&buffer[..count]);
                heard.lock().unwrap_or_else(PoisonError::into_inner).push_str(&part);
                told.send_modify(|bytes| *bytes += count);
            }
        });
        Heard { text, bytes, listener }
    }

    fn text(&self) -> String {
        self.text.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None` if the pipe ended without such a line.
    async fn line_with(&mut self, wanted: &str) -> Option<String> {
        loop {
            self.bytes.mark_unchanged();
            let text = self.text();
            let mut whole_lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = whole_lines.find(|line| line.contains(wanted)) {
                return Some(line.trim_end().to_owned());
            }
            if self.bytes.changed().await.is_err() {
                return None;
            }
        }
    }

    async fn end(&mut self) {
        // A listener that panicked has heard all that it could.
        let _ = (&mut self.listener).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]);
        Program::start(command).unwrap()
    }

    #[tokio::test]
    async fn hears_lines_while_it_runs_and_the_rest_at_its_end() {
        let mut program = shell("echo one; echo two words; echo oops >&2; read -r _; exit 3");
        assert_eq!(program.says("two").await, "two words");
        let output = program.end().await;
        assert_eq!(output.stdout, "one\ntwo words\n");
        assert_eq!(output.stderr, "oops\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[tokio::test]
    async fn signals_reach_it() {
        let mut program =
            shell("trap 'echo heard; exit 7' INT; echo ready; while :; do sleep 0.01; done");
        program.says("ready").await;
        program.signal("INT");
        let output = program.end().await;
        assert_eq!((output.status.code(), output.stdout.as_str()), (Some(7), "ready\nheard\n"));
    }

    #[tokio::test]
    async fn much_output_that_nobody_asks_for_does_not_hang_it() {
        let output = shell("head -c 1000000 /dev/zero; echo").end().await;
        assert_eq!(output.stdout.len(), 1_000_001);
    }

    #[tokio::test]
    #[should_panic(expected = "sh ended without saying \"never\":\nonce\n")]
    async fn an_end_without_the_line_shows_what_was_said() {
        shell("echo once").says("never").await;
    }
}
