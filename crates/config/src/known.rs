//! The table of every section and key that a program has: what can be set, and nothing else.

use std::any::TypeId;

use crate::mask;
use crate::settings::Section;
use crate::slot::Slot;
use crate::suggest;

/// What a variable's name begins with when it is a setting.
pub(crate) const PREFIX: &str = "TENFOLD_";

/// Variables of test programs begin so. A service that a test starts inherits them, and must
/// not take them for its own.
pub(crate) const TEST_PREFIX: &str = "TENFOLD_TEST_";

/// Names the settings file; the one variable with the prefix that is no setting.
pub(crate) const FILE_VARIABLE: &str = "TENFOLD_CONFIG";

/// The sections that a program knows. Whatever else a layer sets is an error.
#[derive(Debug, Default)]
pub struct Known {
    pub(crate) sections: Vec<KnownSection>,
}

#[derive(Debug)]
pub(crate) struct KnownSection {
    pub(crate) type_id: TypeId,
    pub(crate) name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) start: fn() -> Box<dyn Slot>,
}

#[derive(Debug)]
pub(crate) struct KnownKey {
    pub(crate) name: &'static str,
    /// `section.key`
    pub(crate) path: String,
    pub(crate) doc: &'static [&'static str],
    /// `TENFOLD_SECTION_KEY`
    pub(crate) variable: String,
    pub(crate) other_variable: Option<&'static str>,
    pub(crate) secret: bool,
    pub(crate) expected: fn() -> String,
}

/// Which key of which section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) section: usize,
    pub(crate) key: usize,
}

impl Known {
    /// Knows nothing yet.
    pub fn new() -> Known {
        Known::default()
    }

    /// Makes a section known; a second time changes nothing.
    ///
    /// # Panics
    ///
    /// If another type already has the section's name, or one of its variables' names: two
    /// capabilities of one program would read the same setting. If it is named `test`, whose
    /// variables are left to test programs.
    pub fn section<S: Section>(&mut self) -> &mut Known {
        if self.sections.iter().any(|section| section.type_id == TypeId::of::<S>()) {
            return self;
        }
        assert!(S::NAME != "test", "section `test`: {TEST_PREFIX}* belongs to test programs");
        assert!(self.find_section(S::NAME).is_none(), "section `{}` is declared twice", S::NAME);
        let keys: Vec<KnownKey> = S::KEYS
            .iter()
            .map(|key| KnownKey {
                name: key.name,
                path: format!("{}.{}", S::NAME, key.name),
                doc: key.doc,
                variable: format!("{PREFIX}{}_{}", S::NAME, key.name).to_ascii_uppercase(),
                other_variable: key.variable,
                secret: key.secret,
                expected: key.expected,
            })
            .collect();
        for name in keys.iter().flat_map(KnownKey::variables) {
            assert!(
                self.find_variable(name).is_none() && name != FILE_VARIABLE,
                "variable {name} of section `{}` has another meaning already",
                S::NAME
            );
        }
        self.sections.push(KnownSection {
            type_id: TypeId::of::<S>(),
            name: S::NAME,
            doc: S::DOC,
            keys,
            start: || Box::new(S::default()),
        });
        self
    }

    pub(crate) fn find_section(&self, name: &str) -> Option<usize> {
        self.sections.iter().position(|section| section.name == name)
    }

    pub(crate) fn find_key(&self, section: usize, name: &str) -> Option<Place> {
        let key = self.sections[section].keys.iter().position(|key| key.name == name)?;
        Some(Place { section, key })
    }

    /// The key that a variable sets.
    pub(crate) fn find_variable(&self, name: &str) -> Option<Place> {
        self.places().find(|place| self.key(*place).variables().any(|variable| variable == name))
    }

    /// A text from a file or a flag as a message may repeat it.
    pub(crate) fn masked_line(&self, text: &str) -> String {
        let secret = self.places().map(|place| self.key(place)).filter(|key| key.secret);
        mask::line(text, &secret.map(|key| key.name).collect::<Vec<_>>())
    }

    pub(crate) fn key(&self, place: Place) -> &KnownKey {
        &self.sections[place.section].keys[place.key]
    }

    /// Every key, in the order of declaration.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.sections.iter().enumerate().flat_map(|(section, known)| {
            (0..known.keys.len()).map(move |key| Place { section, key })
        })
    }

    /// The section that was probably meant.
    pub(crate) fn nearest_section(&self, name: &str) -> Option<&'static str> {
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

    /// Whether a variable looks like a setting and is none.
    pub(crate) fn is_lost(&self, variable: &str) -> bool {
        variable.starts_with(PREFIX)
            && !variable.starts_with(TEST_PREFIX)
            && variable != FILE_VARIABLE
            && self.find_variable(variable).is_none()
    }

    /// The key that was probably meant by a variable that sets none, and the section that the
    /// variable's name begins with.
    pub(crate) fn nearest_variable(&self, name: &str) -> (Option<usize>, Option<Place>) {
        let rest = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
        let in_section = self.sections.iter().enumerate().find_map(|(index, section)| {
            let key = rest.strip_prefix(section.name)?.strip_prefix('_')?;
            Some((index, key))
        });
        if let Some((section, key)) = in_section {
            return (Some(section), self.nearest_key(section, key));
        }
        let variables: Vec<&str> =
            self.places().map(|place| self.key(place).variable.as_str()).collect();
        let nearest = suggest::nearest(name, &variables);
        (None, nearest.and_then(|nearest| self.find_variable(nearest)))
    }
}

impl KnownKey {
    /// The variables that set the key, the one that wins first.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.variable.as_str()).chain(self.other_variable)
    }
}
