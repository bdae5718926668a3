//! Reads a scenario file from top to bottom, and goes on after what is wrong.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::tls;

use super::behaviour::{Behaviour, Protocol};
use super::bounded::read_text;
use super::error::ScenarioErrors;
use super::fields::{Fields, Problems, nearest, shown};
use super::headers::{header_name, is_of_http2};
use super::text::{Source, Text};
use super::{Capture, Good, Request, Scenario, Target, Threshold, Thresholds, status};

/// A list of words, not a database.
const LIST_BYTES_MAX: u64 = 64 << 20;

const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn scenario(text: &str, folder: &Path) -> Result<Scenario, ScenarioErrors> {
    let mut problems = Problems::new(text);
    let (document, wrong) = DeTable::parse_recoverable(text);
    if !wrong.is_empty() {
        for error in wrong {
            let start = error.span().map_or(text.len(), |span| span.start);
            problems.at(start, format!("is not TOML here: {}", error.message()));
        }
        return Err(ScenarioErrors { errors: problems.into_errors() });
    }
    let root = Fields::new("", document.get_ref(), 0);
    let reader = Reader { folder, protocol: Protocol::Http1, problems: &mut problems };
    let scenario = reader.scenario(root);
    match scenario {
        Some(scenario) if problems.are_none() => Ok(scenario),
        _ => Err(ScenarioErrors { errors: problems.into_errors() }),
    }
}

struct Reader<'r, 't> {
    folder: &'r Path,
    /// What the clients speak, which decides what headers there may be.
    protocol: Protocol,
    problems: &'r mut Problems<'t>,
}

impl Reader<'_, '_> {
    fn scenario(mut self, mut root: Fields<'_>) -> Option<Scenario> {
        let target = self.target(&mut root);
        let behaviour = match root.table("client", self.problems) {
            Some(fields) => self.behaviour(fields),
            None => Behaviour::default(),
        };
        self.protocol = behaviour.protocol;
        let good = match root.table("good", self.problems) {
            Some(fields) => self.good(fields, &Good::default()),
            None => Good::default(),
        };
        let mut source = Source { lists: self.lists(&mut root), captured: Vec::new() };
        let tables = self.request_tables(&mut root);
        // A value may be captured by a request that stands below the one that uses it.
        source.captured = tables.iter().flat_map(captured_names).collect();
        source.captured.sort_unstable();
        source.captured.dedup();
        let mut classes: Vec<String> = Vec::new();
        self.check_names(&tables);
        let requests: Vec<Request> = tables
            .into_iter()
            .filter_map(|(name, table, start)| {
                self.request(Fields::new(name, table, start), &good, &source, &mut classes)
            })
            .collect();
        if requests.iter().map(|request| request.weight).sum::<f64>() <= 0.0 && !requests.is_empty()
        {
            self.problems.at(0, "every `weight` is 0: one request at least must be chosen");
        }
        let thresholds = match root.table("thresholds", self.problems) {
            Some(fields) => self.thresholds(fields, &classes),
            None => Thresholds::default(),
        };
        root.done(self.problems);
        Some(Scenario {
            target: target?,
            requests,
            classes,
            captured: source.captured,
            behaviour,
            thresholds,
        })
    }

    fn target(&mut self, root: &mut Fields<'_>) -> Option<Target> {
        let Some((url, start)) = root.text("target", self.problems) else {
            if root.value("target").is_none() {
                self.problems.at(0, "`target` is missing: target = \"http://127.0.0.1:8080\"");
            }
            return None;
        };
        match Target::parse(url) {
            Ok((target, path)) if path == "/" => Some(target),
            Ok((target, path)) => {
                let host = target.url();
                self.problems.at(
                    start,
                    format!(
                        "`target` has the path {path}: {host:?} is needed; paths belong to requests"
                    ),
                );
                None
            }
            Err(error) => {
                self.problems.at(start, format!("`target`: {error}"));
                None
            }
        }
    }

