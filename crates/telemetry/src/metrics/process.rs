//! The numbers of the whole process under the names that every Prometheus library gives them.

use std::fs;

use super::registry::Registry;

/// Shows processor time, memory, open files, threads and start time of this process, read from
/// `/proc` at each scrape. Where there is no `/proc`, nothing is shown.
pub fn register_process(registry: &Registry) {
    if stat().is_none() {
        return;
    }
    registry.counter_with(
        "process_cpu_seconds_total",
        "Processor time spent in user and system mode.",
        &[],
        || or_nan(stat().map(|stat| stat.cpu_seconds)),
    );
    if let Some(start) =
        stat().and_then(|stat| Some(boot_time_seconds()? + stat.start_after_boot_seconds))
    {
        registry.gauge_with(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970.",
            &[],
            move || start,
        );
    }
    registry.gauge_with("process_resident_memory_bytes", "Memory that is in RAM.", &[], || {
        or_nan(status_number("VmRSS:").map(|kibibytes| kibibytes * 1024.0))
    });
    registry.gauge_with(
        "process_open_fds",
        "Open files and sockets.",
        &[],
        || or_nan(open_files()),
    );
    registry.gauge_with("process_max_fds", "How many files and sockets may be open.", &[], || {
        or_nan(open_files_max())
    });
    registry.gauge_with("process_threads", "Threads of the operating system.", &[], || {
        or_nan(status_number("Threads:"))
    });
}

struct Stat {
    cpu_seconds: f64,
    start_after_boot_seconds: f64,
}

/// `proc_pid_stat(5)`.
fn stat() -> Option<Stat> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets and may hold anything, brackets too.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Fields are counted from one there, and two are cut off here.
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(Stat {
        cpu_seconds: (field(14)? + field(15)?) / TICKS_PER_SECOND,
        start_after_boot_seconds: field(22)? / TICKS_PER_SECOND,
    })
}

/// `USER_HZ`: a constant of Linux' interface on every architecture that Rust's std runs on.
const TICKS_PER_SECOND: f64 = 100.0;

fn boot_time_seconds() -> Option<f64> {
    first_number(&fs::read_to_string("/proc/stat").ok()?, "btime ")
}

fn status_number(name: &str) -> Option<f64> {
    first_number(&fs::read_to_string("/proc/self/status").ok()?, name)
}

fn open_files() -> Option<f64> {
    // One of them is the folder that is being read.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn open_files_max() -> Option<f64> {
    first_number(&fs::read_to_string("/proc/self/limits").ok()?, "Max open files")
}

/// The number after `name` at the start of a line.
fn first_number(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

/// What cannot be read just now is not a number, rather than a wrong one.
fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}
