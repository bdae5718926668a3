//! pino's levels, and counts by level.

use std::ops::{Add, AddAssign};

/// How much a line matters; `fatal` is an event with the field `fatal = true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    pub(crate) const ALL: [Level; 6] =
        [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Fatal];

    /// pino's number: 10 to 60.
    pub(crate) fn number(self) -> u8 {
        (self as u8 + 1) * 10
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// The level of a finished line, which begins with `{"level":30`.
    pub(crate) fn of_line(line: &[u8]) -> Level {
        const TENS: usize = br#"{"level":"#.len();
        let tens = line.get(TENS).map_or(0, |digit| digit.wrapping_sub(b'1'));
        *Level::ALL.get(usize::from(tens)).unwrap_or(&Level::Fatal)
    }
}

impl From<&tracing::Level> for Level {
    fn from(level: &tracing::Level) -> Level {
        match *level {
            tracing::Level::TRACE => Level::Trace,
            tracing::Level::DEBUG => Level::Debug,
            tracing::Level::INFO => Level::Info,
            tracing::Level::WARN => Level::Warn,
            tracing::Level::ERROR => Level::Error,
        }
    }
}

/// How many lines of each level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([u64; Level::ALL.len()]);

impl Counts {
    pub(crate) fn of_lines(lines: &[u8]) -> Counts {
        let mut counts = Counts::default();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            counts.count(Level::of_line(line));
        }
        counts
    }

    pub(crate) fn count(&mut self, level: Level) {
        self.0[level as usize] += 1;
    }

    pub(crate) fn of(self, level: Level) -> u64 {
        self.0[level as usize]
    }

    pub(crate) fn total(self) -> u64 {
        self.0.iter().sum()
    }

    #[must_use]
    pub(crate) fn since(self, earlier: Counts) -> Counts {
        Counts(std::array::from_fn(|level| self.0[level].saturating_sub(earlier.0[level])))
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.0.iter_mut().zip(other.0).for_each(|(mine, other)| *mine += other);
    }
}

impl Add for Counts {
    type Output = Counts;

    fn add(mut self, other: Counts) -> Counts {
        self += other;
        self
    }
}

/// What was logged, and how much of it was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Every line, those that were lost included.
    pub(crate) lines: Counts,
    pub(crate) dropped: Counts,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        self.lines += other.lines;
        self.dropped += other.dropped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lines_level_is_read_back() {
        for level in Level::ALL {
            let line = format!("{{\"level\":{},\"time\":1}}\n", level.number());
            assert_eq!(Level::of_line(line.as_bytes()), level);
        }
    }

    #[test]
    fn lines_are_counted_by_level() {
        let counts = Counts::of_lines(b"{\"level\":30}\n{\"level\":60}\n{\"level\":30}\n");
        assert_eq!((counts.of(Level::Info), counts.of(Level::Fatal), counts.total()), (2, 1, 3));
        assert_eq!(Counts::of_lines(b""), Counts::default());
    }
}
