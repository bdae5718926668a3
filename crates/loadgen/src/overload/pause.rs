//! Stops a process for a while, as a dependency that hangs, and never leaves it stopped.

use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::overload::OverloadEvent;

/// A process that stops for a while (SIGSTOP, and SIGCONT after it).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Which process. Its children go on: of a Postgres, the one that serves a connection is
    /// another than the one that accepts them.
    pub pid: i32,
    /// When, since the beginning of the load.
    pub after: Duration,
    /// For how long.
    pub length: Duration,
}

/// Why a process cannot be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PauseError {
    /// It is no process that may be stopped: all of them, the first one, or this one.
    #[error("process {pid} cannot be paused: the number of one other program is needed")]
    NotOne {
        /// The number.
        pid: i32,
    },
    /// It is not there, or belongs to somebody else.
    #[error("process {pid} cannot be paused: {error}")]
    Refused {
        /// The number.
        pid: i32,
        /// What the system says.
        error: Errno,
    },
    /// There would be nobody to let it go on if this program were killed.
    #[error("process {pid} is not paused, because `sh`, which would let it go on: {error}")]
    Watchman {
        /// The number.
        pid: i32,
        /// What the system says.
        error: Errno,
    },
}

impl Pause {
    /// Checks that the process is there and may be stopped.
    ///
    /// # Errors
    /// When it is not, or may not.
    pub fn check(&self) -> Result<(), PauseError> {
        let pid = self.pid;
        if pid <= 1 || pid == Pid::this().as_raw() {
            return Err(PauseError::NotOne { pid });
        }
        kill(Pid::from_raw(pid), None).map_err(|error| PauseError::Refused { pid, error })
    }
}

/// Where a pause has got to. Dropped, the process goes on.
#[derive(Debug)]
pub(super) struct Pausing {
    pause: Pause,
    state: State,
    /// Dropped after this has let it go on.
    _watchman: Watchman,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Paused,
    Over,
}

impl Pausing {
    /// As [`Pause::check`], and posts the watchman.
    pub(super) fn new(pause: Pause) -> Result<Pausing, PauseError> {
        pause.check()?;
        let pid = pause.pid;
        let watchman = Watchman::post(pid).map_err(|error| PauseError::Watchman {
            pid,
            error: Errno::from_raw(error.raw_os_error().unwrap_or_default()),
        })?;
        Ok(Pausing { pause, state: State::Waiting, _watchman: watchman })
    }

    /// Does what is due at that moment of the load.
    pub(super) fn at(
        &mut self,
        elapsed: Duration,
        watch: &mut dyn FnMut(&OverloadEvent<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let Pause { pid, after, length } = self.pause;
        match self.state {
            State::Waiting if elapsed >= after => {
                // Whoever has ended in the meantime cannot be stopped, and need not be.
                let stopped = kill(Pid::from_raw(pid), Signal::SIGSTOP).is_ok();
                self.state = if stopped { State::Paused } else { State::Over };
                if stopped {
                    watch(&OverloadEvent::Paused { pid })
                } else {
                    ControlFlow::Continue(())
                }
            }
            State::Paused if elapsed >= after + length => {
                self.go_on();
                watch(&OverloadEvent::Continued { pid })
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn go_on(&mut self) {
        if self.state == State::Paused {
            // One that has been killed in the meantime needs no word.
            let _ = kill(Pid::from_raw(self.pause.pid), Signal::SIGCONT);
            self.state = State::Over;
        }
    }
}

impl Drop for Pausing {
    fn drop(&mut self) {
        self.go_on();
    }
}

/// Lets the process go on when this program has ended in whatever way, SIGKILL as well: a shell
/// that waits for the end of a pipe, whose other end nobody but this program holds. In a group of
/// its own, so that a terminal's Ctrl-C passes it by.
#[derive(Debug)]
struct Watchman(Child);

const WATCH: &str = "trap '' HUP INT QUIT TERM; echo; read -r _; kill -s CONT \"$0\"";

impl Watchman {
    fn post(pid: i32) -> io::Result<Watchman> {
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCH]).arg(pid.to_string()).process_group(0);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watchman = Watchman(shell.spawn()?);
        // Its word that from now on no signal but one passes it by.
        if let Some(mut word) = watchman.0.stdout.take() {
            word.read_exact(&mut [0])?;
        }
        Ok(watchman)
    }
}

/// It is no longer needed, and must not wake whoever has the number by then.
impl Drop for Watchman {
    fn drop(&mut self) {
        // It cannot have ended, or been waited for, by itself: its pipe is open.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    /// The letter by which Linux names the state of a process; `T` is stopped.
    fn state(child: &Child) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1[..1].to_owned()
    }

    /// Waits, because a signal takes its time to be seen.
    fn becomes(child: &Child, stopped: bool) {
        for _ in 0..1000 {
            if (state(child) == "T") == stopped {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it is {} for ever", state(child));
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn pausing(child: &Child) -> Pausing {
        let pid = child.id() as i32;
        Pausing::new(Pause { pid, after: SECOND, length: SECOND }).unwrap()
    }

    #[test]
    fn a_process_is_stopped_when_it_is_due_and_goes_on_after_that() {
        let child = sleeper();
        let mut pausing = pausing(&child);
        let mut events = Vec::new();
        for millis in [0, 900, 1000, 1500, 2000, 5000] {
            let watched = pausing.at(Duration::from_millis(millis), &mut |event| {
                events.push((millis, format!("{event:?}")));
                ControlFlow::Continue(())
            });
            assert!(watched.is_continue());
            becomes(&child, (1000..2000).contains(&millis));
        }
        let pid = child.id();
        let expected = [
            (1000, format!("Paused {{ pid: {pid} }}")),
            (2000, format!("Continued {{ pid: {pid} }}")),
        ];
        assert_eq!(events, expected);
        end(child);
    }

    #[test]
    fn it_goes_on_when_the_load_ends_before_or_breaks() {
        let child = sleeper();
        let mut pausing = pausing(&child);
        assert!(pausing.at(SECOND, &mut |_| ControlFlow::Break(())).is_break());
        becomes(&child, true);
        drop(pausing);
        becomes(&child, false);
        end(child);
    }

    #[test]
    fn it_goes_on_when_whoever_stopped_it_is_gone_without_a_word() {
        let child = sleeper();
        let mut watchman = Watchman::post(child.id() as i32).unwrap();
        kill(Pid::from_raw(child.id() as i32), Signal::SIGSTOP).unwrap();
        becomes(&child, true);
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            kill(Pid::from_raw(watchman.0.id() as i32), signal).unwrap();
        }
        assert_eq!(state(&child), "T", "as long as the pipe is open");
        drop(watchman.0.stdin.take());
        becomes(&child, false);
        end(child);
    }

    #[test]
    fn what_must_not_be_stopped_is_refused() {
        let own = std::process::id() as i32;
        for pid in [-1, 0, 1, own] {
            let error = Pausing::new(Pause { pid, after: SECOND, length: SECOND }).unwrap_err();
            assert_eq!(error, PauseError::NotOne { pid });
        }
        let child = sleeper();
        let pid = child.id() as i32;
        end(child);
        let error = Pausing::new(Pause { pid, after: SECOND, length: SECOND }).unwrap_err();
        assert!(matches!(error, PauseError::Refused { .. }), "{error}");
    }
}
