//! A picture of numbers over numbers: everything that it can hold, and the order in which it
//! is drawn.

use crate::{
    Axis, Dots, Line, Phase, Range, Rule, Size, Spacing, Stack, Tone,
    axis::Extent,
    describe,
    frame::{Layout, Tick, label_middle},
    layer::{draw_marks, draw_phases, draw_thresholds},
    legend::End,
    svg::{Px, Svg},
    text, theme,
    thin::Place,
};

/// A picture of numbers over numbers. What is left empty is not drawn.
///
/// Numbers may be anything: what is not finite (or, on a logarithmic axis, not above zero) is a
/// gap, a million points are thinned without losing a spike (see [`crate`]), and without
/// any data the picture says so.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plot {
    /// What it shows, in a few words; read aloud, and shown by browsers when pointed at.
    pub title: String,
    /// What there is to see in it, in a sentence; read aloud before the figures, which the
    /// plot adds itself.
    pub note: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Bands behind everything; the first 48.
    pub phases: Vec<Phase>,
    /// Areas upon each other.
    pub stack: Stack,
    /// Shaded areas; the first 16.
    pub ranges: Vec<Range>,
    /// Lines; the first 24.
    pub lines: Vec<Line>,
    /// Measurements; the first 16.
    pub dots: Vec<Dots>,
    /// Horizontal lines with a name; the first 8.
    pub thresholds: Vec<Rule>,
    /// Vertical lines with a name; the first 8.
    pub marks: Vec<Rule>,
}

/// What of a plot is drawn: bounded, and with the vertical axis that its stack asks for.
pub(crate) struct Shown<'a> {
    pub(crate) x: &'a Axis,
    pub(crate) y: Axis,
    pub(crate) phases: &'a [Phase],
    pub(crate) stack: &'a Stack,
    pub(crate) ranges: &'a [Range],
    pub(crate) lines: &'a [Line],
    pub(crate) dots: &'a [Dots],
    pub(crate) thresholds: &'a [Rule],
    pub(crate) marks: &'a [Rule],
}

impl Plot {
    /// An `svg` element for a page that holds [`stylesheet`](crate::stylesheet) once.
    pub fn svg(&self, size: Size) -> String {
        self.write(size, None)
    }

    /// Drawn twice, for wide and for narrow places; the stylesheet shows the one that fits.
    pub fn responsive(&self) -> String {
        let (wide, narrow) = (self.svg(Size::WIDE), self.svg(Size::NARROW));
        format!("<div class=\"tf-chart\">\n{wide}{narrow}</div>\n")
    }

    /// A file of its own, for a document that shows pictures by their address.
    pub fn document(&self, size: Size) -> String {
        self.write(size, Some(&theme::stylesheet()))
    }

    fn write(&self, size: Size, style: Option<&str>) -> String {
        let shown = self.shown();
        let layout = Layout::of(&shown, size);
        let (width, height) = (Px(size.width()), Px(size.height()));
        let mut svg = Svg::new();
        svg.open(
            "svg",
            &[
                ("xmlns", &"http://www.w3.org/2000/svg"),
                ("class", &format!("tf-plot {}", size.class())),
                ("viewBox", &format!("0 0 {width} {height}")),
                ("width", if style.is_some() { &width } else { &"100%" }),
                ("role", &"img"),
            ],
        );
        svg.text("title", &[], &self.title);
        svg.text("desc", &[], &describe::describe(self, &shown, layout.is_some()));
        if let Some(style) = style {
            svg.text("style", &[], style);
            svg.empty("rect", &[("class", &"tf-ground"), ("width", &width), ("height", &height)]);
        }
        match layout {
            Some(layout) => layout.draw(&shown, size, &mut svg),
            None => draw_nothing(size, &mut svg),
        }
        svg.finish()
    }

    fn shown(&self) -> Shown<'_> {
        let mut y = self.y.clone();
        if !self.stack.layers.is_empty() {
            y.spacing = Spacing::Linear;
        }
        Shown {
            x: &self.x,
            y,
            phases: first(&self.phases, 48),
            stack: &self.stack,
            ranges: first(&self.ranges, 16),
            lines: first(&self.lines, 24),
            dots: first(&self.dots, 16),
            thresholds: first(&self.thresholds, 8),
            marks: first(&self.marks, 8),
        }
    }
}

fn first<T>(all: &[T], count_max: usize) -> &[T] {
    &all[..all.len().min(count_max)]
}

