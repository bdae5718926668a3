//! A section whose type is forgotten, so that sections of many types stand in one list.

use std::any::Any;

use crate::explain::Origin;
use crate::problems::Problems;
use crate::settings::{Section, Unfit};
use crate::value::Value;

/// The values of one section while they are being loaded; keys go by their place in the table.
pub(crate) trait Slot {
    fn set(&mut self, key: usize, value: &Value) -> Result<(), Unfit>;
    fn show(&self, key: usize) -> String;
    fn literal(&self, key: usize) -> String;
    fn check(&self, problems: &mut Problems<'_>);
    fn finish(self: Box<Self>) -> Box<dyn Any + Send + Sync>;
}

impl<S: Section> Slot for S {
    fn set(&mut self, key: usize, value: &Value) -> Result<(), Unfit> {
        (S::KEYS[key].set)(self, value)
    }

    fn show(&self, key: usize) -> String {
        (S::KEYS[key].show)(self)
    }

    fn literal(&self, key: usize) -> String {
        (S::KEYS[key].literal)(self)
    }

    fn check(&self, problems: &mut Problems<'_>) {
        Section::check(self, problems);
    }

    fn finish(self: Box<Self>) -> Box<dyn Any + Send + Sync> {
        self
    }
}

/// A section with its values and where each came from.
pub(crate) struct Filled {
    pub(crate) slot: Box<dyn Slot>,
    pub(crate) origins: Vec<Origin>,
    /// Whether a value was refused, so that a check between keys would see a default instead.
    pub(crate) refused: bool,
}
