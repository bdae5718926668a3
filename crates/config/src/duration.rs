//! Durations as people write them: a whole number and a unit, `250ms`.

use std::time::Duration;

use crate::setting::Setting;

/// Largest first, so that the first that divides a duration gives its shortest exact form.
const UNITS: [(&str, u128); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Reads `250ms`, `2s`, `1m`, `1h`, `7d`, `1500us`, `10ns`; nothing without a unit is read,
/// because `10` has been seconds in one place and milliseconds in the next.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let total = u128::from(number) * nanoseconds;
    let seconds = u64::try_from(total / 1_000_000_000).ok()?;
    Some(Duration::new(seconds, (total % 1_000_000_000) as u32))
}

/// The shortest exact form: `1m` for 60 seconds, `1500us` for one and a half milliseconds.
pub fn show(duration: Duration) -> String {
    let total = duration.as_nanos();
    if total == 0 {
        return "0s".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, nanoseconds)| total.is_multiple_of(*nanoseconds))
        .map(|(name, nanoseconds)| format!("{}{name}", total / nanoseconds))
        .expect("each number of nanoseconds is divisible by one")
}

impl Setting for Duration {
    fn noun() -> String {
        "a duration".to_owned()
    }

    fn example() -> &'static str {
        "250ms, 2s or 1m"
    }

    fn from_text(text: &str) -> Option<Duration> {
        parse(text)
    }

    fn show(&self) -> String {
        show(*self)
    }
}
