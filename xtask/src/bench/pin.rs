//! Keeps programs on cores of their own, so that a bench compares them and not the scheduler's
//! luck. Linux only, through `taskset`.

use std::path::Path;
use std::process::Command;

use crate::Error;
use crate::shell::{command, read};

/// What is measured, and Postgres beside it.
pub(super) const SERVICE_CORE: usize = 0;

/// What offers load.
pub(super) const LOAD_CORE: usize = 1;

/// A command that runs on these cores alone, with all that it starts.
pub fn pinned(cores: &[usize], program: &str, arguments: &[&str]) -> Command {
    let cores = list(cores);
    let mut line = vec!["-c", &cores, program];
    line.extend(arguments);
    command("taskset", &line)
}

/// Moves a running process with all its threads to these cores.
///
/// # Errors
/// When the process is gone or the cores are not there.
pub fn pin(pid: u32, cores: &[usize]) -> Result<(), Error> {
    // With `-a`, taskset has no complaint about a process that has no thread left.
    if !Path::new("/proc").join(pid.to_string()).exists() {
        return Err(format!("there is no process {pid}").into());
    }
    read(command("taskset", &["-a", "-c", "-p", &list(cores), &pid.to_string()]))?;
    Ok(())
}

fn list(cores: &[usize]) -> String {
    cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_command_sees_one_core() {
        assert_eq!(read(pinned(&[0], "nproc", &[])).unwrap(), "1");
    }

    #[test]
    fn a_running_process_is_moved() {
        let mut child = command("sleep", &["60"]).spawn().unwrap();
        pin(child.id(), &[0]).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
        assert!(pin(child.id(), &[0]).is_err(), "it is gone");
    }
}
