//! The end of what a process has written, bounded, because an error should show why.

use std::collections::VecDeque;

const LINES_MAX: usize = 20;

/// The last lines; older ones make room.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    lines: VecDeque<String>,
    /// Nothing more will come.
    pub(crate) complete: bool,
}

impl LastWords {
    pub(crate) fn push(&mut self, line: String) {
        if line.is_empty() {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        self.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_alone() {
        let mut words = LastWords::default();
        for number in 0..100 {
            words.push(format!("line {number}"));
            words.push(String::new());
        }
        let text = words.text();
        assert_eq!(text.lines().count(), LINES_MAX);
        assert!(text.starts_with("line 80\n") && text.ends_with("\nline 99"), "{text}");
    }
}
