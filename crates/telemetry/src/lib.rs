//! What a service says about itself: lines for people and their tools, numbers for Prometheus.
//!
//! Both are made so that nobody turns them off under load: a metric is an atomic addition on a
//! cache line of its own, and a log line is formatted once, into memory of the thread's own;
//! neither waits for anything outside.
//!
//! ```
//! use std::time::Duration;
//! use tenfold_telemetry::log::{self, LogSettings, LogTarget};
//! use tenfold_telemetry::metrics::Registry;
//!
//! let guard = log::start(&LogSettings::default(), "store", LogTarget::Stdout)?;
//! tracing::info!(order = 17, "order placed");
//!
//! let registry = Registry::new();
//! guard.register(&registry);
//! let sold = registry.counter("store_pieces_sold_total", "Pieces sold.", &[("sale", "flash")]);
//! let wait = registry.histogram("store_wait_seconds", "How long a buyer waited.", &[]);
//! sold.increment();
//! wait.record(Duration::from_millis(3));
//! assert!(registry.encode().contains("store_pieces_sold_total{sale=\"flash\"} 1\n"));
//! # Ok::<(), log::StartLogError>(())
//! ```

pub mod log;
pub mod metrics;
