//! A shaded area between two bounds: how sure a fitted curve is.

use crate::{
    Tone,
    frame::Frame,
    svg::{Path, Svg},
};

/// A named area between a lower and an upper bound.
///
/// It stretches the vertical axis by half at most: an interval that goes to infinity, as those of
/// fitted curves do, is cut at the edge of the picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Range {
    /// Stands in the legend. Without a name it is not there.
    pub name: String,
    /// How it looks.
    pub tone: Tone,
    /// In any order. One with a bound that is no number is a gap.
    pub bounds: Vec<Bounds>,
}

/// Where a range is at one place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// The place.
    pub x: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

impl Range {
    pub(crate) fn draw(&self, frame: &Frame, svg: &mut Svg) {
        let mut path = Path::default();
        for piece in self.pieces(frame) {
            if piece.len() < 2 {
                continue;
            }
            path.move_to((piece[0].x, piece[0].high));
            piece[1..].iter().for_each(|place| path.line_to((place.x, place.high)));
            piece.iter().rev().for_each(|place| path.line_to((place.x, place.low)));
            path.close();
        }
        if !path.is_empty() {
            let class = format!("tf-range {}", self.tone.class());
            svg.empty("path", &[("class", &class), ("d", &path)]);
        }
    }

    /// Without gaps, in places, at most one per column, the widest bounds in it.
    fn pieces(&self, frame: &Frame) -> Vec<Vec<Bounds>> {
        let mut bounds = self.bounds.clone();
        bounds.retain(|bounds| frame.x.place(bounds.x).is_some());
        bounds.sort_by(|one, other| one.x.total_cmp(&other.x));
        let mut pieces: Vec<Vec<Bounds>> = Vec::new();
        let mut gap = true;
        for Bounds { x, low, high } in bounds {
            let places = (frame.x.place(x), frame.y.place_bound(low), frame.y.place_bound(high));
            let (Some(x), Some(low), Some(high)) = places else {
                gap = true;
                continue;
            };
            if gap {
                pieces.push(Vec::new());
                gap = false;
            }
            let piece = pieces.last_mut().expect("one was pushed before the first bounds");
            match piece.last_mut() {
                Some(last) if last.x.floor() == x.floor() => {
                    // Downwards is more.
                    last.low = last.low.max(low);
                    last.high = last.high.min(high);
                }
                _ => piece.push(Bounds { x, low, high }),
            }
        }
        pieces
    }
}
