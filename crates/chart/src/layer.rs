//! What a plot can show, one kind per file: what it is made of, and how it is drawn.

mod dots;
mod line;
mod mark;
mod phase;
mod range;
mod rule;
mod stack;
mod threshold;

pub use dots::{Dot, Dots, Joined};
pub use line::Line;
pub use phase::Phase;
pub use range::{Bounds, Range};
pub use rule::Rule;
pub use stack::{Layer, Stack};

pub(crate) use dots::draw_marker;
pub(crate) use line::draw_sample as draw_line_sample;
pub(crate) use mark::{draw as draw_marks, rows as mark_rows};
pub(crate) use phase::{STRIP_HEIGHT, draw as draw_phases};
pub(crate) use threshold::draw as draw_thresholds;
