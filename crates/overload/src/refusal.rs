//! Why somebody was turned away, with the figures that an answer and a log line need.

use std::fmt;
use std::time::Duration;

/// The reason for a refusal. Trying again later helps with every one but [`Refusal::Closed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The line in front of the gate is full, with nobody in it who matters less.
    Full {
        /// How many wait.
        waiting: usize,
        /// How many may wait.
        waiting_max: usize,
    },
    /// Somebody who matters more took this place in the line.
    Displaced {
        /// How long it had waited.
        waited: Duration,
    },
    /// Its deadline came before its turn.
    Late {
        /// How long it had waited; zero if it came too late already.
        waited: Duration,
    },
    /// The gate closed for good: what is behind it is being stopped.
    Closed,
}

impl Refusal {
    /// One word for metrics and logs.
    pub const fn reason(self) -> &'static str {
        match self {
            Refusal::Full { .. } => "full",
            Refusal::Displaced { .. } => "displaced",
            Refusal::Late { .. } => "late",
            Refusal::Closed => "closed",
        }
    }

    /// Every word that [`Refusal::reason`] can say.
    pub const REASONS: [&'static str; 4] = ["full", "displaced", "late", "closed"];
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Full { waiting, waiting_max } => {
                write!(f, "{waiting} are waiting already and {waiting_max} may")
            }
            Refusal::Displaced { waited } => {
                write!(f, "gave way to more important work after {} ms", waited.as_millis())
            }
            Refusal::Late { waited } => {
                write!(f, "the deadline came first, after {} ms of waiting", waited.as_millis())
            }
            Refusal::Closed => f.write_str("it is closed: the service is stopping"),
        }
    }
}

impl std::error::Error for Refusal {}
