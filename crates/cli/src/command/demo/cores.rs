//! Which cores serve and which send: a generator that takes its time from the service which it
//! measures has measured both.

use std::io;

#[cfg(target_os = "linux")]
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
#[cfg(target_os = "linux")]
use nix::unistd::Pid;

/// The cores of this process, in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    /// For the service and its database.
    pub(super) service: Vec<usize>,
    /// For the generator.
    pub(super) generator: Vec<usize>,
}

impl Cores {
    /// Halves what this process may use, the larger half for the service; `None` where there is
    /// one core, or where the system does not let a process choose.
    pub(super) fn split() -> io::Result<Option<Cores>> {
        Ok(split(&allowed()?))
    }

    /// Keeps this thread, and all that it starts from now on, on the service's cores.
    pub(super) fn serve(&self) -> io::Result<()> {
        keep_to(&self.service)
    }

    /// Does something from the generator's cores, such as starting it there.
    pub(super) fn start_beside<T>(&self, start: impl FnOnce() -> T) -> io::Result<T> {
        keep_to(&self.generator)?;
        let started = start();
        self.serve()?;
        Ok(started)
    }
}

fn split(allowed: &[usize]) -> Option<Cores> {
    let (service, generator) = allowed.split_at(allowed.len().div_ceil(2));
    let is_enough = !generator.is_empty();
    is_enough.then(|| Cores { service: service.to_vec(), generator: generator.to_vec() })
}

#[cfg(target_os = "linux")]
fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core) == Ok(true)).collect())
}

#[cfg(target_os = "linux")]
fn keep_to(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// macOS has no such choice.
#[cfg(not(target_os = "linux"))]
fn allowed() -> io::Result<Vec<usize>> {
    Ok(Vec::new())
}

#[cfg(not(target_os = "linux"))]
fn keep_to(_cores: &[usize]) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_gets_the_larger_half_and_one_core_is_not_shared_out() {
        for (allowed, service, generator) in [
            (&[0, 1][..], &[0][..], &[1][..]),
            (&[3, 5, 7], &[3, 5], &[7]),
            (&[0, 1, 2, 3], &[0, 1], &[2, 3]),
        ] {
            let cores = Cores { service: service.to_vec(), generator: generator.to_vec() };
            assert_eq!(split(allowed), Some(cores));
        }
        assert_eq!(split(&[4]), None);
        assert_eq!(split(&[]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_started_from_the_generators_cores_stays_there() {
        let Some(cores) = Cores::split().unwrap() else { return };
        // On a thread of its own, because the other tests may use all cores.
        std::thread::spawn(move || {
            cores.serve().unwrap();
            let seen = || std::thread::spawn(|| allowed().unwrap()).join().unwrap();
            assert_eq!(cores.start_beside(seen).unwrap(), cores.generator);
            assert_eq!(seen(), cores.service);
        })
        .join()
        .unwrap();
    }
}
