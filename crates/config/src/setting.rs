//! The kinds of value that a setting can have: how each is read, shown, and named when
//! something else was given.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::value::{Value, quoted};

/// A kind of value. `show` and `from_text` are inverse to each other, except for secrets.
pub trait Setting: Clone + PartialEq + Debug + Send + Sync + 'static {
    /// Whether a value must never be shown as it is.
    const SECRET: bool = false;

    /// The kind with its article, as a message names it: "a duration".
    fn noun() -> String;

    /// The range that the kind has by itself, said where no check narrows it: "from 0 to 255".
    fn limits() -> String {
        String::new()
    }

    /// A value or two that show how it is written; empty where the noun says it.
    fn example() -> &'static str {
        ""
    }

    /// Every word that is allowed, where the kind is a closed list of words.
    fn words() -> &'static [&'static str] {
        &[]
    }

    /// Reads what the environment or a flag gives.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads what the file gives. Kinds that TOML has no type for are strings there.
    fn from_value(value: &Value) -> Option<Self> {
        Self::from_text(value.as_text()?)
    }

    /// The value for people, with what is secret masked.
    fn show(&self) -> String;

    /// The value as the file has it, unmasked.
    fn literal(&self) -> String {
        quoted(&self.show())
    }
}

impl Setting for bool {
    fn noun() -> String {
        "true or false".to_owned()
    }

    fn from_text(text: &str) -> Option<bool> {
        text.parse().ok()
    }

    fn from_value(value: &Value) -> Option<bool> {
        match value {
            Value::Boolean(boolean) => Some(*boolean),
            Value::Text(text) => bool::from_text(text),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn literal(&self) -> String {
        self.show()
    }
}

macro_rules! integers {
    ($($integer:ty => $limits:expr,)*) => {$(
        impl Setting for $integer {
            fn noun() -> String {
                "an integer".to_owned()
            }

            fn limits() -> String {
                $limits.to_owned()
            }

            fn from_text(text: &str) -> Option<$integer> {
                text.parse().ok()
            }

            fn from_value(value: &Value) -> Option<$integer> {
                match value {
                    Value::Integer(integer) => integer.to_string().parse().ok(),
                    Value::Text(text) => <$integer>::from_text(text),
                    _ => None,
                }
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn literal(&self) -> String {
                self.show()
            }
        }
    )*};
}

integers! {
    u8 => "from 0 to 255",
    u16 => "from 0 to 65535",
    u32 => "from 0 to 4294967295",
    u64 => "of at least 0",
    usize => "of at least 0",
    i32 => "from -2147483648 to 2147483647",
    i64 => "",
    NonZeroU16 => "from 1 to 65535",
    NonZeroU32 => "from 1 to 4294967295",
    NonZeroU64 => "of at least 1",
    NonZeroUsize => "of at least 1",
}

impl Setting for f64 {
    fn noun() -> String {
        "a number".to_owned()
    }

    fn from_text(text: &str) -> Option<f64> {
        text.parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn from_value(value: &Value) -> Option<f64> {
        match value {
            Value::Float(number) => Some(*number).filter(|number| number.is_finite()),
            Value::Integer(integer) => Some(*integer as f64),
            Value::Text(text) => f64::from_text(text),
            _ => None,
        }
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }

    fn literal(&self) -> String {
        self.show()
    }
}

impl Setting for String {
    fn noun() -> String {
        "a text".to_owned()
    }

    fn from_text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    fn noun() -> String {
        "a path".to_owned()
    }

    fn from_text(text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| PathBuf::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for SocketAddr {
    fn noun() -> String {
        "an IP address and a port".to_owned()
    }

    fn example() -> &'static str {
        "127.0.0.1:8080 or [::]:8080"
    }

    fn from_text(text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for IpAddr {
    fn noun() -> String {
        "an IP address".to_owned()
    }

    fn example() -> &'static str {
        "127.0.0.1 or ::1"
    }

    fn from_text(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// An empty text means: not set. So every layer can take back what a layer below it has set.
impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;

    fn noun() -> String {
        T::noun()
    }

    fn limits() -> String {
        T::limits()
    }

    fn example() -> &'static str {
        T::example()
    }

    fn words() -> &'static [&'static str] {
        T::words()
    }

    fn from_text(text: &str) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { T::from_text(text).map(Some) }
    }

    fn from_value(value: &Value) -> Option<Option<T>> {
        if value.as_text() == Some("") { Some(None) } else { T::from_value(value).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }

    fn literal(&self) -> String {
        self.as_ref().map_or_else(|| quoted(""), T::literal)
    }
}

/// A TOML array; in the environment and in flags a list with commas.
impl<T: Setting> Setting for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn noun() -> String {
        format!("a list (each {})", T::noun())
    }

    fn limits() -> String {
        T::limits()
    }

    fn words() -> &'static [&'static str] {
        T::words()
    }

    fn from_text(text: &str) -> Option<Vec<T>> {
        if text.trim().is_empty() {
            return Some(Vec::new());
        }
        text.split(',').map(|item| T::from_text(item.trim())).collect()
    }

    fn from_value(value: &Value) -> Option<Vec<T>> {
        match value {
            Value::Array(items) => items.iter().map(T::from_value).collect(),
            Value::Text(text) => Self::from_text(text),
            _ => None,
        }
    }

    fn show(&self) -> String {
        self.iter().map(T::show).collect::<Vec<_>>().join(", ")
    }

    fn literal(&self) -> String {
        format!("[{}]", self.iter().map(T::literal).collect::<Vec<_>>().join(", "))
    }
}