    fn behaviour(&mut self, mut fields: Fields<'_>) -> Behaviour {
        let problems = &mut *self.problems;
        let mut behaviour = Behaviour::default();
        if let Some((protocol, start)) = fields.text("http", problems) {
            match protocol {
                "1.1" => behaviour.protocol = Protocol::Http1,
                "2" => behaviour.protocol = Protocol::Http2,
                other => problems
                    .at(start, format!("`client.http` is {other:?}: \"1.1\" or \"2\" is needed")),
            }
        }
        if let Some(insecure) = fields.truth("insecure", problems) {
            behaviour.insecure = insecure;
        }
        if let Some((file, start)) = fields.text("ca_file", problems) {
            let file = self.folder.join(file);
            if let Err(why) = tls::check_trust(&file) {
                let what = format!("`client.ca_file` is {}: {why}", file.display());
                problems.at(start, format!("{what}; a file of certificates in PEM is needed"));
            }
            behaviour.ca_file = Some(file);
        }
        let count = |fields: &mut Fields<'_>,
                     name,
                     least: u32,
                     most: u32,
                     problems: &mut Problems<'_>,
                     default: usize| {
            fields.count(name, least..most, problems).map_or(default, |count| count as usize)
        };
        let defaults = Behaviour::default();
        behaviour.connections_max = fields
            .count("connections_max", 1..1_000_000, problems)
            .map(|connections| connections as usize);
        behaviour.backlog_max =
            count(&mut fields, "backlog_max", 0, 10_000_000, problems, defaults.backlog_max);
        behaviour.streams_max =
            count(&mut fields, "streams_max", 1, 10_000, problems, defaults.streams_max);
        if let Some(timeout) = fields.duration("timeout", problems) {
            behaviour.timeout = timeout;
        }
        if behaviour.timeout.is_zero() {
            problems.at(fields.start, "`client.timeout` is 0s: no answer can come in no time");
        }
        if let Some(max) = fields.count("retries", 0..1000, problems) {
            behaviour.retries.max = max;
        }
        if let Some(backoff) = fields.duration("retry_backoff", problems) {
            behaviour.retries.backoff = backoff;
        }
        if let Some(honour) = fields.truth("retry_after", problems) {
            behaviour.retries.honour_retry_after = honour;
        }
        if let Some(share) = fields.number("leave_early_share", 0.0..1.0, problems) {
            behaviour.leave_early.share = share;
        }
        if let Some(after) = fields.duration("leave_early_after", problems) {
            behaviour.leave_early.what = after;
        }
        if let Some(share) = fields.number("slow_reader_share", 0.0..1.0, problems) {
            behaviour.slow_readers.share = share;
        }
        if let Some(pace) = fields.count("slow_reader_bytes_per_second", 1..1_000_000_000, problems)
        {
            behaviour.slow_readers.what = pace;
        }
        if let Some(clients) = fields.count("clients", 1..u32::MAX, problems) {
            behaviour.clients = clients;
        }
        if let Some((header, start)) = fields.text("client_header", problems) {
            match header_name(header) {
                Ok(name) if behaviour.protocol == Protocol::Http2 && !is_of_http2(&name, None) => {
                    problems.at(
                        start,
                        format!("`client.client_header` is {name:?}, which is forbidden in HTTP/2"),
                    );
                }
                Ok(name) => behaviour.client_header = name,
                Err(why) => {
                    problems
                        .at(start, format!("`client.client_header` is {header:?}, which {why}"));
                }
            }
        }
        if let Some(share) = fields.number("flood_share", 0.0..1.0, problems) {
            behaviour.flood_share = share;
        }
        fields.done(problems);
        behaviour
    }

    fn good(&mut self, mut fields: Fields<'_>, default: &Good) -> Good {
        let mut good = default.clone();
        if let Some(statuses) = status::read(&mut fields, self.problems) {
            good.statuses = statuses;
        }
        if let Some(latency_max) = fields.duration("latency_max", self.problems) {
            good.latency_max = latency_max.min(DAY);
        }
        if let Some((text, _)) = fields.text("body_contains", self.problems) {
            good.body_contains = Some(text.to_owned()).filter(|text| !text.is_empty());
        }
        fields.done(self.problems);
        good
    }

    fn lists(&mut self, root: &mut Fields<'_>) -> Vec<(String, Arc<[String]>)> {
        let Some(fields) = root.table("lists", self.problems) else { return Vec::new() };
        let mut lists = Vec::new();
        for (name, start, value) in fields.entries() {
            let words: Result<Vec<String>, String> = match value.get_ref() {
                DeValue::String(file) => read_list(&self.folder.join(file.as_ref())),
                DeValue::Array(words) => Ok(self.words(name, words)),
                _ => Err("is neither the name of a file nor a list of texts".to_owned()),
            };
            // A list that cannot be read has a name nevertheless: one error is enough.
            let words = match words {
                Ok(words) if !words.is_empty() => words,
                Ok(_) => {
                    self.problems
                        .at(start, format!("`lists.{name}` is empty: one line at least is needed"));
                    vec![String::new()]
                }
                Err(why) => {
                    self.problems.at(start, format!("`lists.{name}` {why}"));
                    vec![String::new()]
                }
            };
            lists.push((name.to_owned(), words.into()));
        }
        lists
    }

    /// The texts of a list that stands in the file itself. Instead of what is none there is an empty
    /// one: the list is not empty for that.
    fn words(&mut self, list: &str, words: &DeArray<'_>) -> Vec<String> {
        let word = |(index, word): (usize, &Spanned<DeValue<'_>>)| match word.get_ref().as_str() {
            Some(word) => word.to_owned(),
            None => {
                let (number, value) = (index + 1, shown(word.get_ref()));
                self.problems.at(
                    word.span().start,
                    format!(
                        "`lists.{list}`, value {number}, is {value}: a text in quotes is needed"
                    ),
                );
                String::new()
            }
        };
        words.iter().enumerate().map(word).collect()
    }

