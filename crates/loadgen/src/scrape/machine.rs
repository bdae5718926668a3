//! How busy this machine is, as Linux tells it.

use std::fs;

/// Time that the processors have spent since the start, and memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Machine {
    together: Ticks,
    /// Each core by its number, which may have gaps.
    cores: Vec<(usize, Ticks)>,
    /// The cores that this thread, and so the generator's that it starts, may run on; none if
    /// that is not told.
    ours: Option<String>,
    memory: Option<Memory>,
}

/// Time in the kernel's ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticks {
    busy: u64,
    all: u64,
}

/// Memory of the machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Memory {
    pub(crate) total: u64,
    /// What programs could still have without swapping.
    pub(crate) available: u64,
}

/// What one core did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Core {
    pub(crate) number: usize,
    /// The share of its time that was not idle, from 0 to 1.
    pub(crate) busy_share: f64,
}

/// What a machine did between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MachineChange {
    pub(crate) cores: usize,
    /// The share of all its processors' time that was not idle, from 0 to 1.
    pub(crate) busy_share: f64,
    /// The busiest of the cores that the generator could not run on.
    pub(crate) others: Option<Core>,
    /// The busiest of those that it could.
    pub(crate) shared: Option<Core>,
    /// Memory at the second look.
    pub(crate) memory: Option<Memory>,
}

impl Machine {
    /// None on systems that do not tell.
    pub(crate) fn now() -> Option<Machine> {
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| memory(&text));
        // The thread's own: a process may be bound after its first thread has started.
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let ours = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let ours = ours.map(|list| list.trim().to_owned());
        Some(Machine { ours, memory, ..processors(&fs::read_to_string("/proc/stat").ok()?)? })
    }

    pub(crate) fn since(&self, before: &Machine) -> Option<MachineChange> {
        let busy_share = self.together.since(before.together)?;
        let core = |(number, ticks): &(usize, Ticks)| {
            let (_, earlier) = before.cores.iter().find(|(earlier, _)| earlier == number)?;
            Some(Core { number: *number, busy_share: ticks.since(*earlier)? })
        };
        let is_ours =
            |core: &Core| self.ours.as_deref().is_none_or(|ours| list_has(ours, core.number));
        let (shared, others): (Vec<Core>, Vec<Core>) =
            self.cores.iter().filter_map(core).partition(is_ours);
        Some(MachineChange {
            cores: self.cores.len(),
            busy_share,
            others: busiest(&others),
            shared: busiest(&shared),
            memory: self.memory,
        })
    }
}

impl Ticks {
    /// Reads a line of `/proc/stat` behind its name (`man 5 proc_stat`). What another virtual
    /// machine took is not to be had, and so counts as busy; what guests took is already part of
    /// the first two.
    fn parse(words: &str) -> Option<Ticks> {
        let ticks: Vec<u64> =
            words.split_whitespace().map_while(|word| word.parse().ok()).collect();
        let [user, nice, system, idle, waiting, rest @ ..] = ticks.as_slice() else { return None };
        let others: u64 = rest.iter().take(3).sum();
        let busy = user + nice + system + others;
        Some(Ticks { busy, all: busy + idle + waiting })
    }

    /// The share of the time between that was not idle; none if no time has passed.
    fn since(self, before: Ticks) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let busy = self.busy.saturating_sub(before.busy).min(all);
        Some(busy as f64 / all as f64)
    }
}

fn busiest(cores: &[Core]) -> Option<Core> {
    cores.iter().copied().max_by(|one, other| one.busy_share.total_cmp(&other.busy_share))
}

/// Whether a list as in `0-3,8` has a number (`man 7 cpuset`, "List format").
fn list_has(list: &str, number: usize) -> bool {
    list.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bound = |text: &str| text.trim().parse::<usize>().ok();
        matches!((bound(first), bound(last)), (Some(first), Some(last)) if (first..=last).contains(&number))
    })
}

/// The whole machine's line is followed by one for each core.
fn processors(text: &str) -> Option<Machine> {
    let together = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let core = |line: &str| {
        let (number, words) = line.strip_prefix("cpu")?.split_once(' ')?;
        Some((number.parse().ok()?, Ticks::parse(words)?))
    };
    let cores = text.lines().filter_map(core).collect();
    Some(Machine { together: Ticks::parse(together)?, cores, ours: None, memory: None })
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
        let before = "cpu  100 10 50 800 40 0 0 0 0 0\ncpu0 0 0 0 0 0\ncpu3 9 0 0 9 0\nintr 5\n";
        let after = "cpu  150 10 70 810 45 5 5 5 90 90\ncpu0 3 0 0 1 0\ncpu3 12 1 0 9 1\n";
        let [before, mut after] = [before, after].map(|text| processors(text).unwrap());
        let change = after.since(&before).unwrap();
        assert_eq!((change.cores, change.busy_share), (2, 0.85));
        let core = |number, busy_share| Some(Core { number, busy_share });
        assert_eq!((change.others, change.shared), (None, core(3, 0.8)), "all may be ours");
        for (ours, others, shared) in [
            ("0", core(3, 0.8), core(0, 0.75)),
            ("1-3", core(0, 0.75), core(3, 0.8)),
            ("0-3", None, core(3, 0.8)),
            ("7", core(3, 0.8), None),
        ] {
            after.ours = Some(ours.to_owned());
            let change = after.since(&before).unwrap();
            assert_eq!((change.others, change.shared), (others, shared), "{ours}");
        }
        assert_eq!(before.since(&before), None, "no time has passed");
        assert_eq!(before.since(&after), None, "it was started anew");
    }

    #[test]
    fn lists_of_cores_are_read() {
        for (list, has, has_not) in [("0", 0, 1), ("0-3,8", 8, 4), ("2-3", 2, 1), ("0,2,4-6", 5, 3)]
        {
            assert!(list_has(list, has), "{list} {has}");
            assert!(!list_has(list, has_not), "{list} {has_not}");
        }
        assert!(!list_has("", 0));
        assert!(!list_has("x-3", 2));
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
        assert!(!machine.cores.is_empty(), "{machine:?}");
        let ours = machine.ours.as_deref().unwrap();
        assert!(machine.cores.iter().any(|(number, _)| list_has(ours, *number)), "{machine:?}");
        assert!(machine.together.all >= machine.together.busy, "{machine:?}");
    }
}
