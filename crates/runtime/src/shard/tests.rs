//! The shards, as the rest of the process sees them.
