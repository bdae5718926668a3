//! Stops a process for a while, as a dependency that hangs, and never leaves it stopped.

use std::ops::ControlFlow;
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
}

/// Where a pause has got to. Dropped, the process goes on.
#[derive(Debug)]
pub(super) struct Pausing {
    pause: Pause,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Paused,
    Over,
}

impl Pausing {
    /// Checks that the process is there and may be stopped.
    pub(super) fn new(pause: Pause) -> Result<Pausing, PauseError> {
        let pid = pause.pid;
        if pid <= 1 || pid == Pid::this().as_raw() {
            return Err(PauseError::NotOne { pid });
        }
        kill(Pid::from_raw(pid), None).map_err(|error| PauseError::Refused { pid, error })?;
        Ok(Pausing { pause, state: State::Waiting })
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Child, Command};

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
