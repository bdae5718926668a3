//! The list of all metrics of a process: registers at start-up, shows at a scrape.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::encode::Encoder;
use super::family::Family;
use super::histogram::{Histogram, SizeHistogram};
use super::instrument::{Counter, Gauge, Instrument, TimeCounter};
use super::names;
use super::series::{Kind, Metric, Source};

/// All metrics of a process. A clone is the same registry.
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    metrics: Mutex<BTreeMap<String, Arc<Metric>>>,
    errors: Mutex<Vec<RegistrationError>>,
}

/// More mistakes than this are not kept: one is enough to stop a start.
const ERRORS_MAX: usize = 64;

impl Registry {
    /// An empty one.
    pub fn new() -> Registry {
        Registry::default()
    }

    /// A handle that counts events; `name` ends with `_total`.
    #[track_caller]
    pub fn counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Counter {
        self.instrument(name, help, labels)
    }

    /// A handle that adds up time; `name` ends with `_seconds_total`.
    #[track_caller]
    pub fn time_counter(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> TimeCounter {
        self.instrument(name, help, labels)
    }

    /// A handle for a number that goes up and down.
    #[track_caller]
    pub fn gauge(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Gauge {
        self.instrument(name, help, labels)
    }

    /// A handle for durations; `name` ends with `_seconds`.
    #[track_caller]
    pub fn histogram(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> Histogram {
        self.instrument(name, help, labels)
    }

    /// A handle for sizes; `name` ends with `_bytes`.
    #[track_caller]
    pub fn size_histogram(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> SizeHistogram {
        self.instrument(name, help, labels)
    }

    /// A gauge that is asked for its number at each scrape. `read` must be quick and must not
    /// use the registry. Several of the same name and labels are added up.
    #[track_caller]
    pub fn gauge_with(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let source = Source::Function(Box::new(read));
        self.register(Kind::Gauge, name, help, labels, source, Location::caller());
    }

    /// A counter that somebody else keeps and that is asked for its number at each scrape; the
    /// number never goes down. `read` must be quick and must not use the registry.
    #[track_caller]
    pub fn counter_with(
        &self,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        let source = Source::Function(Box::new(read));
        self.register(Kind::Counter, name, help, labels, source, Location::caller());
    }

    /// Handles for label values that appear at run time, at most
    /// [`Family::SERIES_MAX_DEFAULT`] series.
    #[track_caller]
    pub fn family<M: Instrument>(
        &self,
        name: &str,
        help: &str,
        labels: &'static [&'static str],
    ) -> Family<M> {
        let metric = self.metric(M::KIND, name, help, Location::caller());
        let metric = metric.and_then(|metric| {
            labels.iter().try_for_each(|label| names::check_label(M::KIND, label))?;
            Ok(metric)
        });
        let metric = self.keep_error(metric, name, Location::caller());
        let overflow = self.counter(
            "tenfold_metric_overflow_total",
            "Recordings whose labels were replaced by \"other\", because the metric has its most series.",
            &[("metric", name)],
        );
        Family::new(metric, labels, overflow)
    }

    /// Everything in Prometheus' text format 0.0.4; send it as
    /// [`CONTENT_TYPE`](super::CONTENT_TYPE).
    pub fn encode(&self) -> String {
        // The list is copied so that a slow closure does not hold up a registration.
        let metrics: Vec<_> = {
            let metrics = lock(&self.0.metrics);
            metrics.iter().map(|(name, metric)| (name.clone(), metric.clone())).collect()
        };
        let mut encoder = Encoder::default();
        for (name, metric) in metrics {
            encoder.metric(&name, &metric);
        }
        encoder.into_text()
    }

    /// Fails if anything was registered wrongly so far. Called once, at the end of a start.
    pub fn check(&self) -> Result<(), RegistrationErrors> {
        let errors = lock(&self.0.errors).clone();
        if errors.is_empty() { Ok(()) } else { Err(RegistrationErrors(errors)) }
    }

    #[track_caller]
    fn instrument<M: Instrument>(&self, name: &str, help: &str, labels: &[(&str, &str)]) -> M {
        let instrument = M::create();
        self.register(M::KIND, name, help, labels, instrument.source(), Location::caller());
        instrument
    }

    fn register(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[(&str, &str)],
        source: Source,
        place: &'static Location<'static>,
    ) {
        let added = self.metric(kind, name, help, place).and_then(|metric| {
            metric.add(names::render_labels(kind, labels)?, source);
            Ok(())
        });
        self.keep_error(added, name, place);
    }

    /// Finds the metric of that name or makes it; an error says why it cannot be this one.
    fn metric(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        place: &'static Location<'static>,
    ) -> Result<Arc<Metric>, String> {
        names::check_metric(kind, name, help)?;
        match lock(&self.0.metrics).entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                let series = RwLock::default();
                let metric = Metric { help: help.to_owned(), kind, place, series };
                Ok(entry.insert(Arc::new(metric)).clone())
            }
            Entry::Occupied(entry) => {
                let first = entry.get();
                if first.kind != kind {
                    return Err(format!(
                        "it is a {:?} at {} and a {kind:?} here",
                        first.kind, first.place
                    ));
                }
                if first.help != help {
                    return Err(format!(
                        "its help is {:?} at {} and {help:?} here",
                        first.help, first.place
                    ));
                }
                Ok(first.clone())
            }
        }
    }

    fn keep_error<T>(
        &self,
        result: Result<T, String>,
        name: &str,
        place: &'static Location<'static>,
    ) -> Option<T> {
        let reason = match result {
            Ok(value) => return Some(value),
            Err(reason) => reason,
        };
        let error = RegistrationError { name: name.to_owned(), place, reason };
        tracing::error!(
            metric = name,
            error = &error as &dyn std::error::Error,
            "metric is not shown"
        );
        let mut errors = lock(&self.0.errors);
        if errors.len() < ERRORS_MAX {
            errors.push(error);
        }
        None
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("metrics", &lock(&self.0.metrics).len()).finish()
    }
}

/// A metric that was registered wrongly and is therefore not shown.
#[derive(Clone, Debug, thiserror::Error)]
#[error("metric `{name}` at {place}: {reason}")]
pub struct RegistrationError {
    name: String,
    place: &'static Location<'static>,
    reason: String,
}

/// Every metric that was registered wrongly: a mistake in the program, one per line.
#[derive(Clone, Debug)]
pub struct RegistrationErrors(Vec<RegistrationError>);

impl RegistrationErrors {
    /// Each mistake, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &RegistrationError> {
        self.0.iter()
    }
}

impl fmt::Display for RegistrationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for RegistrationErrors {}

/// A panic in a closure leaves nothing half-done in a registry, so its lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
