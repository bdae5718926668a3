//! Whether a run can be believed: a generator that could not keep up has measured itself.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::ending::NotOffered;
use crate::outcome::Phase;
use crate::record::{PhaseRecord, Record, Tally};

/// More than one request in a thousand that was not offered, or too late, and the load was
/// another.
const MISSED_SHARE_MAX: f64 = 0.001;

/// A generator that is later than this with one request in a hundred has put its own delay into
/// the latencies.
const LAG_MAX: Duration = Duration::from_millis(10);

/// In one phase, fewer late requests than this are no sign of anything, however short it is.
const LATE_MIN: u64 = 5;

/// What this machine lacked, be it once: it was at its end then, and the service was not asked.
const EXHAUSTED: [NotOffered; 2] = [NotOffered::NoFile, NotOffered::NoPort];

/// With so much of its core's time in use, being late is a lack of it.
const CPU_SHARE_FULL: f64 = 0.9;

/// Whether what was measured is the service, or the generator.
#[derive(Clone, Debug, PartialEq)]
pub enum Validity {
    /// The load was what it was intended to be.
    Valid,
    /// The generator was the bottleneck, for these reasons, in the order of the phases.
    Generator(Vec<Shortfall>),
}

/// A limit of the generator that was met, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Shortfall {
    /// The phase, by its place in the run and its name; none if it is about the whole run.
    pub phase: Option<(usize, String)>,
    /// What was too little.
    pub limit: Limit,
}

/// Why the load was not what it was intended to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Requests were not sent, or so late that it was in vain, because no connection was free for
    /// them.
    Connections {
        /// How many were not sent.
        not_offered: u64,
        /// How many were sent, but had waited for more than half of their time: see
        /// [`Tally::spoilt`](crate::Tally::spoilt).
        spoilt: u64,
        /// Out of so many.
        intended: u64,
        /// Of those that waited for a connection, and got one, one in a hundred waited longer.
        wait_p99: Duration,
        /// The scenario's bound of connections.
        connections_max: usize,
    },
    /// Requests were not sent, because this process or machine could open no more files.
    Files {
        /// How many.
        not_offered: u64,
        /// Out of so many.
        intended: u64,
    },
    /// Requests were not sent, because this machine had no port left to connect from.
    Ports {
        /// How many.
        not_offered: u64,
        /// Out of so many.
        intended: u64,
    },
    /// Requests were sent late.
    Lag {
        /// One in a hundred was later than this.
        p99: Duration,
        /// The share of a core that each thread used, on the average of the run; see
        /// [`Outcome::cpu_share`](crate::Outcome::cpu_share).
        cpu_share: f64,
        /// How many threads sent.
        threads: usize,
        /// How many cores this process may use.
        cores: usize,
    },
}

impl Validity {
    /// Judges each phase by itself, so that a late one is not lost among many that were in time.
    pub(crate) fn of(
        record: &Record,
        phases: &[Phase],
        connections_max: usize,
        (cpu_share, threads, cores): (f64, usize, usize),
    ) -> Validity {
        let lag = |p99| Limit::Lag { p99, cpu_share, threads, cores };
        let mut shortfalls = Vec::new();
        let mut is_late = false;
        for (number, seen) in record.phases.iter().enumerate() {
            let phase = match phases {
                [] | [_] => None,
                _ => phases.get(number).map(|phase| (number, phase.name.clone())),
            };
            let tally = record.phase(number);
            let intended = tally.intended;
            let [files, ports] = EXHAUSTED
                .map(|reason| Some(seen.not_offered[reason as usize]).filter(|count| *count > 0));
            let files = files.map(|not_offered| Limit::Files { not_offered, intended });
            let ports = ports.map(|not_offered| Limit::Ports { not_offered, intended });
            let connections = connections(&tally, seen, connections_max);
            let late = late(&seen.lag_us, LATE_MIN).map(lag);
            is_late |= late.is_some();
            let limits = [files, ports, connections, late].into_iter().flatten();
            shortfalls.extend(limits.map(|limit| Shortfall { phase: phase.clone(), limit }));
        }
        // A few late ones in each of many short phases are many.
        if !is_late && let Some(p99) = late(&record.lag_us, 1) {
            shortfalls.push(Shortfall { phase: None, limit: lag(p99) });
        }
        if shortfalls.is_empty() { Validity::Valid } else { Validity::Generator(shortfalls) }
    }

    /// Whether the run can be believed.
    pub fn is_valid(&self) -> bool {
        *self == Validity::Valid
    }
}

