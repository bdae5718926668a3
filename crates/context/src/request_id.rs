//! The name of one request in logs, answers and other services.

use std::fmt;
use std::sync::Arc;

/// What `x-request-id` carries: the caller's own if it sent a sound one, else a number of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(Name);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    /// Random, made here; formatted only when somebody looks.
    Ours(u64),
    /// The caller's.
    Given(Arc<str>),
}

impl RequestId {
    /// A caller's identifier may have this many bytes, because it is copied into every log line.
    pub const LENGTH_BYTES_MAX: usize = 64;

    /// A fresh one: 64 random bits, shown as 16 hexadecimal digits.
    pub fn random() -> RequestId {
        RequestId(Name::Ours(fastrand::u64(..)))
    }

    /// The caller's own, if it is short enough and made of letters, digits and `-_.:` only,
    /// so that it can stand in a log line and a header as it is.
    pub fn given(text: &str) -> Option<RequestId> {
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        let fits = !text.is_empty() && text.len() <= Self::LENGTH_BYTES_MAX;
        (fits && text.bytes().all(sound)).then(|| RequestId(Name::Given(text.into())))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Name::Ours(number) => write!(f, "{number:016x}"),
            Name::Given(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_identifier_is_taken_only_if_it_is_sound() {
        assert_eq!(RequestId::given("a-1_b.2:c").unwrap().to_string(), "a-1_b.2:c");
        let too_long = "x".repeat(RequestId::LENGTH_BYTES_MAX + 1);
        for unsound in ["", "a b", "a\"b", "a\nb", "é", too_long.as_str()] {
            assert_eq!(RequestId::given(unsound), None, "{unsound:?}");
        }
    }

    #[test]
    fn ours_has_sixteen_digits() {
        assert_eq!(RequestId::random().to_string().len(), 16);
    }
}