    fn request_tables<'d>(&mut self, root: &mut Fields<'d>) -> Vec<Table<'d>> {
        let Some((value, span)) = root.value("request") else {
            self.problems.at(0, "there is no request: [[request]] with a `path` is needed");
            return Vec::new();
        };
        let Some(array) = value.as_array().filter(|array| !array.is_empty()) else {
            self.problems
                .at(span.start, "`request` is no list: [[request]] in two brackets is needed");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, element) in array.iter().enumerate() {
            let start = element.span().start;
            match element.get_ref().as_table() {
                Some(table) => tables.push((name_of(index, table), table, start)),
                None => {
                    let (number, value) = (index + 1, shown(element.get_ref()));
                    let what = format!("request {number} is {value}: a table, [[request]],");
                    self.problems.at(start, format!("{what} is needed"));
                }
            }
        }
        tables
    }

    /// Two requests of one name could not be told apart. Those that nobody named may look alike.
    fn check_names(&mut self, tables: &[Table<'_>]) {
        let mut names = HashSet::new();
        for (called, table, _) in tables {
            let Some((key, name)) = table.iter().find(|(key, _)| key.get_ref() == "name") else {
                continue;
            };
            let Some(name) = name.get_ref().as_str() else { continue };
            if !names.insert(name) {
                self.problems.at(
                    key.span().start,
                    format!(
                        "`name` of {called} is that of a request above as well: names must differ"
                    ),
                );
            }
        }
    }

    fn request(
        &mut self,
        mut fields: Fields<'_>,
        default: &Good,
        source: &Source,
        classes: &mut Vec<String>,
    ) -> Option<Request> {
        let path = self.path(&mut fields, source);
        let method = self.method(&mut fields);
        let name = match fields.text("name", self.problems) {
            Some((name, _)) => name.to_owned(),
            None => format!("{method} {}", path.as_ref().map(Text::literals).unwrap_or_default()),
        };
        let class = fields.text("class", self.problems).map_or("all", |(class, _)| class);
        let class = classes.iter().position(|other| other == class).unwrap_or_else(|| {
            classes.push(class.to_owned());
            classes.len() - 1
        });
        let weight = fields.number("weight", 0.0..1e9, self.problems).unwrap_or(1.0);
        let headers = self.headers(&mut fields, source);
        let body = match fields.text("body", self.problems) {
            Some((text, start)) => {
                let name = fields.path("body");
                self.parse_text(text, &name, start, source).unwrap_or_default()
            }
            None => Text::default(),
        };
        let captures = self.captures(&mut fields, source);
        let good = match fields.table("good", self.problems) {
            Some(fields) => self.good(fields, default),
            None => default.clone(),
        };
        fields.done(self.problems);
        Some(Request { name, class, weight, method, path: path?, headers, body, captures, good })
    }

    fn path(&mut self, fields: &mut Fields<'_>, source: &Source) -> Option<Text> {
        let Some((path, start)) = fields.text("path", self.problems) else {
            if fields.value("path").is_none() {
                let message = format!("{} has no `path`: path = \"/\"", fields.name());
                self.problems.at(fields.start, message);
            }
            return None;
        };
        let text = self.parse_text(path, &fields.path("path"), start, source)?;
        let literals = text.literals();
        let usable = literals.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !path.starts_with('/') || !usable {
            self.problems.at(
                start,
                format!(
                    "`{}` is {path:?}: it must begin with / and have neither spaces nor #, such as \
                     \"/search?q=red%20shoe\"",
                    fields.path("path")
                ),
            );
            return None;
        }
        Some(text)
    }

    fn method(&mut self, fields: &mut Fields<'_>) -> Method {
        const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        let Some((method, start)) = fields.text("method", self.problems) else {
            return Method::GET;
        };
        if METHODS.contains(&method) {
            return method.parse().expect("each of the methods is a token");
        }
        let what = format!("`{}` is {method:?}", fields.path("method"));
        let message = match nearest(&method.to_ascii_uppercase(), &METHODS) {
            Some(nearest) => format!("{what}: did you mean {nearest:?}?"),
            None => format!("{what}: one of {} is needed", METHODS.join(", ")),
        };
        self.problems.at(start, message);
        Method::GET
    }

    fn headers(&mut self, fields: &mut Fields<'_>, source: &Source) -> Vec<(String, Text)> {
        let Some(table) = fields.table("headers", self.problems) else { return Vec::new() };
        let mut headers = Vec::new();
        for (name, start, value) in table.entries() {
            let path = format!("`{}`", table.path(name));
            let name = match header_name(name) {
                Ok(name) => name,
                Err(why) => {
                    self.problems.at(start, format!("{path} {why}"));
                    continue;
                }
            };
            if self.protocol == Protocol::Http2 && !is_of_http2(&name, value.get_ref().as_str()) {
                self.problems.at(start, format!("{path} is forbidden in HTTP/2"));
                continue;
            }
            match value.get_ref().as_str() {
                Some(text) if text.bytes().all(|byte| byte >= b' ' && byte != 0x7f) => {
                    let text = self.parse_text(text, &table.path(&name), start, source);
                    headers.extend(text.map(|text| (name, text)));
                }
                _ => {
                    let value = shown(value.get_ref());
                    self.problems.at(
                        start,
                        format!("{path} is {value}: a text in quotes without line ends is needed"),
                    );
                }
            }
        }
        headers
    }

    fn captures(&mut self, fields: &mut Fields<'_>, source: &Source) -> Vec<Capture> {
        let Some(table) = fields.table("capture", self.problems) else { return Vec::new() };
        let mut captures = Vec::new();
        for (name, start, value) in table.entries() {
            let place = source.captured.iter().position(|other| other == name);
            match (value.get_ref().as_str(), place) {
                (Some(pointer), Some(name)) if pointer.is_empty() || pointer.starts_with('/') => {
                    captures.push(Capture { name, pointer: pointer.to_owned() });
                }
                _ => self.problems.at(
                    start,
                    format!(
                        "`{}` is {}: a JSON pointer, such as \"/items/0/id\", is needed",
                        table.path(name),
                        shown(value.get_ref())
                    ),
                ),
            }
        }
        captures
    }

    fn thresholds(&mut self, mut fields: Fields<'_>, classes: &[String]) -> Thresholds {
        let all = self.threshold(&mut fields);
        let mut of_classes = Vec::new();
        if let Some(table) = fields.table("class", self.problems) {
            for (name, start, value) in table.entries() {
                let place = classes.iter().position(|class| class == name);
                match (place, value.get_ref().as_table()) {
                    (Some(place), Some(table)) => {
                        let mut fields =
                            Fields::new(format!("thresholds.class.{name}"), table, start);
                        of_classes.push((place, self.threshold(&mut fields)));
                        fields.done(self.problems);
                    }
                    (None, _) => {
                        let names: Vec<&str> = classes.iter().map(String::as_str).collect();
                        let hint = match nearest(name, &names) {
                            Some(nearest) => format!("did you mean `{nearest}`?"),
                            None => format!("there are {}", names.join(", ")),
                        };
                        self.problems
                            .at(start, format!("no request is of the class `{name}`: {hint}"));
                    }
                    (_, None) => {
                        self.problems.at(start, format!("`thresholds.class.{name}` needs a table"));
                    }
                }
            }
        }
        fields.done(self.problems);
        of_classes.sort_by_key(|(place, _)| *place);
        Thresholds { all, classes: of_classes }
    }

    fn threshold(&mut self, fields: &mut Fields<'_>) -> Threshold {
        Threshold {
            good_share_min: fields.number("good_share_min", 0.0..1.0, self.problems),
            p50_max: fields.duration("p50_max", self.problems),
            p99_max: fields.duration("p99_max", self.problems),
        }
    }

    fn parse_text(
        &mut self,
        text: &str,
        name: &str,
        start: usize,
        source: &Source,
    ) -> Option<Text> {
        match Text::parse(text, source) {
            Ok(text) => Some(text),
            Err(errors) => {
                for error in errors {
                    self.problems.at(start, format!("`{name}`: {error}"));
                }
                None
            }
        }
    }
}

/// A request: how it is called where something is wrong with it, what it says, and where.
type Table<'d> = (String, &'d DeTable<'d>, usize);

/// `request 2`, or `request 2 ("buy")` where somebody has named it.
fn name_of(index: usize, table: &DeTable<'_>) -> String {
    let name = table.iter().find(|(key, _)| key.get_ref() == "name");
    match name.and_then(|(_, name)| name.get_ref().as_str()) {
        Some(name) => format!("request {} ({name:?})", index + 1),
        None => format!("request {}", index + 1),
    }
}

fn captured_names((_, table, _): &Table<'_>) -> Vec<String> {
    let capture = table.iter().find(|(key, _)| key.get_ref() == "capture");
    let names = capture.and_then(|(_, value)| value.get_ref().as_table());
    names.into_iter().flat_map(|names| names.keys()).map(|key| key.get_ref().to_string()).collect()
}

fn read_list(path: &Path) -> Result<Vec<String>, String> {
    let text = read_text(path, LIST_BYTES_MAX)
        .map_err(|error| format!("cannot be read from {}: {error}", path.display()))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}
