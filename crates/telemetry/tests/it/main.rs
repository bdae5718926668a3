//! What other programs must be able to read: metrics through the real `promtool`.

mod promtool;
