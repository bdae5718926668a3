//! Writes SVG as text, so that everything that must never be forgotten (escaping, bounded
//! precision, closing what was opened) is in one place.

use std::fmt::{self, Display, Write};

/// A name and what stands in its quotes.
pub(crate) type Attribute<'a> = (&'a str, &'a dyn Display);

/// SVG while it is written, one element per line so that two pictures can be compared.
pub(crate) struct Svg {
    written: String,
    open: Vec<&'static str>,
}

impl Svg {
    pub(crate) fn new() -> Self {
        Self { written: String::with_capacity(8 * 1024), open: Vec::new() }
    }

    /// Opens an element that others will stand in.
    pub(crate) fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes);
        self.written.push_str(">\n");
        self.open.push(name);
    }

    /// Closes what was opened last.
    pub(crate) fn close(&mut self) {
        let name = self.open.pop().expect("each close follows an open of ours");
        self.end(name);
    }

    /// An element without content.
    pub(crate) fn empty(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.start(name, attributes);
        self.written.push_str("/>\n");
    }

    /// An element that holds text.
    pub(crate) fn text(&mut self, name: &str, attributes: &[Attribute<'_>], text: &str) {
        self.start(name, attributes);
        self.written.push('>');
        escape(&mut self.written, text);
        self.end(name);
    }

    /// What was written, everything closed.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.written
    }

    fn start(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.written.push('<');
        self.written.push_str(name);
        for (name, value) in attributes {
            self.written.push(' ');
            self.written.push_str(name);
            self.written.push_str("=\"");
            write!(Escaping(&mut self.written), "{value}").expect("a String takes any text");
            self.written.push('"');
        }
    }

    fn end(&mut self, name: &str) {
        self.written.push_str("</");
        self.written.push_str(name);
        self.written.push_str(">\n");
    }
}

/// A length or a place in the picture's own units: one digit after the point is finer than
/// any screen shows, and keeps a report small.
#[derive(Clone, Copy)]
pub(crate) struct Px(pub(crate) f64);

impl Display for Px {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        if tenths % 10.0 == 0.0 {
            // Adding nothing turns a negative zero into zero.
            write!(formatter, "{:.0}", tenths / 10.0 + 0.0)
        } else {
            write!(formatter, "{:.1}", tenths / 10.0)
        }
    }
}

/// The `d` of a path.
#[derive(Default)]
pub(crate) struct Path(String);

impl Path {
    pub(crate) fn move_to(&mut self, (x, y): (f64, f64)) {
        self.step('M', x, y);
    }

    pub(crate) fn line_to(&mut self, (x, y): (f64, f64)) {
        self.step('L', x, y);
    }

    /// A place where a line has no neighbour: with round ends, a line of no length is a dot.
    pub(crate) fn dot(&mut self) {
        self.0.push_str("h0");
    }

    pub(crate) fn close(&mut self) {
        self.0.push('Z');
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn step(&mut self, letter: char, x: f64, y: f64) {
        write!(self.0, "{letter}{} {}", Px(x), Px(y)).expect("a String takes any text");
    }
}

impl Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape(self.0, text);
        Ok(())
    }
}

/// XML has no way to write most control characters, not even escaped: they become U+FFFD.
fn escape(written: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            '\t' | '\n' | '\r' => written.push(' '),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                written.push('\u{fffd}');
            }
            other => written.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let mut svg = Svg::new();
        svg.text("text", &[("class", &"a\"b'")], "<script>&\u{0}\n");
        assert_eq!(
            svg.finish(),
            "<text class=\"a&quot;b&#39;\">&lt;script&gt;&amp;\u{fffd} </text>\n"
        );
    }

    #[test]
    fn what_was_opened_is_closed() {
        let mut svg = Svg::new();
        svg.open("svg", &[]);
        svg.open("g", &[("class", &"a")]);
        svg.empty("line", &[("x1", &Px(1.0))]);
        assert_eq!(svg.finish(), "<svg>\n<g class=\"a\">\n<line x1=\"1\"/>\n</g>\n</svg>\n");
    }

    #[test]
    fn precision_is_bounded() {
        let written: Vec<String> =
            [1.0, 1.25, -0.01, 1.0 / 3.0, 719.96].iter().map(|&x| Px(x).to_string()).collect();
        assert_eq!(written, ["1", "1.3", "0", "0.3", "720"]);
    }
}
