//! Horizontal lines, each with its name where it covers the least of what is drawn.

use super::rule::{self, Rule};
use crate::{
    frame::Frame,
    svg::{Px, Svg},
    text::{self, LINE_HEIGHT},
    thin::Place,
};

/// `drawn` is what the names should not cover.
pub(crate) fn draw(rules: &[Rule], drawn: &[&[Place]], frame: &Frame, svg: &mut Svg) {
    let mut taken: Vec<Spot> = Vec::new();
    for rule in rules {
        let Some(y) = frame.y.place(rule.at) else { continue };
        rule::draw_line((frame.left, y), (frame.right, y), rule, svg);
        let name = text::shorten(&rule.name, (frame.right - frame.left) * 0.6);
        let best = spots(text::width(&name), y, frame)
            .filter(|spot| !name.is_empty() && taken.iter().all(|other| !spot.meets(other)))
            .min_by_key(|spot| spot.count_covered(drawn));
        let Some(spot) = best else { continue };
        svg.text(
            "text",
            &[("class", &"tf-rule-name tf-halo"), ("x", &Px(spot.left)), ("y", &Px(spot.baseline))],
            &name,
        );
        taken.push(spot);
    }
}

/// Where a name may stand.
struct Spot {
    left: f64,
    right: f64,
    baseline: f64,
}

/// Above the line, where people look first, then below, from the right to the left; not outside
/// of the picture.
fn spots(width: f64, y: f64, frame: &Frame) -> impl Iterator<Item = Spot> {
    const COUNT: u32 = 5;
    let (top, bottom) = (frame.top, frame.bottom);
    let leftmost = frame.left + 6.0;
    let apart = (frame.right - width - 6.0 - leftmost).max(0.0) / f64::from(COUNT - 1);
    [y - 5.0, y + LINE_HEIGHT - 2.0]
        .into_iter()
        .filter(move |baseline| top + 10.0 < *baseline && *baseline < bottom - 3.0)
        .flat_map(move |baseline| {
            (0..COUNT).rev().map(move |index| {
                let left = leftmost + apart * f64::from(index);
                Spot { left, right: left + width, baseline }
            })
        })
}

impl Spot {
    fn meets(&self, other: &Self) -> bool {
        (self.baseline - other.baseline).abs() < LINE_HEIGHT
            && self.left < other.right + 8.0
            && other.left < self.right + 8.0
    }

    fn count_covered(&self, drawn: &[&[Place]]) -> usize {
        let (top, bottom) = (self.baseline - LINE_HEIGHT, self.baseline + 3.0);
        let is_inside =
            |&(x, y): &Place| self.left <= x && x <= self.right && top <= y && y <= bottom;
        drawn.iter().flat_map(|piece| steps(piece)).filter(is_inside).count()
    }
}

/// The way along a drawn line in short steps, so that a long stretch between two points counts.
fn steps(piece: &[Place]) -> impl Iterator<Item = Place> {
    let between = |pair: &[Place]| {
        let [from, to] = [pair[0], pair[1]];
        let count = ((to.0 - from.0).hypot(to.1 - from.1) / 8.0).ceil().clamp(1.0, 200.0) as u32;
        (0..count).map(move |step| {
            let part = f64::from(step) / f64::from(count);
            (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part)
        })
    };
    piece.windows(2).flat_map(between).chain(piece.last().copied())
}
