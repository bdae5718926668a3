//! Settings: read, layered, validated, explained.
pub mod environment;
pub use environment::Environment;
