//! Who gets in, who waits, and who is turned away, in front of anything scarce: database
//! connections, worker threads, requests in hand.
//!
//! [`Gate`] decides and knows neither clock nor task: it takes values and a time and returns
//! a value, so the same code can be replayed in virtual time. [`Entrance`] is the thin part
//! that lets tasks wait in front of a gate.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! use tenfold_context::Context;
//! use tenfold_overload::{Entrance, Limits, Refusal};
//!
//! let entrance = Entrance::new(Limits { places: 1, waiting_max: 0 });
//! let permit = entrance.enter(&Context::new()).await.unwrap();
//! let refusal = entrance.enter(&Context::new()).await.unwrap_err();
//! assert_eq!(refusal, Refusal::Full { waiting: 0, waiting_max: 0 });
//! drop(permit);
//! assert!(entrance.enter(&Context::new()).await.is_ok());
//! # }
//! ```

mod gate;
mod refusal;
mod wait;

pub use gate::{Arrival, Decision, Gate, Limits, Occupancy, Ticket, Turn};
pub use refusal::Refusal;
pub use wait::{Arrived, Entrance, InLine, Permit};
