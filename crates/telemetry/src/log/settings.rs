//! What the log has to say, as settings.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tenfold_config::{ByteSize, Setting, between};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

tenfold_config::settings! {
    /// Log lines: JSON as pino writes it, one object per line.
    pub struct LogSettings in "log" {
        /// Least level of a line: trace, debug, info, warn, error or off; behind it, with
        /// commas, other levels for parts of the program: "info,tenfold_db=debug".
        pub level: LogFilter = LogFilter::least(LevelFilter::INFO),
        /// Which requests leave a line: all, slow_and_failed or none.
        pub requests: RequestLines = RequestLines::All,
        /// From here on a request is slow.
        pub slow_request: Duration = Duration::from_secs(1),
        /// Room for the lines of one thread while the output does not take them. When it is
        /// full, lines are lost and counted, info before warn and error.
        #[check(between(ByteSize::kib(64), ByteSize::mib(1024)))]
        pub buffer_bytes: ByteSize = ByteSize::mib(1),
    }
}

tenfold_config::words! {
    /// Which requests leave a line in the log.
    pub enum RequestLines {
        /// Every one.
        All = "all",
        /// Those that took longer than `log.slow_request`, and those that failed.
        SlowAndFailed = "slow_and_failed",
        /// None.
        None = "none",
    }
}

/// Which events become lines: a least level, and others for some targets, which are module
/// paths and begin with a crate's name.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter {
    least: LevelFilter,
    /// In the order in which they were given.
    targets: Vec<(String, LevelFilter)>,
}

impl LogFilter {
    /// Everything from a level on.
    pub const fn least(least: LevelFilter) -> LogFilter {
        LogFilter { least, targets: Vec::new() }
    }

    pub(crate) fn to_targets(&self) -> Targets {
        let targets = self.targets.iter().map(|(target, level)| (target.clone(), *level));
        Targets::new().with_default(self.least).with_targets(targets)
    }

    fn read(text: &str) -> Option<LogFilter> {
        let mut parts = text.split(',').map(str::trim);
        let mut filter = LogFilter::least(level(parts.next()?)?);
        for part in parts {
            let (target, word) = part.split_once('=')?;
            let target = target.trim();
            let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"_:".contains(&byte);
            if target.is_empty() || !target.bytes().all(sound) {
                return None;
            }
            filter.targets.push((target.to_owned(), level(word.trim())?));
        }
        Some(filter)
    }
}

/// Written strictly: `Targets` itself takes the misspelt level "inof" for a target of that name
/// and shows all of it.
impl Setting for LogFilter {
    fn noun() -> String {
        "a level (trace, debug, info, warn, error or off), with others behind it for parts of the program"
            .to_owned()
    }

    fn example() -> &'static str {
        "info or info,tenfold_db=debug"
    }

    fn words() -> &'static [&'static str] {
        &LEVELS
    }

    fn from_text(text: &str) -> Option<LogFilter> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl FromStr for LogFilter {
    type Err = ParseLogFilterError;

    fn from_str(text: &str) -> Result<LogFilter, ParseLogFilterError> {
        LogFilter::read(text).ok_or(ParseLogFilterError)
    }
}

/// A text that is no filter, such as a misspelt level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a level (trace, debug, info, warn, error or off) is needed, such as info or info,tenfold_db=debug"
)]
pub struct ParseLogFilterError;

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.least)?;
        self.targets.iter().try_for_each(|(target, level)| write!(f, ",{target}={level}"))
    }
}

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

/// The level of a word; `LevelFilter` alone would take numbers as well.
fn level(word: &str) -> Option<LevelFilter> {
    LEVELS.contains(&word).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use tenfold_config::{Known, Layers};

    use super::*;

    #[test]
    fn a_level_and_others_for_parts_come_back_as_they_were_written() {
        for text in ["info", "off", "warn,tenfold_db=debug", "error,a::b=trace,c=off"] {
            assert_eq!(LogFilter::from_text(text).unwrap().show(), text);
        }
        let spaced = LogFilter::from_text("info, tenfold_db = debug").unwrap();
        assert_eq!(spaced.show(), "info,tenfold_db=debug");
    }

    #[test]
    fn what_is_no_level_is_refused() {
        for text in [
            "",
            "inof",
            "INFO",
            "3",
            "info,",
            "info,debug",
            "a=debug",
            "info,a=",
            "info,=debug",
            "info,a b=info",
        ] {
            assert_eq!(LogFilter::from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_wrong_level_is_a_clear_error() {
        let mut known = Known::new();
        known.section::<LogSettings>();
        let error = known.load(&Layers::new().flags(["log.level=inof"])).unwrap_err().to_string();
        assert!(error.contains("\"inof\""), "{error}");
        assert!(error.contains("such as info or info,tenfold_db=debug"), "{error}");
        let error = known.load(&Layers::new().flags(["log.buffer_bytes=1KiB"])).unwrap_err();
        assert!(error.to_string().contains("64KiB"), "{error}");
    }

    #[test]
    fn the_longest_target_decides() {
        let targets = LogFilter::from_text("warn,a=debug,a::b=error").unwrap().to_targets();
        let shown = |target, level| targets.would_enable(target, &level);
        assert!(!shown("x", tracing::Level::INFO));
        assert!(shown("a::c", tracing::Level::DEBUG));
        assert!(!shown("a::b", tracing::Level::WARN));
    }
}
