//! Keeps a picture small however many points it is made of, and keeps its spikes.
//!
//! Of all points that fall into one column of the picture (a unit wide) it keeps the first, the
//! lowest, the highest and the last: with those, a drawn line covers the same places as
//! one through all points. This is M4 (Jugel, Jerzak, Hackenbroich and Markl, "M4: A
//! Visualization-Oriented Time Series Data Aggregation", VLDB 2014). An average would hide
//! exactly the stall that somebody is looking for.

use crate::frame::Frame;

/// A place in the picture.
pub(crate) type Place = (f64, f64);

/// Lines without gaps, from left to right.
///
/// Points come in any order. One without a place (NaN, infinite, zero on a logarithmic axis) is
/// a gap, unless its neighbours fall into the same column: a gap that narrow cannot be seen.
pub(crate) fn pieces(points: &[(f64, f64)], frame: &Frame) -> Vec<Vec<Place>> {
    let mut placed: Vec<(f64, Option<f64>)> =
        points.iter().filter_map(|&(x, y)| Some((frame.x.place(x)?, frame.y.place(y)))).collect();
    placed.sort_by(|one, other| one.0.total_cmp(&other.0));

    let mut pieces: Vec<Vec<Place>> = Vec::new();
    let mut column: Option<Column> = None;
    let mut gap = true;
    for (x, y) in placed {
        let Some(y) = y else {
            gap = true;
            continue;
        };
        match &mut column {
            Some(column) if column.holds(x) => column.add((x, y)),
            _ => {
                if let Some((full, piece)) = column.take().zip(pieces.last_mut()) {
                    full.leave(piece);
                }
                if gap {
                    pieces.push(Vec::new());
                }
                column = Some(Column::of((x, y)));
            }
        }
        gap = false;
    }
    if let Some((full, piece)) = column.zip(pieces.last_mut()) {
        full.leave(piece);
    }
    pieces
}

/// What is kept of the points in one column, numbered in the order they came.
struct Column {
    number: f64,
    count: usize,
    kept: [(usize, Place); 4],
}

// At 0 stands the first.
const LOWEST: usize = 1;
const HIGHEST: usize = 2;
const LAST: usize = 3;

impl Column {
    fn of(place: Place) -> Self {
        Self { number: place.0.floor(), count: 1, kept: [(0, place); 4] }
    }

    fn holds(&self, x: f64) -> bool {
        x.floor() == self.number
    }

    fn add(&mut self, place: Place) {
        let numbered = (self.count, place);
        self.count += 1;
        self.kept[LAST] = numbered;
        if place.1 > self.kept[LOWEST].1.1 {
            self.kept[LOWEST] = numbered;
        }
        if place.1 < self.kept[HIGHEST].1.1 {
            self.kept[HIGHEST] = numbered;
        }
    }

    fn leave(mut self, piece: &mut Vec<Place>) {
        self.kept.sort_by_key(|(number, _)| *number);
        let mut last = None;
        for (number, place) in self.kept {
            if last != Some(number) {
                piece.push(place);
            }
            last = Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, axis::Extent, scale::Scale};

    /// A picture in which x is its own place, and y too, downwards.
    fn frame(width: f64) -> Frame {
        let scale =
            |from, to| Scale::new(&Axis::default(), Extent { low: 0.0, high: width }, from, to);
        Frame {
            left: 0.0,
            right: width,
            top: 0.0,
            bottom: width,
            x: scale(0.0, width),
            y: scale(0.0, width),
        }
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [(0.0, 1.0), (3.0, 2.0), (10.0, 0.0)];
        assert_eq!(pieces(&points, &frame(100.0)), [points.to_vec()]);
    }

    #[test]
    fn a_spike_among_a_million_is_kept_and_the_points_are_few() {
        let mut points: Vec<(f64, f64)> =
            (0..1_000_000).map(|index| (f64::from(index) / 10_000.0, 5.0)).collect();
        points[123_456].1 = 99.0;
        points[654_321].1 = 0.5;
        let pieces = pieces(&points, &frame(100.0));
        assert_eq!(pieces.len(), 1);
        assert!(pieces[0].len() <= 4 * 101, "{}", pieces[0].len());
        for spike in [99.0, 0.5] {
            assert!(pieces[0].iter().any(|&(_, y)| y == spike));
        }
        assert!(pieces[0].windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }

    #[test]
    fn what_has_no_place_is_a_gap() {
        let points = [(0.0, 1.0), (3.0, f64::NAN), (6.0, 1.0), (9.0, 2.0)];
        assert_eq!(
            pieces(&points, &frame(100.0)),
            [vec![(0.0, 1.0)], vec![(6.0, 1.0), (9.0, 2.0)]]
        );
    }

    #[test]
    fn a_gap_within_a_column_cannot_be_seen() {
        let points = [(5.1, 1.0), (5.2, f64::INFINITY), (5.3, 2.0)];
        assert_eq!(pieces(&points, &frame(100.0)), [vec![(5.1, 1.0), (5.3, 2.0)]]);
    }

    #[test]
    fn the_order_of_points_does_not_matter_and_nowhere_is_left_out() {
        let points = [(9.0, 2.0), (f64::NAN, 3.0), (0.0, 1.0), (f64::INFINITY, 3.0)];
        assert_eq!(pieces(&points, &frame(100.0)), [vec![(0.0, 1.0), (9.0, 2.0)]]);
        assert!(pieces(&[], &frame(100.0)).is_empty());
    }
}
