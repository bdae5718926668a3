//! Programs that a bench starts: each says when it is ready, and ends with whoever holds it.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::shell::{command, shown};
use crate::{Error, Stopwatch};

/// Time that a program has to become ready, and then again to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running program. Dropping it asks it to end, and after a while makes it.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

impl Running {
    /// Starts a server that will answer at `address`; what it writes is thrown away.
    ///
    /// # Errors
    /// When it ends, or does not answer in time.
    pub fn server(mut program: Command, address: SocketAddr) -> Result<Running, Error> {
        program.stdin(Stdio::null()).stdout(Stdio::null());
        let mut running = Running::start(&mut program)?;
        let begun = Stopwatch::start();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = running.child.try_wait()? {
                return Err(format!("{} ended ({status})", shown(&program)).into());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} does not answer at {address}", shown(&program)).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    /// Starts a program that says in its first lines what one has to know of it, and ends when
    /// its input does.
    ///
    /// # Errors
    /// When it ends before that.
    pub fn talkative(mut program: Command, lines: usize) -> Result<(Running, Vec<String>), Error> {
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut running = Running::start(&mut program)?;
        let out = running.child.stdout.take().expect("standard output was asked to be a pipe");
        let said: Result<Vec<String>, _> = BufReader::new(out).lines().take(lines).collect();
        let said = said?;
        if said.len() < lines {
            return Err(format!("{} ended before it was ready", shown(&program)).into());
        }
        Ok((running, said))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn start(program: &mut Command) -> Result<Running, Error> {
        let started = program.spawn();
        let child =
            started.map_err(|error| format!("{} cannot be started: {error}", shown(program)))?;
        Ok(Running { child })
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever fails here, the kill at the end does not.
        drop(self.child.stdin.take());
        if !self.has_ended() {
            let _ = command("kill", &[&self.id().to_string()]).status();
        }
        let asked = Stopwatch::start();
        while !self.has_ended() {
            if asked.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// An address on loopback where nobody listens at this moment.
///
/// # Errors
/// When there is none left.
pub fn free_address() -> Result<SocketAddr, Error> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_talkative_program_is_heard_and_ends_with_its_holder() {
        let script = "echo one; echo two; cat > /dev/null";
        let (running, said) = Running::talkative(command("sh", &["-c", script]), 2).unwrap();
        assert_eq!(said, ["one", "two"]);
        let process = std::path::Path::new("/proc").join(running.id().to_string());
        assert!(process.exists());
        drop(running);
        assert!(!process.exists());
    }

    #[test]
    fn one_that_ends_too_soon_is_named() {
        let error = Running::talkative(command("sh", &["-c", "echo one"]), 2).unwrap_err();
        assert_eq!(error.to_string(), "sh -c 'echo one' ended before it was ready");
        let address = free_address().unwrap();
        let error = Running::server(command("false", &[]), address).unwrap_err();
        assert_eq!(error.to_string(), "false ended (exit status: 1)");
    }
}
