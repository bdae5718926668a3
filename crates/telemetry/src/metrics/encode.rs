//! Writes Prometheus' text format 0.0.4.
//!
//! Ours rather than a library's: the official `prometheus-client` writes OpenMetrics text, of
//! whose counters `promtool check metrics` says "no help text". The format is this one page:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::sync::PoisonError;

use super::histogram::Snapshot;
use super::names;
use super::series::{Kind, Metric, Value};

/// The content type of what [`Registry::encode`](super::Registry::encode) returns.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Default)]
pub(crate) struct Encoder(String);

impl Encoder {
    pub(crate) fn metric(&mut self, name: &str, metric: &Metric) {
        let series = metric.series.read().unwrap_or_else(PoisonError::into_inner);
        if series.is_empty() {
            return;
        }
        self.text(&["# HELP ", name, " ", &names::escape_help(&metric.help), "\n"]);
        self.text(&["# TYPE ", name, " ", metric.kind.word(), "\n"]);
        for (labels, series) in &*series {
            match series.value(metric.kind) {
                Some(Value::Distribution(snapshot)) => self.distribution(name, labels, &snapshot),
                Some(value) => self.sample(name, "", labels, "", &number(&value, metric.kind)),
                None => {}
            }
        }
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    fn distribution(&mut self, name: &str, labels: &str, snapshot: &Snapshot) {
        for (bound, count) in snapshot.cumulative() {
            let bound = format!("le=\"{}\"", float(bound));
            self.sample(name, "_bucket", labels, &bound, itoa::Buffer::new().format(count));
        }
        let mut count = itoa::Buffer::new();
        let count = count.format(snapshot.count());
        self.sample(name, "_bucket", labels, "le=\"+Inf\"", count);
        self.sample(name, "_sum", labels, "", &float(snapshot.sum()));
        self.sample(name, "_count", labels, "", count);
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &str, label: &str, value: &str) {
        self.text(&[name, suffix]);
        match (labels, label) {
            ("", "") => {}
            ("", one) | (one, "") => self.text(&["{", one, "}"]),
            (labels, label) => self.text(&["{", labels, ",", label, "}"]),
        }
        self.text(&[" ", value, "\n"]);
    }

    fn text(&mut self, parts: &[&str]) {
        self.0.extend(parts.iter().copied());
    }
}

fn number(value: &Value, kind: Kind) -> String {
    match (value, kind) {
        (Value::Raw(raw), Kind::Counter) => raw.to_string(),
        (Value::Raw(raw), Kind::Gauge) => raw.cast_signed().to_string(),
        (value, kind) => float(value.float(kind)),
    }
}

/// The shortest text that reads back as the same number; Rust's word for infinity is not theirs.
fn float(value: f64) -> String {
    if value == f64::INFINITY {
        return "+Inf".into();
    }
    if value == f64::NEG_INFINITY {
        return "-Inf".into();
    }
    value.to_string()
}