fn connections(tally: &Tally, seen: &PhaseRecord, connections_max: usize) -> Option<Limit> {
    let Tally { spoilt, intended, .. } = *tally;
    let exhausted: u64 = EXHAUSTED.iter().map(|reason| seen.not_offered[*reason as usize]).sum();
    let not_offered = tally.not_offered - exhausted;
    let wait_p99 = Duration::from_micros(seen.connection_wait_us.value_at_quantile(0.99));
    let missed = (not_offered + spoilt) as f64;
    (missed > MISSED_SHARE_MAX * intended as f64).then_some(Limit::Connections {
        not_offered,
        spoilt,
        intended,
        wait_p99,
        connections_max,
    })
}

/// How late one in a hundred was, if that is too late and so many were, at the least.
fn late(lag_us: &Histogram<u64>, late_min: u64) -> Option<Duration> {
    let p99 = Duration::from_micros(lag_us.value_at_quantile(0.99));
    let in_time = lag_us.count_between(0, LAG_MAX.as_micros() as u64);
    (p99 > LAG_MAX && lag_us.len() - in_time >= late_min).then_some(p99)
}

impl Limit {
    /// How bad it is, beside others of its kind.
    fn badness(&self) -> f64 {
        match self {
            Limit::Connections { not_offered, spoilt, intended, .. } => {
                (not_offered + spoilt) as f64 / *intended as f64
            }
            Limit::Files { not_offered, intended } | Limit::Ports { not_offered, intended } => {
                *not_offered as f64 / *intended as f64
            }
            Limit::Lag { p99, .. } => p99.as_secs_f64(),
        }
    }

    fn is_like(&self, other: &Limit) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Validity {
    /// Of each kind of limit it names the worst phase, and the others by name alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Validity::Generator(shortfalls) = self else { return f.write_str("valid") };
        f.write_str("the generator was the bottleneck")?;
        let mut separator = ": ";
        for (index, first) in shortfalls.iter().enumerate() {
            let is_like = |other: &&Shortfall| other.limit.is_like(&first.limit);
            if shortfalls[..index].iter().any(|other| is_like(&other)) {
                continue;
            }
            let alike = || shortfalls[index..].iter().filter(is_like);
            let worst = alike().fold(first, |worst, other| {
                if other.limit.badness() > worst.limit.badness() { other } else { worst }
            });
            write!(f, "{separator}{worst}")?;
            let others = alike().filter(|other| other.phase != worst.phase);
            let names: Vec<&str> = others.filter_map(Shortfall::phase_name).collect();
            if !names.is_empty() {
                write!(f, "; less so in {}", names.join(", "))?;
            }
            separator = ", and ";
        }
        Ok(())
    }
}

impl Shortfall {
    fn phase_name(&self) -> Option<&str> {
        self.phase.as_ref().map(|(_, name)| name.as_str())
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.phase_name() {
            write!(f, "phase {name}: ")?;
        }
        self.limit.fmt(f)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Connections { not_offered, spoilt, intended, wait_p99, connections_max } => {
                let missed = not_offered + spoilt;
                let connections = plain(*connections_max as u64, "connection");
                write!(
                    f,
                    "{missed} of {} found none of {connections} free",
                    plain(*intended, "request")
                )?;
                if *spoilt > 0 {
                    write!(f, " in time: one in a hundred waited {wait_p99:.1?} or longer")?;
                }
                f.write_str(" (raise connections_max, or lower the timeout or the rate)")
            }
            Limit::Files { not_offered, intended } => write!(
                f,
                "{not_offered} of {} got no connection, because too many files were open (lower \
                 connections_max, or allow more open files: ulimit -n)",
                plain(*intended, "request")
            ),
            Limit::Ports { not_offered, intended } => write!(
                f,
                "{not_offered} of {} got no connection, because this machine had no port left to \
                 connect from (let the service keep connections open, lower the rate, or widen \
                 net.ipv4.ip_local_port_range)",
                plain(*intended, "request")
            ),
            Limit::Lag { p99, cpu_share, threads, cores } => {
                let percent = (cpu_share * 100.0).round();
                write!(f, "one request in a hundred was sent {p99:?} late or later, ")?;
                if threads > cores {
                    let cores = plain(*cores as u64, "core");
                    write!(f, "while {threads} threads took turns on {cores}, ")?;
                }
                write!(f, "with {percent} % of its core in use ")?;
                f.write_str(match *cpu_share >= CPU_SHARE_FULL {
                    _ if threads > cores => "(give it no more threads than cores)",
                    true if threads < cores => "(give it more threads)",
                    true => "(this machine has no more cores: lower the rate)",
                    false => "(something else takes its time: give it a core of its own)",
                })
            }
        }
    }
}

/// So many of them, with the ending that most words have; the digits as they are, to be searched.
fn plain(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
