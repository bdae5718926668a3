//! Guesses how wide text will be, because nobody tells a writer of SVG which font the reader has.
//!
//! The widths are those of Helvetica and Arial in four classes, a little too wide on purpose:
//! a label that has too much room is ugly by a hair, one that has too little is unreadable.

/// The size of all text, in the picture's units: readable on a phone, quiet in print.
pub(crate) const FONT_SIZE: f64 = 12.0;

/// From one baseline to the next.
pub(crate) const LINE_HEIGHT: f64 = 16.0;

/// The width of a text at [`FONT_SIZE`], in the picture's units.
pub(crate) fn width(text: &str) -> f64 {
    text.chars().map(width_of).sum::<f64>() * FONT_SIZE
}

/// The text, or as much of its beginning as fits with an ellipsis, or nothing when that would
/// say nothing.
pub(crate) fn shorten(text: &str, width_max: f64) -> String {
    if width(text) <= width_max {
        return text.to_owned();
    }
    let room = width_max / FONT_SIZE - width_of('…');
    let mut used = 0.0;
    let kept: String = text
        .chars()
        .take_while(|&character| {
            used += width_of(character);
            used <= room
        })
        .collect();
    if kept.chars().count() < 2 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// In ems.
fn width_of(character: char) -> f64 {
    match character {
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '!' | '|' | '\'' => 0.28,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '/' | '-' | '"' => 0.36,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '—' => 0.95,
        'A'..='Z' => 0.72,
        '\u{20}'..='\u{24f}' | '–' | '≥' | '≤' => 0.58,
        // Other scripts: as wide as they are high, which is right for Chinese and safe for most.
        _ => 1.05,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays() {
        assert_eq!(shorten("recovery", 60.0), "recovery");
        assert_eq!(shorten("", 0.0), "");
    }

    #[test]
    fn what_does_not_fit_is_cut_and_fits_then() {
        let cut = shorten("a recovery that takes long", 80.0);
        assert_eq!(cut, "a recovery…");
        assert!(width(&cut) <= 80.0);
    }

    #[test]
    fn one_letter_and_an_ellipsis_say_nothing() {
        assert_eq!(shorten("recovery", 20.0), "");
        assert_eq!(shorten("recovery", -3.0), "");
    }

    #[test]
    fn other_scripts_are_wider() {
        assert!(width("負荷") > width("ab"));
    }
}
