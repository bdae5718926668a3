//! Where people read along: a terminal whose last line is alive, or a pipe of plain lines.

use std::io::{self, IsTerminal, Write};

use tenfold_chart::Glyphs;
use tenfold_config::environment;

/// No line is longer, so that none wraps at 80 columns.
pub(super) const WIDTH: usize = 79;

/// Where people read along.
pub(super) struct Screen {
    out: Box<dyn Write>,
    /// Whether the last line can be written anew.
    pub(super) is_live: bool,
    /// Whether letters may be bold.
    is_coloured: bool,
    pub(super) glyphs: Glyphs,
    /// Whether the last line is one that will be written anew.
    is_open: bool,
}

impl Screen {
    /// The output, or beside it when that is for a machine.
    pub(super) fn new(beside: bool) -> Screen {
        let (out, is_terminal): (Box<dyn Write>, bool) = match beside {
            true => (Box::new(io::stderr()), io::stderr().is_terminal()),
            false => (Box::new(io::stdout()), io::stdout().is_terminal()),
        };
        let set = |name| environment::var(name).is_some_and(|value| !value.is_empty());
        let is_live = is_terminal && environment::var("TERM").is_none_or(|term| term != "dumb");
        let speaks_unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| environment::var(name).filter(|value| !value.is_empty()))
            .is_some_and(|locale| locale.to_ascii_uppercase().replace('-', "").contains("UTF8"));
        Screen {
            out,
            is_live,
            is_coloured: is_live && !set("NO_COLOR"),
            glyphs: if speaks_unicode { Glyphs::Blocks } else { Glyphs::Ascii },
            is_open: false,
        }
    }

    /// A line that stays. Who has closed the output has seen enough of it.
    pub(super) fn say(&mut self, line: &str) {
        self.write(line, ("", ""));
    }

    /// A line that stays, and matters most.
    pub(super) fn say_loud(&mut self, line: &str) {
        self.write(line, if self.is_coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") });
    }

    /// In a pipe a line stays whole, so that it can be searched for.
    fn write(&mut self, line: &str, (on, off): (&str, &str)) {
        let clear = if self.is_open { "\r\x1b[2K" } else { "" };
        let line = if self.is_live { wrapped(line, WIDTH) } else { line.to_owned() };
        let _ = writeln!(self.out, "{clear}{on}{line}{off}");
        self.is_open = false;
    }

    /// A line that the next one replaces; only where that can be.
    pub(super) fn show(&mut self, line: &str) {
        if self.is_live {
            let line: String = line.chars().take(WIDTH).collect();
            let _ = write!(self.out, "\r\x1b[2K{line}");
            let _ = self.out.flush();
            self.is_open = true;
        }
    }
}

/// What comes next, such as an error, begins a line of its own.
impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_open {
            let _ = write!(self.out, "\r\x1b[2K");
            let _ = self.out.flush();
        }
    }
}

/// Broken between words where it is wider; a word that is wider itself stays whole.
fn wrapped(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let (mut text, mut column) = (String::new(), 0);
    for (index, word) in line.split(' ').enumerate() {
        let letters = word.chars().count();
        if index > 0 && column + 1 + letters > width {
            text.push('\n');
            column = 0;
        } else if index > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += letters;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_between_words_and_short_ones_keep_their_spaces() {
        assert_eq!(wrapped("a  b   c", 10), "a  b   c");
        assert_eq!(wrapped("one two three four", 9), "one two\nthree\nfour");
        assert_eq!(wrapped("a wordthatiswider b", 8), "a\nwordthatiswider\nb");
        assert_eq!(wrapped("λ λ λ λ", 3), "λ λ\nλ λ");
    }
}
