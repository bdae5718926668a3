//! The threads of a service and its life.

mod panic;
mod settings;
mod shard;

pub use settings::RuntimeSettings;
pub use shard::{
    Connected, ShardDied, ShardGone, ShardHandle, Shards, StartShardsError, StopShardsError,
};
