//! Ties a child's life to its parent's, which takes the crate's only unsafe call.
#![allow(unsafe_code)] // `pre_exec` is unsafe, and a death signal can only be asked for between fork and exec.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::Pid;

use crate::watch::Watch;

/// Lets the command become a process in a group of its own (Ctrl-C at the terminal is the
/// parent's to handle) that is told to end when the calling **thread** ends: the kernel
/// watches the thread that spawned, not its process, so spawn from one that lives as long.
///
/// The signal is SIGINT. Linux alone has such a thing: elsewhere the servers of this crate have a
/// shell that watches, and other commands just their own group.
pub fn tie(command: &mut Command) {
    command.process_group(0);
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes
    // two plain system calls, allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(move || ask_for_death_signal(parent));
    }
}

#[cfg(target_os = "linux")]
fn ask_for_death_signal(parent: u32) -> io::Result<()> {
    use nix::sys::{prctl, signal::Signal};

    // SIGINT is the quick, clean end of Postgres and Redis alike. It is asked for after std has
    // changed the user, because that change forgets it.
    prctl::set_pdeathsig(Signal::SIGINT)?;
    // The parent may have died between the fork and the line above: then nobody would tell.
    if nix::unistd::getppid().as_raw().cast_unsigned() == parent {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(nix::libc::ECHILD))
    }
}

/// What the kernel leaves undone: nothing here.
#[cfg(target_os = "linux")]
pub(crate) fn watch(_child: Pid) -> io::Result<Option<Watch>> {
    Ok(None)
}

/// What the kernel leaves undone: a shell sends the signal.
#[cfg(not(target_os = "linux"))]
pub(crate) fn watch(child: Pid) -> io::Result<Option<Watch>> {
    Watch::start("INT", &[child]).map(Some)
}

#[cfg(not(target_os = "linux"))]
fn ask_for_death_signal(_parent: u32) -> io::Result<()> {
    Ok(())
}
