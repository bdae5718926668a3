//! Takes a TOML table apart, field by field, and remembers what was wrong or left over.

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::ScenarioError;

/// What is found wrong while a document is read.
pub(super) struct Problems<'t> {
    text: &'t str,
    found: Vec<(usize, ScenarioError)>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(text: &'t str) -> Problems<'t> {
        Problems { text, found: Vec::new() }
    }

    pub(super) fn at(&mut self, start: usize, message: impl Into<String>) {
        let start = start.min(self.text.len());
        let before = &self.text.as_bytes()[..start];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        // What stands in the file may have lines of its own, which are not this message's.
        let message = message.into().replace('\n', "\\n");
        self.found.push((start, ScenarioError { line: Some(line), message }));
    }

    pub(super) fn are_none(&self) -> bool {
        self.found.is_empty()
    }

    /// In the order of the file.
    pub(super) fn into_errors(mut self) -> Vec<ScenarioError> {
        self.found.sort_by_key(|(start, _)| *start);
        self.found.into_iter().map(|(_, error)| error).collect()
    }
}

/// The fields of one table. Each is asked for by its name; what nobody asked for is unknown.
pub(super) struct Fields<'d> {
    name: String,
    table: &'d DeTable<'d>,
    pub(super) start: usize,
    known: Vec<&'static str>,
}

impl<'d> Fields<'d> {
    pub(super) fn new(name: impl Into<String>, table: &'d DeTable<'d>, start: usize) -> Fields<'d> {
        Fields { name: name.into(), table, start, known: Vec::new() }
    }

    /// The value of a field, and where it stands.
    pub(super) fn value(&mut self, name: &'static str) -> Option<(&'d DeValue<'d>, Range<usize>)> {
        self.known.push(name);
        let (key, value) = self.table.iter().find(|(key, _)| key.get_ref() == name)?;
        // A table's own span can be its heading's; the key is where a reader looks.
        Some((value.get_ref(), key.span().start..value.span().end))
    }

    pub(super) fn text(
        &mut self,
        name: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<(&'d str, usize)> {
        let (value, span) = self.value(name)?;
        match value.as_str() {
            Some(text) => Some((text, span.start)),
            None => {
                self.wrong(name, value, span.start, "a text in quotes", problems);
                None
            }
        }
    }

    pub(super) fn truth(
        &mut self,
        name: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<bool> {
        let (value, span) = self.value(name)?;
        let truth = value.as_bool();
        if truth.is_none() {
            self.wrong(name, value, span.start, "true or false", problems);
        }
        truth
    }

    pub(super) fn number(
        &mut self,
        name: &'static str,
        within: Range<f64>,
        problems: &mut Problems<'_>,
    ) -> Option<f64> {
        let (value, span) = self.value(name)?;
        let number: Option<f64> = match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => integer(value).map(|number| number as f64),
            _ => None,
        };
        let number = number.filter(|number| (within.start..=within.end).contains(number));
        if number.is_none() {
            let right = format!("a number from {} to {}", within.start, within.end);
            self.wrong(name, value, span.start, &right, problems);
        }
        number
    }

    pub(super) fn count(
        &mut self,
        name: &'static str,
        within: Range<u32>,
        problems: &mut Problems<'_>,
    ) -> Option<u32> {
        let (value, span) = self.value(name)?;
        let number = integer(value)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| (within.start..=within.end).contains(number));
        if number.is_none() {
            let right = format!("a whole number from {} to {}", within.start, within.end);
            self.wrong(name, value, span.start, &right, problems);
        }
        number
    }

    pub(super) fn duration(
        &mut self,
        name: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Duration> {
        let (value, span) = self.value(name)?;
        // Longer than a day no client waits; the clock's arithmetic needs some limit.
        let duration = value
            .as_str()
            .and_then(tenfold_config::duration::parse)
            .filter(|duration| *duration <= Duration::from_secs(86_400));
        if duration.is_none() {
            let right = "a duration up to \"1d\" (such as \"250ms\", \"2s\" or \"1m\")";
            self.wrong(name, value, span.start, right, problems);
        }
        duration
    }

    pub(super) fn table(
        &mut self,
        name: &'static str,
        problems: &mut Problems<'_>,
    ) -> Option<Fields<'d>> {
        let (value, span) = self.value(name)?;
        match value.as_table() {
            Some(table) => Some(Fields::new(self.path(name), table, span.start)),
            None => {
                self.wrong(name, value, span.start, &format!("a table, [{name}],"), problems);
                None
            }
        }
    }

    /// Keys that the writer of the file makes up.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (&'d str, usize, &'d Spanned<DeValue<'d>>)> {
        let table = self.table;
        table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
    }

    /// Complains about every field that nobody asked for.
    pub(super) fn done(self, problems: &mut Problems<'_>) {
        for (name, start, _) in self.entries() {
            if self.known.contains(&name) {
                continue;
            }
            let path = self.path(name);
            let message = match nearest(name, &self.known) {
                Some(nearest) => format!("unknown key `{path}`: did you mean `{nearest}`?"),
                None => format!("unknown key `{path}`: there are {}", self.known.join(", ")),
            };
            problems.at(start, message);
        }
    }

    pub(super) fn wrong(
        &self,
        name: &str,
        value: &DeValue<'_>,
        start: usize,
        right: &str,
        problems: &mut Problems<'_>,
    ) {
        let value = shown(value);
        problems.at(start, format!("`{}` is {value}: {right} is needed", self.path(name)));
    }

    /// What the table is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What a field of it is called: `client.timeout`.
    pub(super) fn path(&self, name: &str) -> String {
        if self.name.is_empty() { name.to_owned() } else { format!("{}.{name}", self.name) }
    }
}

/// A value as an error shows it.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

pub(super) fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The name that was probably meant, if any is a slip of the fingers away.
pub(super) fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    // A comparison costs length × length; nobody means one of ours with something so long.
    if name.is_empty() || name.len() > 100 {
        return None;
    }
    let slips_max = 1 + name.chars().count() / 4;
    names
        .iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), *other))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, other)| other)
}
