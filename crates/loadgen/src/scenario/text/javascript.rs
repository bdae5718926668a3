//! Texts as expressions of JavaScript, for tools whose scripts are written in it.

use super::{Escape, Part, Text, Value};

impl Text {
    /// An expression that gives the text; it calls `uniform`, `zipf`, `pick` and `captured`, and
    /// reads `iteration` and `client`.
    pub(crate) fn javascript(&self, escape: Escape) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => quoted(text),
                Part::Value(value) => match escape {
                    Escape::Path => format!("encodeURIComponent({})", value.javascript()),
                    Escape::Header | Escape::Nothing => format!("String({})", value.javascript()),
                },
            })
            .collect();
        if parts.is_empty() { "''".to_owned() } else { parts.join(" + ") }
    }
}

impl Value {
    fn javascript(&self) -> String {
        match self {
            Value::Uniform { from, to } => format!("uniform({from}, {to})"),
            Value::Zipf { offset, zipf } => {
                // An offset below zero is kept wrapped.
                let offset = offset.cast_signed();
                format!("{offset} + zipf({}, {})", zipf.count, zipf.exponent)
            }
            Value::Sequence { from } => format!("{from} + iteration"),
            Value::List(list) => {
                let words: Vec<String> = list.iter().map(|word| quoted(word)).collect();
                format!("pick([{}])", words.join(", "))
            }
            Value::Captured { name, otherwise } => {
                format!("captured({name}, {})", quoted(otherwise))
            }
            Value::Client => "client".to_owned(),
        }
    }
}

/// JSON's texts are JavaScript's.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
