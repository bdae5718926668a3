//! A child process that does not outlive this one, whose last words are kept, and which can
//! be paused, killed and stopped within a time.

use std::io::{self, BufRead, BufReader, PipeReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tenfold_context::Moment;

use crate::family::{descendants, is_running};
use crate::last_words::LastWords;
use crate::tied::{tie, watch};
use crate::watch::Watch;

/// How often something that gives no notice is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(5);

/// A killed process is gone as soon as the kernel gets to it.
const GONE_TIME_MAX: Duration = Duration::from_secs(5);

/// How a server came to its end when it was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It had ended before.
    Already,
    /// It ended by itself, in order, within the time.
    Cleanly,
    /// It had to be killed: what it had not yet written is recovered at its next start.
    Killed,
}

/// A running child.
///
/// Dropping it kills it, and all that it has started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Ends the thread that spawned the child; the kernel would end the child with it.
    _thread: SyncSender<()>,
    words: Arc<Mutex<LastWords>>,
    paused: Option<Watch>,
    /// Where the kernel does not end the child with this process.
    until_parent_ends: Option<Watch>,
}

impl Process {
    /// Starts the command with no input; what it says is kept, up to a bound.
    pub(crate) fn start(mut command: Command) -> io::Result<Process> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        tie(&mut command);

        let words = Arc::new(Mutex::new(LastWords::default()));
        let heard = Arc::clone(&words);
        let (thread, end) = sync_channel::<()>(0);
        let (started, child) = sync_channel(1);
        thread::Builder::new().name("local-server".into()).spawn(move || {
            let spawned = command.spawn();
            // It holds our ends of the pipe: without them the reader sees the end of the child.
            drop(command);
            let running = spawned.is_ok();
            if started.send(spawned).is_ok() && running {
                listen(reader, &heard);
                wait_for_end(&end);
            }
        })?;
        let child = child.recv().map_err(|_| io::Error::other("the starting thread ended"))??;
        Ok(Process {
            until_parent_ends: watch(pid_of(&child))?,
            child,
            _thread: thread,
            words,
            paused: None,
        })
    }

    /// Runs a command to its end, which must come within `limit`.
    pub(crate) fn run(command: Command, limit: Duration) -> io::Result<Finished> {
        let mut process = Process::start(command)?;
        let status = process.wait(limit)?;
        if status.is_none() {
            process.kill()?;
        }
        Ok(Finished { status, words: process.last_words_at_end() })
    }

    pub(crate) fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// The last lines that it has written.
    pub(crate) fn last_words(&self) -> String {
        self.words.lock().unwrap_or_else(PoisonError::into_inner).text()
    }

    /// The same once the child has ended: gives the reading thread a moment to hear the end.
    pub(crate) fn last_words_at_end(&self) -> String {
        let until = Moment::now() + Duration::from_millis(500);
        while !self.words.lock().unwrap_or_else(PoisonError::into_inner).complete
            && Moment::now() < until
        {
            sleep(POLL);
        }
        self.last_words()
    }

    pub(crate) fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let ended = self.child.try_wait()?;
        if ended.is_some() {
            // From now on its number may be another's.
            self.until_parent_ends = None;
        }
        Ok(ended)
    }

    /// Waits for the end; `None` if it did not come within `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Moment::now() + limit;
        loop {
            let ended = self.has_ended()?;
            if ended.is_some() || Moment::now() >= until {
                return Ok(ended);
            }
            sleep(POLL);
        }
    }

    /// Freezes it and everything that it has started: it holds its sockets and answers nothing.
    pub(crate) fn pause(&mut self) -> io::Result<()> {
        if self.paused.is_none() && self.has_ended()?.is_none() {
            let mut family = self.freeze()?;
            // Woken last, so that it finds its children awake.
            family.push(self.pid());
            self.paused = Some(Watch::start("CONT", &family)?);
        }
        Ok(())
    }

    /// Lets it run again.
    pub(crate) fn resume(&mut self) {
        if let Some(watch) = self.paused.take() {
            watch.send();
        }
    }

    /// Ends it at once, with everything that it has started, as a crash would.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if self.has_ended()?.is_some() {
            return Ok(());
        }
        let family = self.freeze()?;
        self.paused = None;
        for process in &family {
            send(*process, Signal::SIGKILL)?;
        }
        self.child.kill()?;
        self.child.wait()?;
        // The kernel takes a moment for each; a new server would find them still at the data.
        let until = Moment::now() + GONE_TIME_MAX;
        while family.iter().any(|process| is_running(*process)) && Moment::now() < until {
            sleep(POLL);
        }
        Ok(())
    }

    /// Sends each signal in turn and waits that long for the end; kills it if none helped.
    pub(crate) fn stop(&mut self, steps: &[(Signal, Duration)]) -> io::Result<Stopped> {
        if self.has_ended()?.is_some() {
            return Ok(Stopped::Already);
        }
        self.resume();
        for (signal, limit) in steps {
            send(self.pid(), *signal)?;
            if self.wait(*limit)?.is_some() {
                return Ok(Stopped::Cleanly);
            }
        }
        self.kill()?;
        Ok(Stopped::Killed)
    }

    /// Stops the server first, so that nothing new is started while its children are counted.
    fn freeze(&self) -> io::Result<Vec<Pid>> {
        send(self.pid(), Signal::SIGSTOP)?;
        let family = descendants(self.pid());
        for process in &family {
            send(*process, Signal::SIGSTOP)?;
        }
        Ok(family)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever wants an end in order has asked for it; here only nothing may stay behind.
        let _ = self.kill();
    }
}

/// What a command that ran to its end has left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None` if it had to be killed because its time was over.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) words: String,
}

impl Finished {
    pub(crate) fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// How it ended, in words.
    pub(crate) fn how(&self) -> String {
        self.status.map_or_else(|| "took too long".into(), |status| status.to_string())
    }
}

/// A process that is gone needs no signal: that is no error.
fn send(process: Pid, signal: Signal) -> io::Result<()> {
    match kill(process, signal) {
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// Reads for ever: a server must never wait because nobody takes what it says.
fn listen(reader: PipeReader, words: &Mutex<LastWords>) {
    // A line without an end is cut, so that it cannot fill the memory.
    const LINE_BYTES_MAX: u64 = 4096;
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        words.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        line.clear();
    }
    words.lock().unwrap_or_else(PoisonError::into_inner).complete = true;
}

/// Returns when the [`Process`] is dropped. A server may close its output long before it ends.
fn wait_for_end(end: &Receiver<()>) {
    let _ = end.recv();
}
