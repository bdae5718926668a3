//! What may help after a name that does not exist: the name that was probably meant, or all
//! that there are.

use std::fmt;

use crate::known::{Known, PREFIX, Place};
use crate::suggest;

/// What may help after an unknown name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// The name that was probably meant.
    Nearest(String),
    /// No name is near; these exist.
    Known {
        /// Whose names they are.
        of: String,
        /// The names.
        names: Vec<&'static str>,
    },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::Nearest(name) => write!(f, "did you mean {name}?"),
            Hint::Known { of, names } if names.is_empty() => write!(f, "{of} has none"),
            Hint::Known { of, names } => write!(f, "{of} has {}", names.join(", ")),
        }
    }
}

impl Known {
    /// For a section that does not exist.
    pub(crate) fn section_hint(&self, section: &str) -> Hint {
        match self.nearest_section(section) {
            Some(nearest) => Hint::Nearest(format!("`{nearest}`")),
            None => Hint::Known {
                of: "the program".to_owned(),
                names: self.sections.iter().map(|section| section.name).collect(),
            },
        }
    }

    /// For a key that its section does not have.
    pub(crate) fn key_hint(&self, section: usize, nearest: Option<Place>) -> Hint {
        match nearest {
            Some(place) => self.nearest_hint(place),
            None => Hint::Known {
                of: format!("`{}`", self.sections[section].name),
                names: self.sections[section].keys.iter().map(|key| key.name).collect(),
            },
        }
    }

    /// For a name that is near to this key.
    pub(crate) fn nearest_hint(&self, place: Place) -> Hint {
        Hint::Nearest(format!("`{}`", self.key(place).path))
    }

    /// For a variable that looks like a setting and is none.
    pub(crate) fn variable_hint(&self, name: &str) -> Hint {
        match self.nearest_variable(name) {
            (_, Some(place)) => Hint::Nearest(self.key(place).variable.clone()),
            (Some(section), None) => self.key_hint(section, None),
            (None, None) => self.section_hint(""),
        }
    }

    /// The section that was probably meant.
    fn nearest_section(&self, name: &str) -> Option<&'static str> {
        let names: Vec<&'static str> = self.sections.iter().map(|section| section.name).collect();
        suggest::nearest(name, &names)
    }

    /// The key that was probably meant by a key that a section does not have: the same key of
    /// another section, or a slip within the section.
    pub(crate) fn nearest_key(&self, section: usize, name: &str) -> Option<Place> {
        let names: Vec<&str> = self.sections[section].keys.iter().map(|key| key.name).collect();
        self.same_key_elsewhere(name)
            .or_else(|| self.find_key(section, suggest::nearest(name, &names)?))
    }

    /// A key of that name in any section.
    pub(crate) fn same_key_elsewhere(&self, name: &str) -> Option<Place> {
        self.places().find(|place| self.key(*place).name == name)
    }

    /// The key that was probably meant by a path whose section is not known.
    pub(crate) fn nearest_path(&self, path: &str) -> Option<Place> {
        let paths: Vec<&str> = self.places().map(|place| self.key(place).path.as_str()).collect();
        let nearest = suggest::nearest(path, &paths)?;
        self.places().find(|place| self.key(*place).path == nearest)
    }

    /// The key that was probably meant by a variable that sets none, and the section that the
    /// variable's name begins with.
    fn nearest_variable(&self, name: &str) -> (Option<usize>, Option<Place>) {
        let rest = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
        let in_section = self.sections.iter().enumerate().filter_map(|(index, section)| {
            let key = rest.strip_prefix(section.name)?.strip_prefix('_')?;
            Some((index, key))
        });
        // The longest section name leaves the shortest key.
        if let Some((section, key)) = in_section.min_by_key(|(_, key)| key.len()) {
            return (Some(section), self.nearest_key(section, key));
        }
        let variables: Vec<&str> =
            self.places().map(|place| self.key(place).variable.as_str()).collect();
        let nearest = suggest::nearest(name, &variables);
        (None, nearest.and_then(|nearest| self.find_variable(nearest)))
    }
}
