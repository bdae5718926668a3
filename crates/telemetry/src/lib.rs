//! What a service says about itself: numbers for Prometheus.
//!
//! ```
//! use std::time::Duration;
//! use tenfold_telemetry::metrics::Registry;
//!
//! let registry = Registry::new();
//! let sold = registry.counter("store_pieces_sold_total", "Pieces sold.", &[("sale", "flash")]);
//! let wait = registry.histogram("store_wait_seconds", "How long a buyer waited.", &[]);
//! sold.increment();
//! wait.record(Duration::from_millis(3));
//! assert!(registry.encode().contains("store_pieces_sold_total{sale=\"flash\"} 1\n"));
//! ```

pub mod metrics;
