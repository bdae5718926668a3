//! Points joined by a line: what changes over time, or a fitted curve.

use crate::{
    Tone,
    frame::Frame,
    svg::{Path, Px, Svg},
    thin::{self, Place},
};

/// A named line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Line {
    /// Stands at the end of the line, or in the legend. Without a name it is in neither.
    pub name: String,
    /// How it looks.
    pub tone: Tone,
    /// Horizontal and vertical, in any order. A vertical one that is not a finite number is a
    /// gap.
    pub points: Vec<(f64, f64)>,
}

impl Line {
    /// Draws it and says where it went.
    pub(crate) fn draw(&self, frame: &Frame, svg: &mut Svg) -> Vec<Vec<Place>> {
        let pieces = thin::pieces(&self.points, frame);
        draw_pieces(&pieces, self.tone, svg);
        pieces
    }
}

/// A piece of one point alone has no length; it is drawn as a dot of its own, because dashes
/// would swallow it.
pub(super) fn draw_pieces(pieces: &[Vec<Place>], tone: Tone, svg: &mut Svg) {
    let (mut line, mut lone) = (Path::default(), Path::default());
    for piece in pieces {
        if let [place] = piece[..] {
            lone.move_to(place);
            lone.dot();
            continue;
        }
        for (index, &place) in piece.iter().enumerate() {
            if index == 0 { line.move_to(place) } else { line.line_to(place) }
        }
    }
    for (path, class) in [(line, "tf-line"), (lone, "tf-lone")] {
        if !path.is_empty() {
            svg.empty("path", &[("class", &format!("{class} {}", tone.class())), ("d", &path)]);
        }
    }
}

/// A short sample for the legend.
pub(crate) fn draw_sample(tone: Tone, (x, y): Place, width: f64, svg: &mut Svg) {
    svg.empty(
        "line",
        &[
            ("class", &format!("tf-line {}", tone.class())),
            ("x1", &Px(x)),
            ("y1", &Px(y)),
            ("x2", &Px(x + width)),
            ("y2", &Px(y)),
        ],
    );
}
