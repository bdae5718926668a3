//! Every setting with its default and its range, for documents.

use crate::known::Known;

/// One setting as a document shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documented {
    /// `section.key`
    pub key: String,
    /// What it means, in one line.
    pub doc: String,
    /// Its default for people; empty where it need not be set.
    pub default: String,
    /// What it takes, in words: the kind and its range.
    pub expected: String,
}

impl Known {
    /// Every setting, in the order of declaration.
    pub fn documented(&self) -> Vec<Documented> {
        let rows = self.sections.iter().flat_map(|section| {
            let defaults = (section.start)();
            section.keys.iter().enumerate().map(move |(index, key)| Documented {
                key: key.path.clone(),
                doc: key.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
                default: defaults.show(index),
                expected: (key.expected)(),
            })
        });
        rows.collect()
    }
}
