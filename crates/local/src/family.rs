//! The processes that a server has started: Postgres gives each of its own a session, so a
//! signal to the server's group does not reach them.

use std::collections::HashMap;

use nix::unistd::Pid;

use crate::folder::is_alive;

/// All living descendants of `root`, parents before children; not `root` itself.
pub(crate) fn descendants(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (process, parent) in processes_and_parents() {
        children.entry(parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut next = 0;
    let mut parent = root.as_raw();
    loop {
        found.extend(children.remove(&parent).unwrap_or_default());
        match found.get(next) {
            Some(process) => parent = *process,
            None => return found.into_iter().map(Pid::from_raw).collect(),
        }
        next += 1;
    }
}

/// Whether the process still runs: one that has ended and that nobody has waited for does not.
pub(crate) fn is_running(process: Pid) -> bool {
    match std::fs::read_to_string(format!("/proc/{process}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| !rest.starts_with(" Z")),
        Err(_) => cfg!(not(target_os = "linux")) && is_alive(process),
    }
}

#[cfg(target_os = "linux")]
fn processes_and_parents() -> Vec<(i32, i32)> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let process = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent …`: the name may hold anything, even a bracket.
            let after_name = &stat[stat.rfind(')')? + 1..];
            Some((process, after_name.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

#[cfg(not(target_os = "linux"))]
fn processes_and_parents() -> Vec<(i32, i32)> {
    let Ok(output) = std::process::Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output()
    else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
        })
        .collect()
}
