//! The threads of a service and its life: one event loop per core, CPU work beside them, parts
//! that start in order and stop in reverse, and the signal that says when.
//!
//! ```
//! use std::time::Duration;
//!
//! use tenfold_context::Context;
//! use tenfold_runtime::{Lifecycle, Offload, RuntimeSettings, Shards};
//! use tenfold_telemetry::metrics::Registry;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (settings, registry) = (RuntimeSettings::default(), Registry::new());
//! let mut lifecycle = Lifecycle::new();
//!
//! // CPU work has threads of its own and a bounded line in front of them.
//! let offload = Offload::start(&settings, &registry)?;
//! let stopped = offload.clone();
//! lifecycle.started("offload", settings.stop_timeout, async move |deadline| {
//!     stopped.stop(deadline).await
//! });
//!
//! // Everything else runs on shards: a connection is given to one and stays there.
//! let shards = Shards::start(&settings, &registry)?;
//! let shard = shards.handles()[0].clone();
//! lifecycle.started("shards", settings.stop_timeout, async move |deadline| {
//!     shards.stop(deadline).await
//! });
//!
//! let sum = shard.run(async move {
//!     let context = Context::new();
//!     offload.run(&context, || (1..=1000_u64).sum::<u64>()).await
//! });
//! assert_eq!(sum.await??, 500_500);
//!
//! let report = lifecycle.stop().await;
//! assert!(report.is_clean(), "{report}");
//! # Ok(())
//! # }
//! ```
//!
//! [`Signals`] says when to stop; [`Shards::failed`] says when there is no use in going on.

mod lifecycle;
mod offload;
mod panic;
mod settings;
mod shard;
mod signal;

pub use lifecycle::{Lifecycle, StartFailed, StopOutcome, StopReport, StoppedPart};
pub use offload::{Offload, OffloadError, StartOffloadError, StopOffloadError};
pub use settings::RuntimeSettings;
pub use shard::{
    Connected, ShardDied, ShardGone, ShardHandle, Shards, StartShardsError, StopShardsError,
};
pub use signal::{Hangups, Signal, Signals};
