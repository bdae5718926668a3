//! Metrics that cost a few nanoseconds to record: each handle is a cell of its own, and the
//! cells of one series are added up only when somebody scrapes.
//!
//! A handle ([`Counter`], [`Gauge`], [`Histogram`] …) is registered at start-up and kept.
//! Registering the same name and labels again gives another handle of the same series with a
//! cell of its own: one per shard, so that no two cores write the same cache line. When the
//! last clone of a handle is gone, what it counted stays in its series.
//!
//! Mistakes (a wrong name, one name with two types or two helps) never panic and never stop
//! the caller: the handle works but is not shown, an error is logged, and
//! [`Registry::check`], which a service calls once at the end of its start, names both places.

mod encode;
mod family;
mod histogram;
mod instrument;
mod layout;
mod names;
mod process;
mod registry;
mod series;
#[cfg(test)]
mod tests;

pub use encode::CONTENT_TYPE;
pub use family::Family;
pub use histogram::{Histogram, SizeHistogram, Snapshot};
pub use instrument::{Counter, Gauge, Instrument, TimeCounter};
pub use process::register_process;
pub use registry::{RegistrationError, RegistrationErrors, Registry};
