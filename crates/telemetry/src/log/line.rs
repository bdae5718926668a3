//! One line as it grows: JSON written by hand into a buffer that is used again and again.

use std::error::Error;
use std::fmt;
use std::time::SystemTime;

use super::level::Level;
use super::text::Text;

/// A line, or the fields of a span that will be copied into lines.
#[derive(Debug)]
pub(crate) struct Line {
    bytes: Vec<u8>,
    /// The keys of all fields but the fixed ones, each with where its `,"key":value` lies.
    fields: Vec<Written>,
    bytes_max: usize,
    level: Level,
    /// How many fields found no room.
    fields_cut: u64,
}

#[derive(Clone, Copy, Debug)]
struct Written {
    key: &'static str,
    begin: usize,
    end: usize,
}

/// A line with everything in it, its newline included. A collector that reads line by line
/// commonly takes 16 KiB (Docker's own limit).
pub(crate) const LINE_BYTES_MAX: usize = 16 * 1024;

/// All fields of one span.
pub(crate) const SPAN_BYTES_MAX: usize = 4 * 1024;

/// One text is cut here, so that a long one leaves room for the others.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Kept free for what closes a line: the marks of up to three cut texts in an `err`, its keys
/// and its type, the count of cut fields.
const TAIL_BYTES: usize = 3 * Text::MARK_BYTES_MAX + 240;

/// The most that a number needs, and a short text.
const VALUE_BYTES: usize = 64;

/// Causes of an error, and of its cause …
const CAUSES_MAX: usize = 16;

impl Line {
    pub(crate) fn new(bytes_max: usize) -> Line {
        let (bytes, fields) = (Vec::new(), Vec::new());
        Line { bytes, fields, bytes_max, level: Level::Info, fields_cut: 0 }
    }

