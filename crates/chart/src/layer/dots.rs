//! Single measurements, each with how far it may be off.

use super::line;
use crate::{
    Tone,
    frame::Frame,
    svg::{Path, Px, Svg},
    theme::Marker,
    thin::{self, Place},
};

/// Named measurements.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dots {
    /// Stands at the last dot if they are joined, or in the legend. Without a name it is in
    /// neither.
    pub name: String,
    /// How they look.
    pub tone: Tone,
    /// Whether a line goes through them.
    pub joined: Joined,
    /// In any order.
    pub dots: Vec<Dot>,
}

/// Whether a line goes through dots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Joined {
    /// From each to the next.
    #[default]
    Yes,
    /// They stand alone: a curve is fitted to them, or there is nothing between them.
    No,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dot {
    /// At what.
    pub x: f64,
    /// How much.
    pub y: f64,
    /// The least and the most that it may have been, if that is known.
    pub interval: Option<(f64, f64)>,
}

/// Of a dot, from its middle.
const RADIUS: f64 = 4.0;

impl Dots {
    /// Draws them and says where the line, if there is one, and the dots went.
    pub(crate) fn draw(&self, frame: &Frame, svg: &mut Svg) -> Vec<Vec<Place>> {
        let points: Vec<(f64, f64)> = self.dots.iter().map(|dot| (dot.x, dot.y)).collect();
        let pieces = thin::pieces(&points, frame);
        if self.joined == Joined::Yes {
            line::draw_pieces(&pieces, self.tone, svg);
        }
        let mut shown: Vec<Place> = pieces.iter().flatten().copied().collect();
        shown.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.total_cmp(&other.1)));
        for dot in &self.dots {
            let Some(place) = frame.x.place(dot.x).zip(frame.y.place(dot.y)) else { continue };
            // As for lines: of many in one column, the outermost are enough.
            let order =
                |other: &Place| other.0.total_cmp(&place.0).then(other.1.total_cmp(&place.1));
            let Ok(index) = shown.binary_search_by(order) else { continue };
            // Twins are drawn once.
            shown.remove(index);
            self.draw_one(dot, place, frame, svg);
        }
        pieces
    }

    fn draw_one(&self, dot: &Dot, place: Place, frame: &Frame, svg: &mut Svg) {
        svg.open("g", &[("class", &self.tone.class())]);
        let mut words = format!("{}: {}", frame.x.write(dot.x), frame.y.write(dot.y));
        if let Some((low, high)) = dot.interval
            && let Some((bottom, top)) = frame.y.place_bound(low).zip(frame.y.place_bound(high))
        {
            words.push_str(&format!(" ({} to {})", frame.y.write(low), frame.y.write(high)));
            let mut path = Path::default();
            let x = place.0;
            for (from, to) in [
                ((x, bottom), (x, top)),
                ((x - RADIUS, bottom), (x + RADIUS, bottom)),
                ((x - RADIUS, top), (x + RADIUS, top)),
            ] {
                path.move_to(from);
                path.line_to(to);
            }
            svg.empty("path", &[("class", &"tf-interval"), ("d", &path)]);
        }
        svg.text("title", &[], &words);
        draw_marker(self.tone, place, svg);
        svg.close();
    }
}

/// One dot, in the shape of its tone; all shapes cover about the same area.
pub(crate) fn draw_marker(tone: Tone, (x, y): Place, svg: &mut Svg) {
    let class = format!("tf-dot {}", tone.class());
    let corners: &[Place] = match tone.marker() {
        Marker::Circle => {
            let circle: [(&str, &dyn std::fmt::Display); 4] =
                [("class", &class), ("cx", &Px(x)), ("cy", &Px(y)), ("r", &Px(RADIUS))];
            return svg.empty("circle", &circle);
        }
        Marker::Square => &[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        Marker::Triangle => &[(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
        Marker::Diamond => &[(0.0, -1.3), (1.2, 0.0), (0.0, 1.3), (-1.2, 0.0)],
    };
    let mut path = Path::default();
    for (index, corner) in corners.iter().enumerate() {
        let place = (x + corner.0 * RADIUS, y + corner.1 * RADIUS);
        if index == 0 { path.move_to(place) } else { path.line_to(place) }
    }
    path.close();
    svg.empty("path", &[("class", &class), ("d", &path)]);
}
