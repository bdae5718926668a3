//! Whether a run can be believed: a generator that could not keep up has measured itself.

use std::fmt;
use std::time::Duration;

use crate::record::Record;

/// More than one request in a thousand that was not offered, and the load was another.
const NOT_OFFERED_SHARE_MAX: f64 = 0.001;

/// A generator that is later than this with one request in a hundred has put its own delay into
/// the latencies.
const LAG_P99_MAX: Duration = Duration::from_millis(10);

/// With so much of its core's time in use, being late is a lack of it.
const CPU_SHARE_FULL: f64 = 0.9;

/// Whether what was measured is the service, or the generator.
#[derive(Clone, Debug, PartialEq)]
pub enum Validity {
    /// The load was what it was intended to be.
    Valid,
    /// The generator was the bottleneck, for these reasons.
    Generator(Vec<Limit>),
}

/// Why the load was not what it was intended to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Requests were not sent, because no connection was free for them.
    Connections {
        /// How many.
        not_offered: u64,
        /// Out of so many.
        intended: u64,
        /// The scenario's bound of connections.
        connections_max: usize,
    },
    /// Requests were sent late.
    Lag {
        /// One in a hundred was later than this.
        p99: Duration,
        /// The share of a core that each thread used, on the average.
        cpu_share: f64,
    },
}

impl Validity {
    pub(crate) fn of(record: &Record, connections_max: usize, cpu_share: f64) -> Validity {
        let mut limits = Vec::new();
        let total = record.total();
        let not_offered = total.not_offered;
        if not_offered as f64 > NOT_OFFERED_SHARE_MAX * total.intended as f64 {
            let intended = total.intended;
            limits.push(Limit::Connections { not_offered, intended, connections_max });
        }
        let p99 = Duration::from_micros(record.lag_us.value_at_quantile(0.99));
        if p99 > LAG_P99_MAX {
            limits.push(Limit::Lag { p99, cpu_share });
        }
        if limits.is_empty() { Validity::Valid } else { Validity::Generator(limits) }
    }

    /// Whether the run can be believed.
    pub fn is_valid(&self) -> bool {
        *self == Validity::Valid
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validity::Valid => f.write_str("valid"),
            Validity::Generator(limits) => {
                f.write_str("the generator was the bottleneck")?;
                for (index, limit) in limits.iter().enumerate() {
                    write!(f, "{} {limit}", if index == 0 { ":" } else { ", and" })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Connections { not_offered, intended, connections_max } => write!(
                f,
                "{not_offered} of {intended} requests found none of {connections_max} connections \
                 free (raise connections_max, or lower the timeout or the rate)"
            ),
            Limit::Lag { p99, cpu_share } => {
                let percent = (cpu_share * 100.0).round();
                write!(f, "one request in a hundred was sent {p99:?} late or later, ")?;
                if *cpu_share >= CPU_SHARE_FULL {
                    write!(f, "with {percent} % of its core in use (give it more threads)")
                } else {
                    write!(
                        f,
                        "with {percent} % of its core in use (something else takes its time: give \
                         it a core of its own)"
                    )
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::NotOffered;

    fn record(intended: u64, not_offered: u64, lag_us: u64) -> Record {
        let mut record = Record::new(1, 1);
        for index in 0..intended {
            record.intend(0, 0, false, 0);
            record.lag_us.record(lag_us).unwrap();
            if index < not_offered {
                record.skip((0, 0, false), 0, NotOffered::BacklogFull);
            }
        }
        record
    }

    #[test]
    fn a_run_that_kept_up_is_valid_and_so_is_an_empty_one() {
        assert!(Validity::of(&record(0, 0, 0), 1, 0.0).is_valid());
        assert!(Validity::of(&record(1000, 1, 9_900), 1, 1.0).is_valid());
    }

    #[test]
    fn each_reason_is_told_with_what_helps() {
        assert_eq!(
            Validity::of(&record(1000, 2, 0), 7, 0.5).to_string(),
            "the generator was the bottleneck: 2 of 1000 requests found none of 7 connections free \
             (raise connections_max, or lower the timeout or the rate)"
        );
        let late = Validity::of(&record(1000, 0, 20_000), 7, 0.96).to_string();
        assert!(late.contains("96 % of its core in use (give it more threads)"), "{late}");
        let both = Validity::of(&record(1000, 500, 20_000), 7, 0.3).to_string();
        assert!(both.contains(", and one request in a hundred"), "{both}");
        assert!(both.contains("a core of its own"), "{both}");
    }
}
