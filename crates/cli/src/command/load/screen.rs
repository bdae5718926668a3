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
        let clear = if self.is_open { "\r\x1b[2K" } else { "" };
        let _ = writeln!(self.out, "{clear}{line}");
        self.is_open = false;
    }

    /// A line that stays, and matters most.
    pub(super) fn say_loud(&mut self, line: &str) {
        if self.is_coloured {
            self.say(&format!("\x1b[1m{line}\x1b[0m"));
        } else {
            self.say(line);
        }
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
