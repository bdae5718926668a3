//! What travels with a request or a job through every part of Tenfold: until when it is
//! worth doing, how much it matters, whose it is, and which try this is.
//!
//! ```
//! use std::time::Duration;
//! use tenfold_context::{Context, Deadline, Priority};
//!
//! let context = Context::new()
//!     .with_deadline(Deadline::after(Duration::from_secs(2)))
//!     .with_priority(Priority::Critical);
//! assert!(context.deadline().remaining() <= Duration::from_secs(2));
//! ```
//!
//! The context of the running task is found with [`Context::current`] wherever no argument
//! reaches, such as in a log line.

mod alarm;
pub mod aside;
pub mod clock;
mod context;
mod deadline;
mod identity;
mod priority;
mod request_id;

pub use alarm::{Alarm, Late, Until};
pub use clock::Moment;
pub use context::Context;
pub use deadline::Deadline;
pub use identity::Identity;
pub use priority::{ParsePriorityError, Priority};
pub use request_id::RequestId;
