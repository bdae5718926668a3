//! The standard library's types as settings.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use crate::setting::Setting;
use crate::value::Value;

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
