//! What a kind of value must tell of itself to be a setting: how it is read, shown, and named
//! when something else was given.

use std::fmt::Debug;

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
