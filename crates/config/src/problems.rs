//! Collects what is wrong between the keys of one section.

use crate::error::{ConfigError, Problem};
use crate::explain::Origin;
use crate::known::KnownSection;

/// Where the `check` block of [`settings!`](crate::settings!) puts what it finds.
pub struct Problems<'a> {
    pub(crate) section: &'a KnownSection,
    pub(crate) origins: &'a [Origin],
    pub(crate) errors: &'a mut Vec<ConfigError>,
}

impl Problems<'_> {
    /// Something is wrong with `key`; the message goes on after its name: "is below
    /// `server.idle_timeout`".
    ///
    /// # Panics
    ///
    /// If the section has no such key.
    pub fn add(&mut self, key: &str, message: impl Into<String>) {
        let place = self.place(key);
        self.push(place, place, message.into());
    }

    /// `key` must be set because `because` is.
    ///
    /// # Panics
    ///
    /// If the section does not have both keys.
    pub fn missing(&mut self, key: &str, because: &str) {
        let (key, because) = (self.place(key), self.place(because));
        let message = format!("is missing: `{}` is set", self.section.keys[because].path);
        self.push(key, because, message);
    }

    fn place(&self, name: &str) -> usize {
        let place = self.section.keys.iter().position(|key| key.name == name);
        place.unwrap_or_else(|| panic!("section `{}` has no key `{name}`", self.section.name))
    }

    fn push(&mut self, key: usize, found_at: usize, message: String) {
        self.errors.push(ConfigError {
            origin: self.origins[found_at].clone(),
            problem: Problem::Contradiction { key: self.section.keys[key].path.clone(), message },
            line: None,
        });
    }
}
