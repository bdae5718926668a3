//! Tells of each setting what it is and who said so.

use std::fmt;
use std::path::PathBuf;

/// One setting as it came out of all layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// `section.key`
    pub key: String,
    /// The value for people; secrets are masked, and what is not set is empty.
    pub value: String,
    /// The layer that won.
    pub origin: Origin,
    /// What the setting means, a line each.
    pub doc: &'static [&'static str],
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// A settings file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, counted from 1; none where the file as a whole is meant.
        line: Option<usize>,
    },
    /// The variable of this name.
    Environment(String),
    /// A flag, as it was given, with what is secret masked.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None } => write!(f, "{}", path.display()),
            Origin::Environment(name) => f.write_str(name),
            Origin::Flag(flag) => write!(f, "--set {flag}"),
        }
    }
}

/// A table of key, value and origin, for a terminal.
pub(crate) fn table(explained: &[Explained]) -> String {
    let value = |row: &Explained| match row.value.as_str() {
        "" => "(not set)".to_owned(),
        value => without_control_characters(value),
    };
    let width = |column: &dyn Fn(&Explained) -> usize| explained.iter().map(column).max();
    let key_width = width(&|row| row.key.chars().count()).unwrap_or(0);
    // One long value must not push every origin off the screen.
    let value_width = width(&|row| value(row).chars().count()).unwrap_or(0).min(40);
    let mut table = String::new();
    for row in explained {
        let (key, value, origin) = (&row.key, value(row), &row.origin);
        table.push_str(&format!("{key:key_width$}  {value:value_width$}  {origin}\n"));
    }
    table
}

/// A line break in a value must not look like the next row, nor an escape sequence act.
fn without_control_characters(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    for character in value.chars() {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}
