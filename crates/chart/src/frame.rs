//! The part of a picture in which the data stands, and how wide its margins must be for
//! everything around it to have room.

use crate::{
    axis::{Axis, Extent, Spacing},
    layer::{STRIP_HEIGHT, mark_rows},
    legend::{self, Names},
    plot::Shown,
    scale::Scale,
    size::Size,
    text::{self, LINE_HEIGHT},
    ticks::{self, Ticks},
};

/// Where the data stands.
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) right: f64,
    pub(crate) top: f64,
    pub(crate) bottom: f64,
    pub(crate) x: Scale,
    pub(crate) y: Scale,
}

/// A frame and what stands around it.
pub(crate) struct Layout {
    pub(crate) frame: Frame,
    pub(crate) x_ticks: Vec<Tick>,
    pub(crate) y_ticks: Vec<Tick>,
    /// Places of lines without words.
    pub(crate) x_between: Vec<f64>,
    pub(crate) y_between: Vec<f64>,
    pub(crate) names: Names,
    /// The baseline of the name of the vertical axis.
    pub(crate) y_label_at: f64,
    /// Where the names of vertical lines begin, and in how many rows they stand.
    pub(crate) marks_at: (f64, usize),
}

/// A label and the place that it belongs to.
pub(crate) struct Tick {
    pub(crate) place: f64,
    pub(crate) label: String,
}

/// Around everything.
const PADDING: f64 = 8.0;
/// Between a label and the axis.
const GAP: f64 = 8.0;

impl Layout {
    /// Nothing if there is no data to make room for.
    pub(crate) fn of(shown: &Shown<'_>, size: Size) -> Option<Self> {
        let (x_extent, y_extent) = shown.extents()?;
        let (width, height) = (size.width(), size.height());
        let relative = Scale::new(shown.x, x_extent, 0.0, 1.0);
        let names = legend::arrange(shown, &relative, size);

        let mut top = PADDING + names.rows() as f64 * legend::ROW_HEIGHT;
        let y_label_at = top + LINE_HEIGHT - 4.0;
        if !shown.y.label.is_empty() {
            top += LINE_HEIGHT + if shown.phases.is_empty() { 10.0 } else { 4.0 };
        }
        let marks_top = top;
        if !shown.phases.is_empty() {
            top += STRIP_HEIGHT;
        }
        let below = LINE_HEIGHT + 4.0 + if shown.x.label.is_empty() { 0.0 } else { LINE_HEIGHT };
        let bottom = height - PADDING - below;

        // Names of vertical lines need rows, rows take height, height decides on ticks, their
        // labels on the width, and the width on rows: once around is close enough.
        let inset = if shown.dots.is_empty() { 0.0 } else { 10.0 };
        let right = width - names.margin().max(PADDING + 8.0);
        let frame = |top: f64| {
            let y_ticks = vertical_ticks(&shown.y, y_extent, bottom - top);
            let widest = y_ticks.labelled.iter().map(|(_, label)| text::width(label));
            let left = (widest.fold(0.0, f64::max) + GAP + 2.0).clamp(24.0, width * 0.3);
            let x_ticks = horizontal_ticks(shown.x, x_extent, (left + inset, right - inset), width);
            let x = Scale::new(shown.x, x_ticks.rounded, left + inset, right - inset);
            let y = Scale::new(&shown.y, y_ticks.rounded, bottom, top);
            (Frame { left, right, top, bottom, x, y }, x_ticks, y_ticks)
        };
        let rows = mark_rows(shown.marks, (height / 120.0) as usize, &frame(top).0);
        let (frame, x_ticks, y_ticks) = frame(top + rows as f64 * LINE_HEIGHT);

        let places = |scale: &Scale, numbers: &[f64]| {
            numbers.iter().filter_map(|&number| scale.place(number)).collect()
        };
        let tick = |scale: &Scale, (number, label): (f64, String)| {
            Some(Tick { place: scale.place(number)?, label })
        };
        Some(Self {
            x_between: places(&frame.x, &x_ticks.between),
            y_between: places(&frame.y, &y_ticks.between),
            x_ticks: x_ticks.labelled.into_iter().filter_map(|it| tick(&frame.x, it)).collect(),
            y_ticks: y_ticks.labelled.into_iter().filter_map(|it| tick(&frame.y, it)).collect(),
            frame,
            names,
            y_label_at,
            marks_at: (marks_top, rows),
        })
    }
}

/// As many as can be read. The axis ends at a round number, unless the data is just a little
/// above one: then the rest of that step would be empty.
fn vertical_ticks(axis: &Axis, extent: Extent, height: f64) -> Ticks {
    let apart = if axis.spacing == Spacing::Logarithmic { 26.0 } else { 28.0 };
    let count_max = (height / apart) as usize + 1;
    // The one that is left out does not count.
    for count in [count_max + 1, count_max] {
        let mut ticks = ticks::choose(extent, axis.spacing, axis.unit, count);
        if let [_, .., (last_but_one, _), (last, _)] = ticks.labelled[..]
            && axis.spacing == Spacing::Linear
            && extent.high < last_but_one + (last - last_but_one) * 0.3
        {
            ticks.labelled.pop();
            ticks.rounded.high = extent.high + (last - last_but_one) * 0.05;
        }
        if ticks.labelled.len() <= count_max {
            return ticks;
        }
    }
    ticks::choose(extent, axis.spacing, axis.unit, count_max)
}

/// As many as have room. The data goes from edge to edge, unless fewer than two round numbers
/// would be left between.
fn horizontal_ticks(axis: &Axis, extent: Extent, (left, right): (f64, f64), width: f64) -> Ticks {
    let mut count_max = 12;
    loop {
        let mut ticks = ticks::choose(extent, axis.spacing, axis.unit, count_max);
        let slack = (extent.high - extent.low) * 1e-6;
        let is_inside =
            |number: &f64| extent.low - slack <= *number && *number <= extent.high + slack;
        if ticks.labelled.iter().filter(|(number, _)| is_inside(number)).count() >= 2 {
            ticks.labelled.retain(|(number, _)| is_inside(number));
            ticks.between.retain(is_inside);
            ticks.rounded = extent;
        }
        let scale = Scale::new(axis, ticks.rounded, left, right);
        let mut end = f64::NEG_INFINITY;
        let has_room = ticks.labelled.iter().all(|(number, label)| {
            let label_width = text::width(label);
            let place = scale.place(*number).unwrap_or(left);
            let middle = label_middle(place, label_width, width);
            let has_room = middle - label_width / 2.0 >= end;
            end = middle + label_width / 2.0 + 10.0;
            has_room
        });
        if has_room {
            return ticks;
        }
        if count_max == ticks::COUNT_MIN {
            ticks.labelled.truncate(1);
            return ticks;
        }
        count_max -= 1;
    }
}

/// The middle of a label that stands under its tick, but inside of the picture.
pub(crate) fn label_middle(place: f64, label_width: f64, width: f64) -> f64 {
    place.min(width - label_width / 2.0 - 1.0).max(label_width / 2.0 + 1.0)
}
