//! What a layer holds for one key before anybody knows which kind is wanted.

use std::fmt;

use toml::de::DeValue;

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// From the environment or a flag, which know nothing but text.
    Text(String),
    /// A TOML string.
    String(String),
    /// A TOML integer; wider than TOML's own, so that what is too large can be shown.
    Integer(i128),
    /// A TOML float.
    Float(f64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML array.
    Array(Vec<Value>),
    /// A TOML table where a single value was wanted.
    Table,
    /// A date, or a number beyond every range: no setting takes it, it is only shown.
    Other(String),
}

impl Value {
    /// The text, if the value is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl From<&DeValue<'_>> for Value {
    fn from(value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
                .map_or_else(|_| Value::Other(integer.to_string()), Value::Integer),
            DeValue::Float(float) => float
                .as_str()
                .parse()
                .map_or_else(|_| Value::Other(float.to_string()), Value::Float),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(array) => {
                Value::Array(array.iter().map(|item| Value::from(item.get_ref())).collect())
            }
            DeValue::Table(_) => Value::Table,
        }
    }
}

/// As a message shows it: text in quotes with its control characters escaped.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) | Value::String(text) => write!(f, "{text:?}"),
            Value::Integer(integer) => write!(f, "{integer}"),
            Value::Float(float) => write!(f, "{float:?}"),
            Value::Boolean(boolean) => write!(f, "{boolean}"),
            Value::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{item}")?;
                }
                f.write_str("]")
            }
            Value::Table => f.write_str("a table"),
            Value::Other(text) => f.write_str(text),
        }
    }
}

/// Text as a TOML string that reads back as the same text.
pub(crate) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
