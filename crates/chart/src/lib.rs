//! Pictures for reports and the live page: plots as SVG, sparklines as text. No other crate is
//! needed, of ours or of others.
//!
//! A [`Plot`] is plain data. What is in it is drawn: lines over time, stacked amounts,
//! measurements with intervals and the curve that was fitted to them, with phases behind and
//! limits across.
//!
//! ```
//! use tenfold_chart::{Axis, Line, Phase, Plot, Rule, Size, Spacing, Tone, Unit, stylesheet};
//!
//! let latency = Plot {
//!     title: "Latency over time".into(),
//!     note: "At 5× good answers stay within the promise".into(),
//!     x: Axis { label: "time".into(), unit: Unit::Elapsed, ..Axis::default() },
//!     y: Axis {
//!         label: "latency".into(),
//!         unit: Unit::Duration,
//!         spacing: Spacing::Logarithmic,
//!         ..Axis::default()
//!     },
//!     phases: vec![Phase { name: "5×".into(), from: 20.0, to: 40.0 }],
//!     lines: vec![Line {
//!         name: "p99".into(),
//!         tone: Tone::Level3,
//!         points: vec![(0.0, 0.004), (20.0, 0.005), (40.0, 0.031), (60.0, 0.004)],
//!     }],
//!     thresholds: vec![Rule { name: "promise: 50 ms".into(), at: 0.05 }],
//!     ..Plot::default()
//! };
//!
//! // In a page: the stylesheet once, then any number of pictures.
//! let page = format!("<style>{}</style>{}", stylesheet(), latency.responsive());
//! assert!(page.contains("<title>Latency over time</title>"));
//!
//! // As a file of its own.
//! let file = latency.document(Size::WIDE);
//! assert!(file.starts_with("<svg"));
//! ```
//!
//! What always holds:
//! - Any input gives a picture, and nothing is drawn outside of it. What has no place is a
//!   gap; without data the picture says so.
//! - A picture is small: lines are thinned to at most four points per unit of width, the first,
//!   the lowest, the highest and the last (M4: Jugel et al., VLDB 2014; see `thin.rs`), so no
//!   spike is lost. Stacks show the mean of what falls into one unit.
//! - It has no colours, only classes: light, dark and print are the stylesheet's.
//! - It tells its content in words, in `<title>` and `<desc>`.

mod axis;
mod describe;
mod frame;
mod layer;
mod legend;
mod plot;
mod scale;
mod size;
mod sparkline;
mod svg;
mod text;
mod theme;
mod thin;
mod ticks;
mod unit;

pub use axis::{Axis, Spacing};
pub use layer::{Bounds, Dot, Dots, Joined, Layer, Line, Phase, Range, Rule, Stack};
pub use plot::Plot;
pub use size::Size;
pub use sparkline::{Glyphs, sparkline};
pub use theme::{Tone, stylesheet};
pub use unit::Unit;
