//! The threads of a service and its life.

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
pub use signal::{Signal, Signals};
