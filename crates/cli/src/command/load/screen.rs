//! Where people read along: a terminal whose last line is alive, or a pipe of plain lines.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use console::Term;
use tenfold_chart::Glyphs;
use tenfold_config::environment;

use super::table::Table;
use crate::printable::{one_line, printable};

/// No line is longer, so that none wraps at 80 columns; in a narrower terminal they are shorter.
pub(super) const WIDTH: usize = 79;

/// Nothing can be read in a terminal that is narrower.
const WIDTH_MIN: usize = 20;

/// No table is narrower than for a terminal of 40 columns.
const TABLE_WIDTH_MIN: usize = 39;

/// Where people read along.
pub(super) struct Screen {
    out: Box<dyn Write>,
    /// Whether a person reads it there, whose window has a width.
    is_terminal: bool,
    /// Whether the last line can be written anew.
    pub(super) is_live: bool,
    /// Whether letters may be bold.
    is_coloured: bool,
    pub(super) glyphs: Glyphs,
    /// Whether the last line is one that will be written anew.
    is_open: bool,
    /// The terminal whose width counts.
    terminal: Term,
    /// Why the first line that was lost could not be written.
    complaint: Option<io::Error>,
}

impl Screen {
    /// The output, or beside it when that is for a machine.
    pub(super) fn new(beside: bool) -> Screen {
        let (out, is_terminal): (Box<dyn Write>, bool) = match beside {
            true => (Box::new(io::stderr()), io::stderr().is_terminal()),
            false => (Box::new(io::stdout()), io::stdout().is_terminal()),
        };
        let terminal = if beside { Term::stderr() } else { Term::stdout() };
        let set = |name| environment::var(name).is_some_and(|value| !value.is_empty());
        let is_live = is_terminal && environment::var("TERM").is_none_or(|term| term != "dumb");
        let speaks_unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .find_map(|name| environment::var(name).filter(|value| !value.is_empty()))
            .is_some_and(|locale| locale.to_ascii_uppercase().replace('-', "").contains("UTF8"));
        Screen {
            out,
            is_terminal,
            is_live,
            is_coloured: is_live && !set("NO_COLOR"),
            glyphs: if speaks_unicode { Glyphs::Blocks } else { Glyphs::Ascii },
            is_open: false,
            terminal,
            complaint: None,
        }
    }

    /// How long a line may be: a person can make a window narrower at any time.
    pub(super) fn width(&self) -> usize {
        width_of(self.terminal.size_checked().map(|(_, columns)| columns))
    }

    /// Why something that was to stay could not be written.
    pub(super) fn complaint(&self) -> Option<&io::Error> {
        self.complaint.as_ref()
    }

    /// A line that stays. Who has closed the output has seen enough of it.
    pub(super) fn say(&mut self, line: &str) {
        self.write(line, ("", ""));
    }

    /// A line that stays, and matters most.
    pub(super) fn say_loud(&mut self, line: &str) {
        self.write(line, if self.is_coloured { ("\x1b[1m", "\x1b[0m") } else { ("", "") });
    }

    /// Figures in columns, as many as there is room for.
    pub(super) fn tell<const N: usize>(&mut self, table: &Table<N>) {
        let room = match self.is_terminal {
            true => self.width().max(TABLE_WIDTH_MIN),
            false => usize::MAX,
        };
        for line in table.lines(room) {
            self.say(&line);
        }
    }

    /// In a pipe a line stays whole, so that it can be searched for.
    fn write(&mut self, line: &str, (on, off): (&str, &str)) {
        let clear = if self.is_open { "\r\x1b[2K" } else { "" };
        let line = printable(line);
        let line = match self.is_terminal {
            true => Cow::Owned(wrapped(&line, self.width())),
            false => line,
        };
        match writeln!(self.out, "{clear}{on}{line}{off}") {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                self.complaint.get_or_insert(error);
            }
            _ => {}
        }
        self.is_open = false;
    }

    /// A line that the next one replaces; only where that can be.
    pub(super) fn show(&mut self, line: &str) {
        if self.is_live {
            let line: String = one_line(line).chars().take(self.width()).collect();
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

/// One column less than there are: what stands in the last one wraps in some terminals.
fn width_of(columns: Option<u16>) -> usize {
    columns.map_or(WIDTH, |columns| usize::from(columns).saturating_sub(1).clamp(WIDTH_MIN, WIDTH))
}

/// Each of its lines broken between words where it is wider; a word that is wider itself stays
/// whole.
fn wrapped(text: &str, width: usize) -> String {
    text.split('\n').map(|line| wrapped_line(line, width)).collect::<Vec<_>>().join("\n")
}

fn wrapped_line(line: &str, width: usize) -> String {
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
        assert_eq!(wrapped("one two\nthree four\n", 8), "one two\nthree\nfour\n");
    }

    #[test]
    fn lines_are_shorter_in_a_narrow_terminal_and_no_longer_in_a_wide_one() {
        let widths = [None, Some(200), Some(80), Some(50), Some(3), Some(0)].map(width_of);
        assert_eq!(widths, [79, 79, 79, 49, 20, 20]);
    }

    /// A place that takes nothing, for a reason.
    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_remembered_and_a_reader_that_went_away_is_not() {
        for (kind, expected) in [
            (io::ErrorKind::BrokenPipe, None),
            (io::ErrorKind::StorageFull, Some(io::ErrorKind::StorageFull)),
        ] {
            let mut screen = Screen::new(false);
            screen.out = Box::new(Refusing(kind));
            screen.say("a line");
            assert_eq!(screen.complaint().map(io::Error::kind), expected);
        }
    }
}
