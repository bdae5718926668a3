//! A text that is used but never shown: passwords, tokens, connection strings.

use std::fmt;

use crate::mask;
use crate::setting::Setting;
use crate::value::quoted;

/// A secret text. Debug and Display mask it; of a connection string only the password.
///
/// ```
/// use tenfold_config::Secret;
/// let url = Secret::new("postgres://store:hunter2@db/store");
/// assert_eq!(url.to_string(), "postgres://store:***@db/store");
/// assert_eq!(Secret::new("hunter2").to_string(), "***");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a text secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself: for the one who uses it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask::secret(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", mask::secret(&self.0))
    }
}

impl Setting for Secret {
    const SECRET: bool = true;

    fn noun() -> String {
        "a text".to_owned()
    }

    fn from_text(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    fn show(&self) -> String {
        self.to_string()
    }

    fn literal(&self) -> String {
        quoted(&self.0)
    }
}
