//! A small shell that sends signals when this process is gone, for what the kernel does not
//! do by itself.
//!
//! Two things need it: a server that is paused when its parent dies has to be woken to hear
//! that it should end, and systems without a death signal (macOS) have nothing else.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;

/// Sends its signals at the latest when this process ends, however it ends: the shell reads
/// a pipe that only this process holds, and goes on when that is closed.
#[derive(Debug)]
pub(crate) struct Watch {
    shell: Child,
}

impl Watch {
    /// Will send `signal` (its name without SIG) to all of `processes`.
    pub(crate) fn start(signal: &str, processes: &[Pid]) -> io::Result<Watch> {
        let shell = Command::new("/bin/sh")
            .args(["-c", "read -r go || : ; kill -s \"$0\" \"$@\"", signal])
            .args(processes.iter().map(ToString::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Watch { shell })
    }

    /// Sends the signals now.
    pub(crate) fn send(mut self) {
        drop(self.shell.stdin.take());
        // Nothing to report: a process that is gone needs no signal.
        let _ = self.shell.wait();
    }
}

impl Drop for Watch {
    /// Calls it off: the processes may be gone and their numbers others' by now.
    fn drop(&mut self) {
        if self.shell.stdin.is_some() {
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}
