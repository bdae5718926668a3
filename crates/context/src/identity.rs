//! Whose work it is, so that one caller's flood is not everybody's.

use std::fmt;
use std::sync::Arc;

/// The caller: an account, an API key's name, or an address. Never a secret, since it is logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity(Arc<str>);

impl Identity {
    /// At most this many bytes are kept, because callers choose the text and it is logged and counted.
    pub const LENGTH_BYTES_MAX: usize = 128;

    /// An identity of this name, cut at [`Identity::LENGTH_BYTES_MAX`].
    pub fn new(name: &str) -> Identity {
        Identity(name[..name.floor_char_boundary(Self::LENGTH_BYTES_MAX)].into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = "é".repeat(Identity::LENGTH_BYTES_MAX);
        assert_eq!(Identity::new(&name).name().len(), Identity::LENGTH_BYTES_MAX);
        assert_eq!(Identity::new("acme").name(), "acme");
        let odd = format!("a{name}");
        assert_eq!(Identity::new(&odd).name().len(), Identity::LENGTH_BYTES_MAX - 1);
    }
}