    /// Starts again with the level, the time and `fixed`, which is `,"key":value` as often as
    /// one likes.
    pub(crate) fn begin(&mut self, level: Level, fixed: &[u8]) {
        self.bytes.clear();
        self.fields.clear();
        self.fields_cut = 0;
        self.level = level;
        self.bytes.extend_from_slice(br#"{"level":"#);
        self.integer(level.number());
        self.bytes.extend_from_slice(br#","time":"#);
        let time = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        self.integer(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(fixed);
    }

    /// Makes it a line of level 60.
    pub(crate) fn make_fatal(&mut self) {
        self.level = Level::Fatal;
        self.bytes[br#"{"level":"#.len()] = b'6';
    }

    /// Closes the line.
    pub(crate) fn finish(&mut self) -> (Level, &[u8]) {
        if self.fields_cut > 0 {
            self.bytes.extend_from_slice(br#","fieldsCut":"#);
            self.integer(self.fields_cut);
        }
        self.bytes.extend_from_slice(b"}\n");
        (self.level, &self.bytes)
    }

    /// All fields without a line around them, each with a comma before it.
    pub(crate) fn into_fields(self) -> Vec<u8> {
        self.bytes
    }

    /// Whether there is such a field already.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key)
    }

    /// Takes a field out again.
    pub(crate) fn remove(&mut self, key: &str) {
        let Some(index) = self.fields.iter().position(|field| field.key == key) else { return };
        let removed = self.fields.remove(index);
        self.bytes.drain(removed.begin..removed.end);
        for later in &mut self.fields[index..] {
            later.begin -= removed.end - removed.begin;
            later.end -= removed.end - removed.begin;
        }
    }

    pub(crate) fn text(&mut self, key: &'static str, value: &str) {
        self.field(key, |line| line.string(|text| text.write(value)));
    }

    pub(crate) fn formatted(&mut self, key: &'static str, value: fmt::Arguments<'_>) {
        self.field(key, |line| line.string(|text| write_lossy(text, value)));
    }

    pub(crate) fn number(&mut self, key: &'static str, value: impl itoa::Integer) {
        self.field(key, |line| line.integer(value));
    }

    /// What JSON has no number for (infinity, not a number) is `null`, as in pino.
    pub(crate) fn float(&mut self, key: &'static str, value: f64) {
        self.field(key, |line| {
            let mut buffer = ryu::Buffer::new();
            let text = if value.is_finite() { buffer.format_finite(value) } else { "null" };
            line.bytes.extend_from_slice(text.as_bytes());
        });
    }

    pub(crate) fn boolean(&mut self, key: &'static str, value: bool) {
        let text = if value { "true" } else { "false" };
        self.field(key, |line| line.bytes.extend_from_slice(text.as_bytes()));
    }

    /// pino's form of an error: its type (as far as `Debug` tells), its message, and as `stack`
    /// what caused it.
    pub(crate) fn error(&mut self, key: &'static str, error: &(dyn Error + 'static)) {
        let mut name = TypeName::default();
        write_lossy(&mut name, format_args!("{error:?}"));
        self.failure(key, name.as_str(), format_args!("{error}"), |stack| {
            let mut cause = error.source();
            cause?;
            write_lossy(stack, format_args!("{}: {error}", name.as_str()));
            for _ in 0..CAUSES_MAX {
                let Some(error) = cause else { break };
                write_lossy(stack, format_args!("\n    caused by: {error}"));
                cause = error.source();
            }
            Some(())
        });
    }

    /// The same for what is no `Error`, such as a panic. `stack` says `None`, having written
    /// nothing, where there is none.
    pub(crate) fn failure(
        &mut self,
        key: &'static str,
        name: &str,
        message: fmt::Arguments<'_>,
        stack: impl FnOnce(&mut Text<'_>) -> Option<()>,
    ) {
        self.field(key, |line| {
            line.bytes.extend_from_slice(br#"{"type":"#);
            line.string(|text| text.write(name));
            line.bytes.extend_from_slice(br#","message":"#);
            line.string(|text| write_lossy(text, message));
            let before_stack = line.bytes.len();
            line.bytes.extend_from_slice(br#","stack":"#);
            let mut written = None;
            line.string(|text| written = stack(text));
            if written.is_none() {
                line.bytes.truncate(before_stack);
            }
            line.bytes.push(b'}');
        });
    }

    /// Copies those fields of `span` that are not there yet.
    pub(crate) fn inherit(&mut self, span: &Line) {
        self.fields_cut += span.fields_cut;
        for &Written { key, begin, end } in &span.fields {
            if self.has(key) {
                continue;
            }
            if self.room() < end - begin {
                self.fields_cut += 1;
                continue;
            }
            let copy = self.bytes.len();
            self.bytes.extend_from_slice(&span.bytes[begin..end]);
            self.fields.push(Written { key, begin: copy, end: self.bytes.len() });
        }
    }

    fn field(&mut self, key: &'static str, value: impl FnOnce(&mut Line)) {
        // At worst each byte of a key is escaped by six.
        if self.room() < key.len() * 6 + VALUE_BYTES {
            self.fields_cut += 1;
            return;
        }
        let begin = self.bytes.len();
        self.bytes.push(b',');
        self.string(|text| text.write(key));
        self.bytes.push(b':');
        value(self);
        self.fields.push(Written { key, begin, end: self.bytes.len() });
    }

    fn string(&mut self, write: impl FnOnce(&mut Text<'_>)) {
        self.bytes.push(b'"');
        let room = self.room().min(TEXT_BYTES_MAX);
        let end = self.bytes.len() + room;
        let mut text = Text::new(&mut self.bytes, end);
        write(&mut text);
        text.finish();
        self.bytes.push(b'"');
    }

    fn integer(&mut self, value: impl itoa::Integer) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn room(&self) -> usize {
        self.bytes_max.saturating_sub(self.bytes.len() + TAIL_BYTES)
    }
}

/// A `Display` that fails has its text up to there in the log, rather than no line at all.
fn write_lossy(text: &mut impl fmt::Write, value: fmt::Arguments<'_>) {
    let _ = text.write_fmt(value);
}

/// The beginning of an error's `Debug` text, in which the derived form has the type's name.
#[derive(Default)]
struct TypeName {
    debug: String,
}

impl TypeName {
    const BYTES_MAX: usize = 64;

    /// The name if the text looks like `Name`, `Name { …` or `Name(…`; else `Error`.
    fn as_str(&self) -> &str {
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let end = self.debug.bytes().position(|byte| !is_part(byte)).unwrap_or(self.debug.len());
        let (name, rest) = self.debug.split_at(end);
        let derived = rest.is_empty() || rest.starts_with(" {") || rest.starts_with('(');
        let sound = derived && name.starts_with(|first: char| first.is_ascii_uppercase());
        if sound { name } else { "Error" }
    }
}

impl fmt::Write for TypeName {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Self::BYTES_MAX.saturating_sub(self.debug.len());
        self.debug.push_str(&text[..text.floor_char_boundary(room)]);
        // An error ends the formatting: the rest may be long, and nobody reads it.
        if text.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
