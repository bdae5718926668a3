//! What comes from files, servers and command lines is printed with its control characters written
//! out: a terminal obeys them, whoever has sent them.

use std::borrow::Cow;

/// The text without anything that a terminal obeys; lines stay lines.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match is_obeyed(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// The same in one line.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// Says what is wrong, beside the output.
pub(crate) fn complain(text: &str) {
    eprintln!("{}", printable(text));
}

/// Control characters, and those that turn the direction of what follows.
fn is_obeyed(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (character.is_control() && character != '\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out_and_all_else_stays() {
        for (text, shown) in [
            ("plain, λ ▁█ × ±\nand a second line", "plain, λ ▁█ × ±\nand a second line"),
            ("\x1b]0;title\x07\x1b[31mred", r"\u{1b}]0;title\u{7}\u{1b}[31mred"),
            ("over\rwritten\ttab\x08\x7f", r"over\rwritten\ttab\u{8}\u{7f}"),
            ("\u{9b}2J", r"\u{9b}2J"),
            ("\u{202e}drawkcab\u{2066}", r"\u{202e}drawkcab\u{2066}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert!(matches!(printable("as it is"), Cow::Borrowed(_)));
        assert_eq!(one_line("a\nb\x1b"), r"a\nb\u{1b}");
    }
}
