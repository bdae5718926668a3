//! Says what is what: with a name at the end of each line where that is possible, because then
//! nobody has to look back and forth, and else with a legend above the picture.

use crate::{
    Joined, Tone,
    frame::Frame,
    layer::{draw_line_sample, draw_marker},
    plot::Shown,
    scale::Scale,
    size::Size,
    svg::{Path, Px, Svg},
    text::{self, LINE_HEIGHT},
    thin::Place,
};

/// Where names stand.
pub(crate) enum Names {
    /// At the ends of lines; the widest is so wide.
    AtEnds(f64),
    /// Above, in rows.
    Above(Vec<Vec<Entry>>),
}

/// One name in the legend.
pub(crate) struct Entry {
    name: String,
    sample: Option<(Sample, Tone)>,
    /// Where it begins.
    left: f64,
}

/// What stands before a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sample {
    Line,
    Dots,
    JoinedDots,
    Area,
    Range,
}

/// The end of a drawn line.
pub(crate) struct End<'a> {
    pub(crate) name: &'a str,
    pub(crate) tone: Tone,
    pub(crate) place: Place,
}

pub(crate) const ROW_HEIGHT: f64 = 20.0;
const SAMPLE_WIDTH: f64 = 20.0;
/// From one name at the end of a line to the next.
const END_HEIGHT: f64 = LINE_HEIGHT - 2.0;
/// From the edge of the frame to a name.
const LEADER_WIDTH: f64 = 14.0;

impl Names {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::AtEnds(_) => 0,
            Self::Above(rows) => rows.len(),
        }
    }

    /// What they need to the right of the frame.
    pub(crate) fn margin(&self) -> f64 {
        match self {
            Self::AtEnds(width) => width + LEADER_WIDTH + 4.0,
            Self::Above(_) => 0.0,
        }
    }

    pub(crate) fn draw(&self, ends: Vec<End<'_>>, frame: &Frame, svg: &mut Svg) {
        match self {
            Self::AtEnds(_) => draw_ends(ends, frame, svg),
            Self::Above(rows) => rows.iter().enumerate().for_each(|(row, entries)| {
                let baseline = ROW_HEIGHT * (row as f64 + 1.0) - 2.0;
                entries.iter().for_each(|entry| entry.draw(baseline, svg));
            }),
        }
    }
}

/// Decides; `relative` says where on the horizontal axis from 0 to 1 a number is.
pub(crate) fn arrange(shown: &Shown<'_>, relative: &Scale, size: Size) -> Names {
    let named = named(shown);
    let widest = named.iter().map(|(name, ..)| text::width(name)).fold(0.0, f64::max);
    let fits_in_width = widest <= size.width() * 0.22;
    let fits_in_height = named.len() as f64 * END_HEIGHT <= size.height() * 0.4;
    if fits_in_width && fits_in_height && all_end_at_the_edge(shown, relative) {
        return Names::AtEnds(widest);
    }
    // Further names are counted, not shown: a quarter of the picture is enough for names.
    let rows_max = (size.height() / 4.0 / ROW_HEIGHT) as usize;
    Names::Above(flow(named, rows_max, size.width()))
}

/// What has a name, in the order in which it stands in the legend.
fn named<'a>(shown: &Shown<'a>) -> Vec<(&'a str, Sample, Tone)> {
    let stack = shown.stack.layers.iter().map(|it| (it.name.as_str(), Sample::Area, it.tone));
    let dots = shown.dots.iter().map(|it| {
        let sample = if it.joined == Joined::Yes { Sample::JoinedDots } else { Sample::Dots };
        (it.name.as_str(), sample, it.tone)
    });
    let lines = shown.lines.iter().map(|it| (it.name.as_str(), Sample::Line, it.tone));
    let ranges = shown.ranges.iter().map(|it| (it.name.as_str(), Sample::Range, it.tone));
    stack.chain(dots).chain(lines).chain(ranges).filter(|(name, ..)| !name.is_empty()).collect()
}

/// A name at the edge would be taken for the end of a line that is elsewhere.
fn all_end_at_the_edge(shown: &Shown<'_>, relative: &Scale) -> bool {
    let only_lines = shown.stack.layers.iter().all(|layer| layer.name.is_empty())
        && shown.ranges.iter().all(|range| range.name.is_empty())
        && shown.dots.iter().all(|dots| dots.name.is_empty() || dots.joined == Joined::Yes);
    let ends_at_the_edge = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        points
            .filter(|&(_, y)| shown.y.place_for(y).is_some())
            .filter_map(|(x, _)| relative.place(x))
            .any(|place| place >= 0.97)
    };
    only_lines
        && (shown.lines.iter().filter(|line| !line.name.is_empty()))
            .all(|line| ends_at_the_edge(&mut line.points.iter().copied()))
        && (shown.dots.iter().filter(|dots| !dots.name.is_empty()))
            .all(|dots| ends_at_the_edge(&mut dots.dots.iter().map(|dot| (dot.x, dot.y))))
}

