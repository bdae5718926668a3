//! Puts the layers on top of each other, lowest first, and collects what is wrong in any.

use std::sync::Arc;

use crate::config::Config;
use crate::environment::Environment;
use crate::error::{ConfigError, ConfigErrors, Problem};
use crate::explain::{Explained, Origin};
use crate::file::{self, Assignment};
use crate::known::{Known, Place};
use crate::layers::{FileLayer, Layers};
use crate::problems::Problems;
use crate::slot::Filled;
use crate::value::Value;

impl Known {
    /// Reads all layers.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any layer, all at once: also a value that a layer above
    /// puts right, because it would come back when that layer goes.
    pub fn load(&self, layers: &Layers) -> Result<Config, ConfigErrors> {
        let mut loading = Loading::new(self);
        for layer in &layers.files {
            loading.file(layer);
        }
        loading.environment(&layers.environment);
        for flag in &layers.flags {
            loading.flag(flag);
        }
        loading.check();
        loading.finish()
    }
}

struct Loading<'a> {
    known: &'a Known,
    sections: Vec<Filled>,
    errors: Vec<ConfigError>,
}

impl<'a> Loading<'a> {
    fn new(known: &'a Known) -> Loading<'a> {
        let sections = known.sections.iter().map(|section| Filled {
            slot: (section.start)(),
            origins: vec![Origin::Default; section.keys.len()],
            refused: false,
        });
        Loading { known, sections: sections.collect(), errors: Vec::new() }
    }

    fn file(&mut self, layer: &FileLayer) {
        let first = self.errors.len();
        for assignment in file::read(layer, self.known, &mut self.errors) {
            self.assign(assignment);
        }
        self.errors[first..].sort_by_key(|error| match error.origin {
            Origin::File { line, .. } => line,
            _ => None,
        });
    }

    fn environment(&mut self, environment: &Environment) {
        for (name, _) in environment.iter() {
            if self.known.is_lost(name) {
                let hint = self.known.variable_hint(name);
                let problem = Problem::UnknownVariable { hint };
                self.wrong(Origin::Environment(name.to_owned()), problem);
            }
        }
        for place in self.known.places() {
            // The variable that wins comes last.
            let variables: Vec<&str> = self.known.key(place).variables().collect();
            for name in variables.into_iter().rev() {
                self.variable(place, name, environment);
            }
        }
    }

    fn variable(&mut self, place: Place, name: &str, environment: &Environment) {
        let Some(value) = environment.get(name) else { return };
        let origin = Origin::Environment(name.to_owned());
        match value.to_str() {
            Some(text) => {
                self.assign(Assignment { place, value: Value::Text(text.to_owned()), origin });
            }
            None => {
                self.sections[place.section].refused = true;
                self.wrong(origin, Problem::NotUtf8);
            }
        }
    }

    fn flag(&mut self, flag: &str) {
        let Some((path, value)) = flag.split_once('=') else {
            self.wrong(Origin::Flag(self.known.masked_line(flag)), Problem::NoEquals);
            return;
        };
        let path = path.trim();
        let (section_name, key) = path.split_once('.').unwrap_or((path, ""));
        let section = self.known.find_section(section_name);
        let place = section.and_then(|section| self.known.find_key(section, key));
        if let Some(place) = place {
            let origin = Origin::Flag(self.flag_shown(flag, path, place));
            self.assign(Assignment { place, value: Value::Text(value.to_owned()), origin });
            return;
        }
        let nearest = match section {
            Some(section) => self.known.nearest_key(section, key),
            None => self.known.same_key_elsewhere(path).or_else(|| self.known.nearest_path(path)),
        };
        let hint = match (nearest, section) {
            (Some(place), _) => self.known.nearest_hint(place),
            (None, Some(section)) => self.known.key_hint(section, None),
            (None, None) => self.known.section_hint(section_name),
        };
        let shown = match nearest {
            Some(place) => self.flag_shown(flag, path, place),
            None => self.known.masked_line(flag),
        };
        let problem = Problem::UnknownKey { key: path.to_owned(), hint };
        self.wrong(Origin::Flag(shown), problem);
    }

    /// The flag as it may be repeated: not its value where the key is secret.
    fn flag_shown(&self, flag: &str, path: &str, place: Place) -> String {
        if self.known.key(place).secret {
            format!("{path}=***")
        } else {
            self.known.masked_line(flag)
        }
    }

    fn assign(&mut self, Assignment { place, value, origin }: Assignment) {
        let filled = &mut self.sections[place.section];
        match filled.slot.set(place.key, &value) {
            Ok(()) => filled.origins[place.key] = origin,
            Err(unfit) => {
                filled.refused = true;
                let key = self.known.key(place);
                let value = if key.secret {
                    "***".to_owned()
                } else {
                    self.known.masked_line(&value.to_string())
                };
                let problem = Problem::WrongValue {
                    key: key.path.clone(),
                    value,
                    expected: unfit.expected,
                    nearest: unfit.nearest,
                };
                self.wrong(origin, problem);
            }
        }
    }

    /// Rules between keys, where all that was set is known.
    fn check(&mut self) {
        let unread = |error: &ConfigError| {
            matches!(error.problem, Problem::Unreadable { .. } | Problem::Syntax { .. })
        };
        if self.errors.iter().any(unread) {
            return;
        }
        for (filled, section) in self.sections.iter().zip(&self.known.sections) {
            if filled.refused {
                continue;
            }
            let (origins, errors) = (&filled.origins, &mut self.errors);
            filled.slot.check(&mut Problems { section, origins, errors });
        }
    }

    fn finish(self) -> Result<Config, ConfigErrors> {
        if !self.errors.is_empty() {
            return Err(ConfigErrors { errors: self.errors });
        }
        let explained = self.known.places().map(|place| {
            let key = self.known.key(place);
            let filled = &self.sections[place.section];
            Explained {
                key: key.path.clone(),
                value: filled.slot.show(place.key),
                origin: filled.origins[place.key].clone(),
                doc: key.doc,
            }
        });
        let explained = explained.collect();
        let sections = self.sections.into_iter().zip(&self.known.sections);
        let sections = sections.map(|(filled, known)| (known.type_id, filled.slot.finish()));
        Ok(Config { sections: Arc::new(sections.collect()), explained })
    }

    fn wrong(&mut self, origin: Origin, problem: Problem) {
        self.errors.push(ConfigError { origin, problem, line: None });
    }
}
