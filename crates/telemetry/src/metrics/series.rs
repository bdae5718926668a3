//! One line of the output and where its number comes from: the cells of its handles, added up.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, PoisonError, RwLock};

use super::histogram::{Buckets, Snapshot};
use super::instrument::Cell;

/// What a metric measures, and so how its numbers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events.
    Counter,
    /// Nanoseconds, shown as seconds.
    TimeCounter,
    /// A signed number.
    Gauge,
    /// Durations.
    Histogram,
    /// Bytes.
    SizeHistogram,
}

impl Kind {
    /// The word of the text format.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Kind::Counter | Kind::TimeCounter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram | Kind::SizeHistogram => "histogram",
        }
    }
}

/// Where a number comes from.
pub enum Source {
    /// A handle that counts.
    Cell(Arc<Cell>),
    /// A handle that keeps a distribution.
    Buckets(Arc<Buckets>),
    /// A closure that is asked at each scrape.
    Function(Box<dyn Fn() -> f64 + Send + Sync>),
}

impl Source {
    /// Whether nobody else holds it any more: its number cannot change.
    fn is_final(&mut self) -> bool {
        match self {
            Source::Cell(cell) => Arc::get_mut(cell).is_some(),
            Source::Buckets(buckets) => Arc::get_mut(buckets).is_some(),
            Source::Function(_) => false,
        }
    }
}

/// What a series shows at a scrape.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Sum of cells, wrapping.
    Raw(u64),
    /// Where a closure is involved: in the shown unit.
    Float(f64),
    /// A distribution.
    Distribution(Snapshot),
}

/// A metric: a name, what it means, and its series by their labels.
pub(crate) struct Metric {
    pub(crate) help: String,
    pub(crate) kind: Kind,
    /// Where it was registered first.
    pub(crate) place: &'static Location<'static>,
    /// By labels as they are shown, `route="/a",status="200"`, so that the output is sorted.
    pub(crate) series: RwLock<BTreeMap<String, Series>>,
}

impl Metric {
    /// Adds a source to the series with these labels.
    pub(crate) fn add(&self, labels: String, source: Source) {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        series.entry(labels).or_default().add(source, self.kind);
    }

    /// The same, unless it would be one series more than `series_max`: then it says no.
    pub(crate) fn add_within(&self, series_max: usize, labels: String, source: Source) -> bool {
        {
            // Under a flood of new labels, all but the first are turned away under the read lock.
            let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
            if series.len() >= series_max && !series.contains_key(&labels) {
                return false;
            }
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        if series.len() >= series_max && !series.contains_key(&labels) {
            return false;
        }
        series.entry(labels).or_default().add(source, self.kind);
        true
    }
}

/// All sources of one series.
#[derive(Default)]
pub(crate) struct Series {
    sources: Vec<Source>,
    /// What handles that are gone had counted.
    retired: Option<Value>,
}

impl Series {
    /// Adds a source, and takes the final number of those whose handles are gone, so that
    /// registering again and again does not grow.
    fn add(&mut self, source: Source, kind: Kind) {
        for finished in self.sources.extract_if(.., Source::is_final) {
            let value = finished.value();
            self.retired = Some(match self.retired.take() {
                Some(before) => before.plus(value, kind),
                None => value,
            });
        }
        self.sources.push(source);
    }

    /// The sum of all sources.
    pub(crate) fn value(&self, kind: Kind) -> Option<Value> {
        let sources = self.sources.iter().map(Source::value);
        self.retired.iter().cloned().chain(sources).reduce(|sum, value| sum.plus(value, kind))
    }
}

impl Source {
    fn value(&self) -> Value {
        match self {
            Source::Cell(cell) => Value::Raw(cell.get()),
            Source::Buckets(buckets) => Value::Distribution(buckets.snapshot()),
            Source::Function(function) => Value::Float(function()),
        }
    }
}

impl Value {
    fn plus(self, other: Value, kind: Kind) -> Value {
        match (self, other) {
            (Value::Raw(one), Value::Raw(other)) => Value::Raw(one.wrapping_add(other)),
            (Value::Distribution(mut one), Value::Distribution(other)) => {
                one.merge(&other);
                Value::Distribution(one)
            }
            (one, other) => Value::Float(one.float(kind) + other.float(kind)),
        }
    }

    /// In the unit that is shown.
    pub(crate) fn float(&self, kind: Kind) -> f64 {
        match (self, kind) {
            (Value::Raw(raw), Kind::TimeCounter) => *raw as f64 / 1e9,
            (Value::Raw(raw), Kind::Gauge) => raw.cast_signed() as f64,
            (Value::Raw(raw), _) => *raw as f64,
            (Value::Float(float), _) => *float,
            (Value::Distribution(snapshot), _) => snapshot.sum(),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Cell(cell) => cell.fmt(f),
            Source::Buckets(buckets) => buckets.fmt(f),
            Source::Function(_) => f.write_str("Function"),
        }
    }
}
