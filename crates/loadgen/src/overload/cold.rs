//! What is called before a load so that it meets a cold service: a command or an address.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tenfold_context::Moment;

use crate::fetch::{Address, FetchError};

/// Emptying a cache takes no longer; what does hangs.
const TIME_MAX: Duration = Duration::from_secs(30);

/// How often it is looked whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is called before the load begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cold {
    /// A program with its arguments, without a shell.
    Command {
        /// The program.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// An address that gets an empty POST.
    Post(Address),
}

/// Why what was called before the load failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColdError {
    /// The program cannot be run.
    #[error("{program:?} cannot be run: {error}")]
    Run {
        /// Which.
        program: String,
        /// What stood in the way.
        error: io::Error,
    },
    /// The program says that it has failed.
    #[error("{program:?} failed: {status}")]
    Failed {
        /// Which.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The program took too long, and was killed.
    #[error("{program:?} was not done within {TIME_MAX:?}")]
    TooLong {
        /// Which.
        program: String,
    },
    /// The address did not answer well.
    #[error(transparent)]
    Post(#[from] FetchError),
}

impl Cold {
    /// Calls it, and waits for its end.
    pub(super) fn call(&self) -> Result<(), ColdError> {
        match self {
            Cold::Command { program, arguments } => run(program, arguments, TIME_MAX),
            Cold::Post(address) => Ok(address.post().map(drop)?),
        }
    }
}

fn run(program: &str, arguments: &[String], longest: Duration) -> Result<(), ColdError> {
    let failed = |error| ColdError::Run { program: program.to_owned(), error };
    let mut command = Command::new(program);
    let mut child = command.args(arguments).stdin(Stdio::null()).spawn().map_err(failed)?;
    let deadline = Moment::now() + longest;
    loop {
        match child.try_wait().map_err(failed)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => {
                return Err(ColdError::Failed { program: program.to_owned(), status });
            }
            None if Moment::now() >= deadline => {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                return Err(ColdError::TooLong { program: program.to_owned() });
            }
            None => thread::sleep(LOOK_EVERY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(program: &str, argument: &str) -> Result<(), ColdError> {
        let arguments = vec!["-c".to_owned(), argument.to_owned()];
        Cold::Command { program: program.to_owned(), arguments }.call()
    }

    #[test]
    fn a_command_that_succeeds_is_waited_for_and_one_that_fails_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("done");
        call("sh", &format!("sleep 0.1; echo > {}", file.display())).unwrap();
        assert!(file.exists());
        let error = call("sh", "exit 3").unwrap_err();
        assert!(error.to_string().contains('3'), "{error}");
        let error = call("/no/such/program", "").unwrap_err();
        assert!(matches!(error, ColdError::Run { .. }), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_killed() {
        let error = run("sleep", &["60".to_owned()], Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, ColdError::TooLong { .. }), "{error}");
    }
}
