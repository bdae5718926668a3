//! The table of every section and key that a program has: what can be set, and nothing else.

use std::any::TypeId;

use crate::mask;
use crate::settings::Section;
use crate::slot::Slot;

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

    /// Whether a variable looks like a setting and is none.
    pub(crate) fn is_lost(&self, variable: &str) -> bool {
        variable.starts_with(PREFIX)
            && !variable.starts_with(TEST_PREFIX)
            && variable != FILE_VARIABLE
            && self.find_variable(variable).is_none()
    }

    /// Every key, in the order of declaration.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        self.sections.iter().enumerate().flat_map(|(section, known)| {
            (0..known.keys.len()).map(move |key| Place { section, key })
        })
    }
}

impl KnownKey {
    /// The variables that set the key, the one that wins first.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.variable.as_str()).chain(self.other_variable)
    }
}
