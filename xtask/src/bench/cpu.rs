//! Reads from /proc how much CPU time a process has used. Linux only.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

/// The kernel gives times to user space in hundredths of a second, whatever its own clock is.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process with all its threads, in steps of 10 ms.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    Ok(stat(pid)?.own)
}

/// As [`cpu_time`], with everything that it ever started and that still runs below it, and the
/// children that have ended and were waited for: Postgres' postmaster with its backends.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time_of_tree(pid: u32) -> io::Result<Duration> {
    let first = stat(pid)?;
    let mut time = first.own + first.ended_children;
    let others: Vec<Stat> = std::fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        // A process may end between being listed and being read.
        .filter_map(|other| stat(other).ok())
        .collect();
    let mut tree = HashSet::from([pid]);
    loop {
        let below: Vec<&Stat> = others
            .iter()
            .filter(|other| tree.contains(&other.parent) && !tree.contains(&other.pid))
            .collect();
        if below.is_empty() {
            return Ok(time);
        }
        for other in below {
            time += other.own + other.ended_children;
            tree.insert(other.pid);
        }
    }
}

/// What the children of this process have used that it has waited for: the difference is what a
/// program took that ran in between. The second time is that of the kernel alone, which is a
/// sample and no sum.
///
/// # Errors
/// When /proc is not there.
pub fn cpu_time_of_ended_children() -> io::Result<(Duration, Duration)> {
    let stat = stat(std::process::id())?;
    Ok((stat.ended_children, stat.ended_children_in_kernel))
}

/// What a core was kept from doing, because another virtual machine had the processor below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stolen {
    stolen_ticks: u64,
    all_ticks: u64,
}

impl Stolen {
    /// So far, of one core.
    ///
    /// # Errors
    /// When /proc does not tell of this core.
    pub(super) fn of(core: usize) -> io::Result<Stolen> {
        let text = std::fs::read_to_string("/proc/stat")?;
        let missing = || io::Error::other(format!("/proc/stat does not tell of core {core}"));
        parse_stolen(&text, core).ok_or_else(missing)
    }

    /// The part of the time since then, from 0 to 1.
    pub(super) fn share_since(self, before: Stolen) -> f64 {
        let all = self.all_ticks.saturating_sub(before.all_ticks).max(1);
        self.stolen_ticks.saturating_sub(before.stolen_ticks) as f64 / all as f64
    }
}

/// The line of a core in proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; what
/// follows is in the first two already.
fn parse_stolen(text: &str, core: usize) -> Option<Stolen> {
    let name = format!("cpu{core}");
    let mut words = text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then_some(words)
    })?;
    let ticks: Vec<u64> = words.by_ref().take(8).map_while(|word| word.parse().ok()).collect();
    let stolen_ticks = *ticks.get(7)?;
    Some(Stolen { stolen_ticks, all_ticks: ticks.iter().sum() })
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    own: Duration,
    ended_children: Duration,
    ended_children_in_kernel: Duration,
}

fn stat(pid: u32) -> io::Result<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse(pid, &text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat reads {text:?}")))
}

/// Fields as in proc(5), counted from the state, the first one after the name: the name stands in
/// brackets and may hold brackets and spaces itself.
fn parse(pid: u32, text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
    let time = |field| Some(Duration::from_millis(ticks(field)? * (1000 / TICKS_PER_SECOND)));
    Some(Stat {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        own: time(11)? + time(12)?,
        ended_children: time(13)? + time(14)?,
        ended_children_in_kernel: time(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::command;

    #[test]
    fn reads_a_line_with_a_nasty_name() {
        let line = "42 (a (b) c) S 7 42 42 0 -1 4194560 1 0 0 0 150 25 3 4 20 0 1 0 100 5 6";
        let expected = Stat {
            pid: 42,
            parent: 7,
            own: Duration::from_millis(1750),
            ended_children: Duration::from_millis(70),
            ended_children_in_kernel: Duration::from_millis(40),
        };
        assert_eq!(parse(42, line), Some(expected));
        assert_eq!(parse(42, "42 (short) S 7"), None);
    }

    #[test]
    fn what_others_took_is_of_one_core_and_of_the_time_between() {
        let early =
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 1 0 1 8 0 0 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1 1 1\n";
        let late = "cpu1 41 0 21 18 0 0 0 30 7 0\n";
        let (early, late) = (parse_stolen(early, 1).unwrap(), parse_stolen(late, 1).unwrap());
        assert_eq!(late.share_since(early), 0.3);
        assert_eq!(early.share_since(early), 0.0, "no time has passed");
        assert_eq!(parse_stolen("cpu1 1 2 3", 1), None);
        assert_eq!(parse_stolen("cpu0 1 2 3 4 5 6 7 8 9 10", 1), None);
    }

    #[test]
    fn time_of_a_tree_holds_its_children() {
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";
        let script = format!("sh -c '{busy}; sleep 60' & wait");
        let mut parent = command("sh", &["-c", &script]).spawn().unwrap();
        let used = (0..2000).find_map(|_| {
            std::thread::sleep(Duration::from_millis(10));
            let tree = cpu_time_of_tree(parent.id()).unwrap();
            (tree >= Duration::from_millis(50)).then_some(tree)
        });
        let own = cpu_time(parent.id()).unwrap();
        end_tree(parent.id());
        parent.wait().unwrap();
        assert!(used.is_some_and(|tree| tree > own), "{used:?} in all, {own:?} of its own");
        assert!(cpu_time(parent.id()).is_err(), "it is gone");
    }

    fn end_tree(pid: u32) {
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        for child in text.split_whitespace() {
            end_tree(child.parse().unwrap());
        }
        command("kill", &["-9", &pid.to_string()]).status().unwrap();
    }
}
