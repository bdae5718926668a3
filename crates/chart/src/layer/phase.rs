//! Bands behind everything else that say what was done at that time: 1×, 2×, 5×, recovery.

use crate::{
    frame::Frame,
    svg::{Px, Svg},
    text,
};

/// A named stretch of the horizontal axis.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Phase {
    /// Stands above the band, shortened where the band is narrow.
    pub name: String,
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
}

/// The height of the names above the bands.
pub(crate) const STRIP_HEIGHT: f64 = 18.0;

pub(crate) fn draw(phases: &[Phase], frame: &Frame, svg: &mut Svg) {
    let top = frame.top - STRIP_HEIGHT;
    let mut named: Vec<(f64, f64)> = Vec::new();
    for (index, phase) in phases.iter().enumerate() {
        let Some((left, right)) = frame.x.place(phase.from).zip(frame.x.place(phase.to)) else {
            continue;
        };
        if right - left < 1.0 {
            continue;
        }
        svg.open("g", &[]);
        svg.text("title", &[], &phase.name);
        // Every second one is tinted, which separates them without a line.
        if index % 2 == 0 {
            svg.empty(
                "rect",
                &[
                    ("class", &"tf-band"),
                    ("x", &Px(left)),
                    ("y", &Px(top)),
                    ("width", &Px(right - left)),
                    ("height", &Px(frame.bottom - top)),
                ],
            );
        }
        let name = text::shorten(&phase.name, right - left - 4.0);
        let middle = (left + right) / 2.0;
        let half = text::width(&name) / 2.0;
        // Phases that run at the same time share a strip: the first one is named.
        let is_free = named.iter().all(|&(from, to)| middle + half < from || to < middle - half);
        if !name.is_empty() && is_free {
            named.push((middle - half, middle + half));
            let (x, baseline) = (Px(middle), Px(frame.top - 5.0));
            svg.text("text", &[("class", &"tf-middle"), ("x", &x), ("y", &baseline)], &name);
        }
        svg.close();
    }
}