/// From left to right, then the next row.
fn flow(named: Vec<(&str, Sample, Tone)>, rows_max: usize, width: f64) -> Vec<Vec<Entry>> {
    let mut rows: Vec<Vec<Entry>> = Vec::new();
    let mut left = f64::INFINITY;
    let count = named.len();
    // In the last row, what says how many are left out needs room too.
    let more_width = text::width(&format!("+{count} more")) + 8.0;
    for (index, (name, sample, tone)) in named.into_iter().enumerate() {
        let name = text::shorten(name, width - SAMPLE_WIDTH - 24.0 - more_width);
        let needed = SAMPLE_WIDTH + 6.0 + text::width(&name);
        let reserved = if rows.len() == rows_max && index + 1 < count { more_width } else { 0.0 };
        if left + needed + reserved > width - 4.0 {
            if rows.len() == rows_max {
                let name = format!("+{} more", count - index);
                rows[rows_max - 1].push(Entry { name, sample: None, left });
                break;
            }
            rows.push(Vec::new());
            left = 2.0;
        }
        let row = rows.last_mut().expect("the first name does not fit right of infinity");
        row.push(Entry { name, sample: Some((sample, tone)), left });
        left += needed + 16.0;
    }
    rows
}

impl Entry {
    fn draw(&self, baseline: f64, svg: &mut Svg) {
        let mut left = self.left;
        if let Some((sample, tone)) = self.sample {
            sample.draw(tone, (left, baseline - 4.0), svg);
            left += SAMPLE_WIDTH + 6.0;
        }
        let at: [(&str, &dyn std::fmt::Display); 3] =
            [("class", &"tf-name"), ("x", &Px(left)), ("y", &Px(baseline))];
        svg.text("text", &at, &self.name);
    }
}

impl Sample {
    fn draw(self, tone: Tone, (x, y): Place, svg: &mut Svg) {
        if matches!(self, Self::Line | Self::JoinedDots) {
            draw_line_sample(tone, (x, y), SAMPLE_WIDTH, svg);
        }
        if matches!(self, Self::Dots | Self::JoinedDots) {
            draw_marker(tone, (x + SAMPLE_WIDTH / 2.0, y), svg);
        }
        let class = match self {
            Self::Area => "tf-area",
            Self::Range => "tf-range",
            _ => return,
        };
        svg.empty(
            "rect",
            &[
                ("class", &format!("{class} {}", tone.class())),
                ("x", &Px(x + 4.0)),
                ("y", &Px(y - 6.0)),
                ("width", &Px(12.0)),
                ("height", &Px(12.0)),
            ],
        );
    }
}

/// Each name as near to its line as the others let it, with a thin line that leads to it.
fn draw_ends(mut ends: Vec<End<'_>>, frame: &Frame, svg: &mut Svg) {
    ends.retain(|end| !end.name.is_empty());
    ends.sort_by(|one, other| one.place.1.total_cmp(&other.place.1));
    let middles = spread(ends.iter().map(|end| end.place.1), frame.top, frame.bottom);
    for (end, middle) in ends.iter().zip(middles) {
        let mut leader = Path::default();
        leader.move_to((end.place.0 + 3.0, end.place.1));
        leader.line_to((frame.right + LEADER_WIDTH - 3.0, middle));
        let class = format!("tf-leader {}", end.tone.class());
        svg.empty("path", &[("class", &class), ("d", &leader)]);
        let (left, baseline) = (Px(frame.right + LEADER_WIDTH), Px(middle + 4.0));
        svg.text("text", &[("class", &"tf-name"), ("x", &left), ("y", &baseline)], end.name);
    }
}

/// Moves what is too close apart, downwards first and back up where that leaves the frame.
fn spread(wanted: impl Iterator<Item = f64>, top: f64, bottom: f64) -> Vec<f64> {
    let mut middles: Vec<f64> = wanted.collect();
    let mut least = top + 4.0;
    for middle in &mut middles {
        *middle = middle.max(least);
        least = *middle + END_HEIGHT;
    }
    let mut most = bottom;
    for middle in middles.iter_mut().rev() {
        *middle = middle.min(most);
        most = *middle - END_HEIGHT;
    }
    middles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_moved_apart_and_stay_inside() {
        assert_eq!(spread([50.0, 100.0].into_iter(), 0.0, 200.0), [50.0, 100.0]);
        assert_eq!(spread([50.0, 51.0, 52.0].into_iter(), 0.0, 200.0), [50.0, 64.0, 78.0]);
        assert_eq!(spread([199.0, 200.0].into_iter(), 0.0, 200.0), [186.0, 200.0]);
        assert_eq!(spread([0.0].into_iter(), 0.0, 200.0), [4.0]);
    }

    #[test]
    fn a_legend_has_few_rows_and_counts_the_rest() {
        let named = vec![("a long name indeed", Sample::Line, Tone::Good); 100];
        let rows = flow(named, 3, 360.0);
        assert_eq!(rows.len(), 3);
        let shown = rows.iter().flatten().filter(|entry| entry.sample.is_some()).count();
        let last = rows.last().and_then(|row| row.last()).unwrap();
        assert_eq!(last.name, format!("+{} more", 100 - shown));
        assert!(last.left + text::width(&last.name) <= 360.0);
    }
}
