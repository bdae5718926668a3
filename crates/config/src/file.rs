//! Reads a settings file: what stands in it, on which line, and what is wrong with it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};

use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, Problem};
use crate::explain::Origin;
use crate::known::{Known, Place};
use crate::layers::FileLayer;
use crate::mask;
use crate::value::Value;

/// No settings file that people write is this large; a device or a log by mistake is.
const BYTES_MAX: u64 = 1 << 20;

/// What one layer says about one key.
pub(crate) struct Assignment {
    pub(crate) place: Place,
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// Everything that a file sets, and everything that is wrong with its form.
pub(crate) fn read(
    layer: &FileLayer,
    known: &Known,
    errors: &mut Vec<ConfigError>,
) -> Vec<Assignment> {
    let text = match read_text(layer) {
        Ok(text) => text,
        Err(Unreadable { line, why }) => {
            let origin = Origin::File { path: layer.path.clone(), line };
            errors.push(ConfigError { origin, problem: Problem::Unreadable { why }, line: None });
            return Vec::new();
        }
    };
    let mut reader = Reader { layer, known, text: &text, errors, assignments: Vec::new() };
    reader.document();
    reader.assignments
}

struct Unreadable {
    line: Option<usize>,
    why: String,
}

impl Unreadable {
    fn whole(why: impl Into<String>) -> Unreadable {
        Unreadable { line: None, why: why.into() }
    }
}

/// The text of a file; of one that need not be there and is not, an empty one.
fn read_text(layer: &FileLayer) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    let read =
        File::open(&layer.path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let missing = Err(Unreadable::whole("there is no such file"));
            return if layer.needed { missing } else { Ok(String::new()) };
        }
        Err(error) => return Err(Unreadable::whole(error.to_string())),
    }
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Unreadable::whole("it is larger than 1MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        Unreadable { line: Some(line), why: "it is not UTF-8 here".to_owned() }
    })
}

struct Reader<'a> {
    layer: &'a FileLayer,
    known: &'a Known,
    text: &'a str,
    errors: &'a mut Vec<ConfigError>,
    assignments: Vec<Assignment>,
}

impl Reader<'_> {
    fn document(&mut self) {
        let (table, wrong) = DeTable::parse_recoverable(self.text);
        if wrong.is_empty() {
            self.root(table.get_ref());
            return;
        }
        // What could be saved out of broken text would only be complained about wrongly.
        let mut lines = BTreeSet::new();
        for error in wrong {
            let start = error.span().map_or(self.text.len(), |span| span.start);
            // What follows on the same line is mostly an echo of the first.
            if lines.insert(self.line(start)) {
                let message = sentence(error.message());
                self.wrong(start, Problem::Syntax { message }, Some(self.line_text(start)));
            }
        }
    }

    fn root(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let start = name.span().start;
            let section = self.known.find_section(name.get_ref());
            match (section, value.get_ref()) {
                (Some(section), DeValue::Table(keys)) => self.section(section, keys),
                (Some(_), other) => {
                    let value = self.known.masked_line(&Value::from(other).to_string());
                    let section = name.get_ref().to_string();
                    self.wrong(start, Problem::NotATable { section, value }, None);
                }
                (None, DeValue::Table(_)) => self.unknown_section(name.get_ref(), start),
                (None, _) => self.lost_key(name.get_ref(), start),
            }
        }
    }

    fn section(&mut self, section: usize, keys: &DeTable<'_>) {
        for (name, value) in keys {
            let start = name.span().start;
            match self.known.find_key(section, name.get_ref()) {
                Some(place) => self.assignments.push(Assignment {
                    place,
                    value: Value::from(value.get_ref()),
                    origin: self.origin(start),
                }),
                None => self.unknown_key(section, name.get_ref(), start),
            }
        }
    }

    fn unknown_section(&mut self, section: &str, start: usize) {
        let hint = self.known.section_hint(section);
        let problem = Problem::UnknownSection { section: section.to_owned(), hint };
        self.wrong(start, problem, Some(self.line_text(start)));
    }

    /// A key before the first section.
    fn lost_key(&mut self, key: &str, start: usize) {
        let nearest = self.known.same_key_elsewhere(key).or_else(|| self.known.nearest_path(key));
        let hint = match nearest {
            Some(place) => self.known.nearest_hint(place),
            None => self.known.section_hint(key),
        };
        let line = self.key_line(key, nearest, start);
        self.wrong(start, Problem::UnknownKey { key: key.to_owned(), hint }, Some(line));
    }

    fn unknown_key(&mut self, section: usize, key: &str, start: usize) {
        let nearest = self.known.nearest_key(section, key);
        let hint = self.known.key_hint(section, nearest);
        let line = self.key_line(key, nearest, start);
        let key = format!("{}.{key}", self.known.sections[section].name);
        self.wrong(start, Problem::UnknownKey { key, hint }, Some(line));
    }

    /// The line of a misspelled key. If a secret was meant, the value stays in the dark.
    fn key_line(&self, key: &str, nearest: Option<Place>, start: usize) -> String {
        let secret = nearest.is_some_and(|place| self.known.key(place).secret);
        if secret || mask::is_secret_name(key) {
            return format!("{key} = ***");
        }
        self.line_text(start)
    }

    fn wrong(&mut self, start: usize, problem: Problem, line: Option<String>) {
        self.errors.push(ConfigError { origin: self.origin(start), problem, line });
    }

    fn origin(&self, start: usize) -> Origin {
        Origin::File { path: self.layer.path.clone(), line: Some(self.line(start)) }
    }

    fn line(&self, start: usize) -> usize {
        1 + self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
    }

    fn line_text(&self, start: usize) -> String {
        let line = self.text.lines().nth(self.line(start) - 1).unwrap_or_default();
        self.known.masked_line(line)
    }
}

/// What the parser says, without the part of it that helps nobody.
fn sentence(message: &str) -> String {
    let (what, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    match what {
        "invalid float" | "invalid integer" | "invalid mantissa" | "invalid boolean" => {
            format!("{what}; a text needs quotes")
        }
        // Only what is to be typed helps; "expected nothing" does not.
        _ if expected.contains('`') => format!("{what}, expected {expected}"),
        _ => what.to_owned(),
    }
}
