//! Sizes in bytes as people write them: `64KiB`.

use std::fmt;
use std::str::FromStr;

use crate::setting::Setting;
use crate::value::Value;

/// Binary before decimal where both count alike, so that a size is shown in the unit that it
/// was most likely written in.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// So many times 1024 bytes.
    pub const fn kib(kib: u64) -> ByteSize {
        ByteSize(kib << 10)
    }

    /// So many times 1024² bytes.
    pub const fn mib(mib: u64) -> ByteSize {
        ByteSize(mib << 20)
    }

    /// The number of bytes.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The number of bytes, as lengths in memory are counted; capped where that is narrower.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A text that is no size, such as `64 apples`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseByteSizeError;

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as 64KiB, 10MB or 512B is needed")
    }
}

impl std::error::Error for ParseByteSizeError {}

impl FromStr for ByteSize {
    type Err = ParseByteSizeError;

    /// Reads a whole number and a unit; capitals do not matter, and no unit means bytes.
    fn from_str(text: &str) -> Result<ByteSize, ParseByteSizeError> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| ParseByteSizeError)?;
        let unit = if unit.is_empty() { "B" } else { unit };
        let (_, bytes) = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .ok_or(ParseByteSizeError)?;
        number.checked_mul(*bytes).map(ByteSize).ok_or(ParseByteSizeError)
    }
}

/// The exact form with the smallest number in it.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().filter(|(_, bytes)| self.0 != 0 && self.0.is_multiple_of(*bytes));
        let (name, bytes) = exact.min_by_key(|(_, bytes)| self.0 / bytes).unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / bytes)
    }
}

impl Setting for ByteSize {
    fn noun() -> String {
        "a size in bytes".to_owned()
    }

    fn example() -> &'static str {
        "64KiB or 10MB"
    }

    fn from_text(text: &str) -> Option<ByteSize> {
        text.parse().ok()
    }

    fn from_value(value: &Value) -> Option<ByteSize> {
        match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok().map(ByteSize),
            _ => ByteSize::from_text(value.as_text()?),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_and_a_unit_is_read() {
        let cases = [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64KiB", 65_536),
            ("64kib", 65_536),
            ("64kB", 64_000),
            ("1MiB", 1 << 20),
            ("10MB", 10_000_000),
            ("2GiB", 2 << 30),
            ("1TiB", 1 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(text.parse(), Ok(ByteSize::bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_read() {
        for text in ["", "KiB", "-1B", "1.5MiB", "64 KiB", "64K", "64 apples", "16777216TiB"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ParseByteSizeError), "{text:?}");
        }
    }

    #[test]
    fn the_form_with_the_smallest_number_is_shown() {
        let cases = [
            (ByteSize::kib(64), "64KiB"),
            (ByteSize::mib(1), "1MiB"),
            (ByteSize::bytes(10_000_000), "10MB"),
            (ByteSize::bytes(1_000), "1kB"),
            (ByteSize::bytes(1_023), "1023B"),
            (ByteSize::bytes(0), "0B"),
        ];
        for (size, text) in cases {
            assert_eq!(size.to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(bytes: u64, shift in 0..63_u32) {
            for size in [ByteSize::bytes(bytes), ByteSize::bytes((bytes >> shift) << shift)] {
                prop_assert_eq!(size.to_string().parse(), Ok(size));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            let _ = text.parse::<ByteSize>();
        }
    }
}
