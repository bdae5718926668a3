//! Every way in which settings can be wrong, told so that the reader can put it right
//! without looking anything up.

use std::fmt;

use crate::explain::Origin;
use crate::hint::Hint;

/// All that is wrong, in the order of the layers. Displayed one per line; where a line of a
/// file says more, it follows indented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// At least one.
    pub errors: Vec<ConfigError>,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where it was found; [`Origin::Default`] if nobody set what should have been set.
    pub origin: Origin,
    /// What is wrong.
    pub problem: Problem,
    /// The line of the file, with what is secret masked.
    pub line: Option<String>,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The file cannot be read, or is no text.
    Unreadable {
        /// What stood in the way.
        why: String,
    },
    /// The file is not TOML.
    Syntax {
        /// What the parser says.
        message: String,
    },
    /// A table that no section has.
    UnknownSection {
        /// The table's name.
        section: String,
        /// What would be right.
        hint: Hint,
    },
    /// A key that its section does not have.
    UnknownKey {
        /// The key with its section.
        key: String,
        /// What would be right.
        hint: Hint,
    },
    /// A variable that looks like a setting and is none.
    UnknownVariable {
        /// What would be right.
        hint: Hint,
    },
    /// A variable whose value is not UTF-8.
    NotUtf8,
    /// A flag without the equals sign between key and value.
    NoEquals,
    /// A section's name with a single value.
    NotATable {
        /// The section.
        section: String,
        /// What it was set to.
        value: String,
    },
    /// A value that its key does not take.
    WrongValue {
        /// The key with its section.
        key: String,
        /// The value, masked where the key is secret.
        value: String,
        /// What would be right, in words.
        expected: String,
        /// The word that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A value that is right by itself, but not together with the others.
    Contradiction {
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        message: String,
    },
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => {}
            origin => write!(f, "{origin}: ")?,
        }
        write!(f, "{}", self.problem)?;
        match &self.line {
            Some(line) => write!(f, "\n    {line}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Unreadable { why } => write!(f, "cannot be read: {why}"),
            Problem::Syntax { message } => write!(f, "is not TOML here: {message}"),
            Problem::UnknownSection { section, hint } => {
                write!(f, "unknown section `{section}`: {hint}")
            }
            Problem::UnknownKey { key, hint } => write!(f, "unknown key `{key}`: {hint}"),
            Problem::UnknownVariable { hint } => write!(f, "no such setting: {hint}"),
            Problem::NotUtf8 => f.write_str("its value is not UTF-8"),
            Problem::NoEquals => f.write_str("section.key=value is needed"),
            Problem::NotATable { section, value } => {
                write!(f, "`{section}` is {value}: a table of settings is needed")
            }
            Problem::WrongValue { key, value, expected, nearest } => {
                write!(f, "`{key}` is {value}: {expected} is needed")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean {nearest:?}?"),
                    None => Ok(()),
                }
            }
            Problem::Contradiction { key, message } => write!(f, "`{key}` {message}"),
        }
    }
}
