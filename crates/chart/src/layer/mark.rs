//! Vertical lines, with their names above the picture, where there is no data to cover.

use std::{cmp::Ordering, fmt::Display};

use super::rule::{self, Rule};
use crate::{
    frame::Frame,
    svg::{Px, Svg},
    text::{self, LINE_HEIGHT},
};

/// Vertical lines, their names above the picture in `rows` rows.
pub(crate) fn draw(rules: &[Rule], (names_top, rows): (f64, usize), frame: &Frame, svg: &mut Svg) {
    for (rule, name) in rules.iter().zip(arrange(rules, rows, frame)) {
        let Some(x) = frame.x.place(rule.at) else { continue };
        let Some(name) = name else {
            rule::draw_line((x, frame.top), (x, frame.bottom), rule, svg);
            continue;
        };
        let baseline = names_top + LINE_HEIGHT * (name.row as f64 + 1.0) - 4.0;
        // A line ends below a name that stands over it, and beside one that stands beside it.
        let top = if name.covers(x) { baseline + 3.0 } else { baseline - 9.0 };
        rule::draw_line((x, top), (x, frame.bottom), rule, svg);
        let at: [(&str, &dyn Display); 3] =
            [("class", &"tf-rule-name tf-halo"), ("x", &Px(name.left)), ("y", &Px(baseline))];
        svg.text("text", &at, &name.words);
    }
}

/// How many rows the names of vertical lines need, up to a maximum. What finds no row is in the
/// description only.
pub(crate) fn rows(rules: &[Rule], rows_max: usize, frame: &Frame) -> usize {
    arrange(rules, rows_max, frame)
        .into_iter()
        .flatten()
        .map(|name| name.row + 1)
        .max()
        .unwrap_or(0)
}

/// Where the name of a vertical line stands.
#[derive(Clone)]
struct Name {
    row: usize,
    left: f64,
    right: f64,
    /// Where its line is.
    line: f64,
    words: String,
}

impl Name {
    fn covers(&self, x: f64) -> bool {
        self.left - 2.0 < x && x < self.right + 2.0
    }

    /// Neither the words nor a line through the rows below meet.
    fn is_clear_of(&self, other: &Self) -> bool {
        match self.row.cmp(&other.row) {
            Ordering::Less => !other.covers(self.line),
            Ordering::Equal => {
                let apart = self.right + 8.0 < other.left || other.right + 8.0 < self.left;
                apart && !self.covers(other.line) && !other.covers(self.line)
            }
            Ordering::Greater => !self.covers(other.line),
        }
    }
}

/// Each name, as much of it as fits, over its line or beside it, in the first row where it is
/// clear of those before.
fn arrange(rules: &[Rule], rows_max: usize, frame: &Frame) -> Vec<Option<Name>> {
    let mut names: Vec<Option<Name>> = Vec::new();
    for rule in rules {
        let words = text::shorten(&rule.name, frame.right - frame.left);
        let width = text::width(&words);
        let place = |line: f64| {
            let over = (line - width / 2.0).min(frame.right - width).max(frame.left);
            let candidates = (0..rows_max).flat_map(|row| {
                [over, line + 5.0, line - 5.0 - width].map(|left| Name {
                    row,
                    left,
                    right: left + width,
                    line,
                    words: words.clone(),
                })
            });
            candidates
                .filter(|name| frame.left <= name.left && name.right <= frame.right + 1e-6)
                .find(|name| names.iter().flatten().all(|other| name.is_clear_of(other)))
        };
        let name = frame.x.place(rule.at).filter(|_| !words.is_empty()).and_then(place);
        names.push(name);
    }
    names
}
