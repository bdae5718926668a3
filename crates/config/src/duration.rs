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
    let number: u128 = number.parse().ok()?;
    let (_, nanoseconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let total = number.checked_mul(*nanoseconds)?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_and_a_unit_is_read() {
        let cases = [
            ("250ms", Duration::from_millis(250)),
            ("2s", Duration::from_secs(2)),
            ("1m", Duration::from_secs(60)),
            ("1h", Duration::from_secs(3600)),
            ("7d", Duration::from_secs(7 * 86_400)),
            ("1500us", Duration::from_micros(1500)),
            ("10ns", Duration::from_nanos(10)),
            ("0s", Duration::ZERO),
        ];
        for (text, duration) in cases {
            assert_eq!(parse(text), Some(duration), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_read() {
        let wrong = ["", "s", "10", "-1s", "+1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1m30s", "٣s"];
        for text in wrong {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(parse("18446744073709551615s"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(parse("18446744073709551616s"), None);
        assert_eq!(parse("18446744073709551615m"), None, "more seconds than a Duration has");
    }

    #[test]
    fn the_shortest_exact_form_is_shown() {
        let cases = [
            (Duration::from_secs(60), "1m"),
            (Duration::from_secs(90), "90s"),
            (Duration::from_micros(1500), "1500us"),
            (Duration::from_secs(86_400), "1d"),
            (Duration::ZERO, "0s"),
        ];
        for (duration, text) in cases {
            assert_eq!(show(duration), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(seconds: u64, nanoseconds in 0..1_000_000_000_u32) {
            for duration in [
                Duration::new(seconds, nanoseconds),
                Duration::new(seconds, 0),
                Duration::from_millis(seconds),
            ] {
                prop_assert_eq!(parse(&show(duration)), Some(duration));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
