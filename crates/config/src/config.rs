//! The settings of a process after all layers, each section by its type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::explain::{Explained, table};
use crate::settings::Section;

/// Every section's values, and where each came from. A clone shares them.
#[derive(Clone)]
pub struct Config {
    pub(crate) sections: Arc<HashMap<TypeId, Box<dyn Any + Send + Sync>>>,
    pub(crate) explained: Arc<[Explained]>,
}

impl Config {
    /// The values of a section.
    ///
    /// # Panics
    ///
    /// If the section was not made known before loading, because then nothing that anybody
    /// set for it could have been read.
    pub fn get<S: Section>(&self) -> S {
        let section =
            self.sections.get(&TypeId::of::<S>()).and_then(|section| section.downcast_ref::<S>());
        section
            .unwrap_or_else(|| {
                panic!("section `{}` was not known when settings were loaded", S::NAME)
            })
            .clone()
    }

    /// Each setting with its value and origin, in the order of declaration.
    pub fn explain(&self) -> Vec<Explained> {
        self.explained.to_vec()
    }

    /// The same as a table for a terminal: key, value, origin.
    pub fn explain_text(&self) -> String {
        table(&self.explained)
    }
}

/// Keys and masked values.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.explained.iter().map(|explained| (&explained.key, &explained.value));
        f.debug_map().entries(settings).finish()
    }
}
