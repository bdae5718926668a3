//! Straight lines across the picture that have a name: a promise, a limit.

use crate::{
    svg::{Px, Svg},
    thin::Place,
};

/// A number on one of the axes, and what it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// What it is: "promise: 50 ms".
    pub name: String,
    /// The number.
    pub at: f64,
}

pub(super) fn draw_line(from: Place, to: Place, rule: &Rule, svg: &mut Svg) {
    svg.open("g", &[]);
    svg.text("title", &[], &rule.name);
    svg.empty(
        "line",
        &[
            ("class", &"tf-rule"),
            ("x1", &Px(from.0)),
            ("y1", &Px(from.1)),
            ("x2", &Px(to.0)),
            ("y2", &Px(to.1)),
        ],
    );
    svg.close();
}