impl Shown<'_> {
    /// What both axes must cover, if there is data.
    pub(crate) fn extents(&self) -> Option<(Extent, Extent)> {
        let lines = self.lines.iter().flat_map(|line| line.points.iter().copied());
        let dots = self.dots.iter().flat_map(|dots| dots.dots.iter().map(|dot| (dot.x, dot.y)));
        let starts = self.stack.at.iter().copied().zip(self.stack.heights());
        let has_place =
            |&(x, y): &(f64, f64)| self.x.place_for(x).is_some() && self.y.place_for(y).is_some();
        let data: Vec<(f64, f64)> = lines.chain(dots).chain(starts).filter(has_place).collect();
        let edges: Vec<(f64, f64)> = self
            .ranges
            .iter()
            .flat_map(|range| &range.bounds)
            .flat_map(|bounds| [(bounds.x, bounds.low), (bounds.x, bounds.high)])
            .filter(has_place)
            .collect();

        let ends = self.stack.buckets().map(|(_, end)| end);
        let phases = self.phases.iter().flat_map(|phase| [phase.from, phase.to]);
        let marks = self.marks.iter().map(|mark| mark.at);
        let covers = |axis: &Axis| axis.covers.map(|(low, high)| [low, high]).into_iter().flatten();
        let across = data.iter().chain(&edges).map(|&(x, _)| x);
        let across = across.chain(ends).chain(phases).chain(marks).chain(covers(self.x));

        let intervals = self.dots.iter().flat_map(|dots| &dots.dots);
        let intervals =
            intervals.filter_map(|dot| dot.interval).flat_map(|(low, high)| [low, high]);
        let thresholds = self.thresholds.iter().map(|threshold| threshold.at);
        let decisive = if data.is_empty() { &edges } else { &data };
        let up = decisive.iter().map(|&(_, y)| y);
        let up = up.chain(intervals).chain(thresholds).chain(covers(&self.y));
        let zero = (self.y.spacing == Spacing::Linear).then_some(0.0);

        if decisive.is_empty() {
            return None;
        }
        let x = Extent::of(self.x, across)?.with_room(self.x.spacing);
        let y = Extent::of(&self.y, up.chain(zero))?.with_room(self.y.spacing);
        // A fitted interval may go to infinity; it gets room, but the data decides on how much.
        let heights = edges.iter().map(|&(_, y)| y);
        Some((x, y.stretched(heights, self.y.spacing)))
    }
}

impl Layout {
    /// From the back to the front.
    fn draw(&self, shown: &Shown<'_>, size: Size, svg: &mut Svg) {
        let frame = &self.frame;
        draw_phases(shown.phases, frame, svg);
        self.draw_grid(svg);
        shown.stack.draw(frame, svg);
        shown.ranges.iter().for_each(|range| range.draw(frame, svg));

        let mut drawn: Vec<(&str, Tone, Vec<Vec<Place>>)> = Vec::new();
        for line in shown.lines {
            drawn.push((&line.name, line.tone, line.draw(frame, svg)));
        }
        for dots in shown.dots {
            drawn.push((&dots.name, dots.tone, dots.draw(frame, svg)));
        }
        let pieces: Vec<&[Place]> =
            drawn.iter().flat_map(|(.., pieces)| pieces).map(Vec::as_slice).collect();
        draw_thresholds(shown.thresholds, &pieces, frame, svg);
        draw_marks(shown.marks, self.marks_at, frame, svg);
        self.draw_axes(shown, size, svg);
        let ends = drawn.iter().filter_map(|(name, tone, pieces)| {
            let place = *pieces.last()?.last()?;
            Some(End { name, tone: *tone, place })
        });
        self.names.draw(ends.collect(), frame, svg);
    }

    fn draw_grid(&self, svg: &mut Svg) {
        let frame = &self.frame;
        let mut horizontal = |class: &str, y: f64| {
            draw_line(class, (frame.left, y), (frame.right, y), svg);
        };
        self.y_between.iter().for_each(|&y| horizontal("tf-between", y));
        self.y_ticks.iter().for_each(|tick| horizontal("tf-grid", tick.place));
        for &x in &self.x_between {
            draw_line("tf-between", (x, frame.top), (x, frame.bottom), svg);
        }
    }

    fn draw_axes(&self, shown: &Shown<'_>, size: Size, svg: &mut Svg) {
        let frame = &self.frame;
        let ground = frame.y.ground();
        draw_line("tf-edge", (frame.left, ground), (frame.right, ground), svg);
        for Tick { place, label } in &self.y_ticks {
            let label = text::shorten(label, frame.left - 6.0);
            draw_text("tf-end", (frame.left - 6.0, place + 4.0), &label, svg);
        }
        for Tick { place, label } in &self.x_ticks {
            draw_line("tf-edge", (*place, frame.bottom), (*place, frame.bottom + 4.0), svg);
            let middle = label_middle(*place, text::width(label), size.width());
            draw_text("tf-middle", (middle, frame.bottom + 17.0), label, svg);
        }
        let y_label = text::shorten(&shown.y.label, size.width() - 8.0);
        draw_text("tf-start", (2.0, self.y_label_at), &y_label, svg);
        let x_label = text::shorten(&shown.x.label, size.width() - 8.0);
        let middle = (frame.left + frame.right) / 2.0;
        let middle = label_middle(middle, text::width(&x_label), size.width());
        draw_text("tf-middle", (middle, frame.bottom + 34.0), &x_label, svg);
    }
}

/// A place that is visibly kept for data, and empty.
fn draw_nothing(size: Size, svg: &mut Svg) {
    let (width, height) = (size.width(), size.height());
    svg.empty(
        "rect",
        &[("class", &"tf-band"), ("width", &Px(width)), ("height", &Px(height)), ("rx", &Px(6.0))],
    );
    draw_text("tf-middle", (width / 2.0, height / 2.0 + 4.0), "no data", svg);
}

fn draw_line(class: &str, from: (f64, f64), to: (f64, f64), svg: &mut Svg) {
    svg.empty(
        "line",
        &[
            ("class", &class),
            ("x1", &Px(from.0)),
            ("y1", &Px(from.1)),
            ("x2", &Px(to.0)),
            ("y2", &Px(to.1)),
        ],
    );
}

fn draw_text(class: &str, (x, y): (f64, f64), words: &str, svg: &mut Svg) {
    if !words.is_empty() {
        svg.text("text", &[("class", &class), ("x", &Px(x)), ("y", &Px(y))], words);
    }
}
