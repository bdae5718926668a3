//! How busy this machine is, as Linux tells it.

use std::fs;

/// Time that all processors together have spent since the start, in ticks, and memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Machine {
    cores: usize,
    busy: u64,
    all: u64,
    memory: Option<Memory>,
}

/// Memory of the machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    /// What programs could still have without swapping.
    pub(crate) available: u64,
}

/// What a machine did between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MachineChange {
    pub(crate) cores: usize,
    /// The share of all its processors' time that was not idle, from 0 to 1.
    pub(crate) busy_share: f64,
    /// Memory at the second look.
    pub(crate) memory: Option<Memory>,
}

impl Machine {
    /// None on systems that do not tell.
    pub(crate) fn now() -> Option<Machine> {
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
        Some(Machine { memory, ..processors(&fs::read_to_string("/proc/stat").ok()?)? })
    }

    pub(crate) fn since(self, before: Machine) -> Option<MachineChange> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let busy = self.busy.saturating_sub(before.busy).min(all);
        let busy_share = busy as f64 / all as f64;
        Some(MachineChange { cores: self.cores, busy_share, memory: self.memory })
    }
}

/// Reads `/proc/stat` (`man 5 proc_stat`). What another virtual machine took is not to be had,
/// and so counts as busy; what guests took is already part of the first two.
fn processors(text: &str) -> Option<Machine> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, waiting, rest @ ..] = ticks.as_slice() else { return None };
    let others: u64 = rest.iter().take(3).sum();
    let busy = user + nice + system + others;
    let is_core = |line: &&str| {
        let number = line.strip_prefix("cpu").and_then(|rest| rest.split_whitespace().next());
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    // The whole machine's line is followed by one for each core.
    let cores = text.lines().filter(is_core).filter(|line| !line.starts_with("cpu ")).count();
    Some(Machine { cores, busy, all: busy + idle + waiting, memory: None })
}

/// Reads `/proc/meminfo`, whose values are in KiB.
fn memory(text: &str) -> Option<Memory> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Memory { total: value("MemTotal:")?, available: value("MemAvailable:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_busy_with_everything_that_is_not_idle() {
        let before = "cpu  100 10 50 800 40 0 0 0 0 0\ncpu0 1 1 1\ncpu1 1 1 1\nintr 5\n";
        let after = "cpu  150 10 70 810 45 5 5 5 90 90\ncpu0 1 1 1\ncpu1 1 1 1\n";
        let [before, after] = [before, after].map(|text| processors(text).unwrap());
        let change = after.since(before).unwrap();
        assert_eq!((change.cores, change.busy_share), (2, 0.85));
        assert_eq!(before.since(before), None, "no time has passed");
        assert_eq!(before.since(after), None, "it was started anew");
    }

    #[test]
    fn memory_is_told_in_bytes() {
        let text = "MemTotal:  2000 kB\nMemFree: 10 kB\nMemAvailable:   500 kB\n";
        assert_eq!(memory(text), Some(Memory { total: 2_048_000, available: 512_000 }));
        assert_eq!(memory("MemTotal: x"), None);
    }

    #[test]
    fn what_is_no_table_of_processors_is_none() {
        for text in ["", "cpu 1 2 3", "intr 1"] {
            assert_eq!(processors(text), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_tells() {
        let machine = Machine::now().unwrap();
        assert!(machine.cores > 0 && machine.all >= machine.busy, "{machine:?}");
    }
}
