//! Series whose labels are known only at run time, with a bound: a caller who invents label
//! values must not fill the memory of the service, nor that of Prometheus.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::instrument::{Counter, Instrument};
use super::names;
use super::series::Metric;

/// Handles by label values. A clone is the same family.
///
/// [`Family::with`] costs a hash and an uncontended read lock; where the values are known for
/// longer than one recording, keep the handle. One family per shard (registered once per shard,
/// under the same name) keeps cores apart; the bound holds for all of them together.
pub struct Family<M>(Arc<Inner<M>>);

struct Inner<M> {
    /// None if it was registered wrongly: then nothing is shown.
    metric: Option<Arc<Metric>>,
    labels: &'static [&'static str],
    series_max: usize,
    hasher: RandomState,
    /// By hash of the values, because a map keyed by them could not be asked without allocating.
    known: RwLock<HashMap<u64, Vec<Known<M>>>>,
    other: OnceLock<M>,
    overflow: Counter,
}

struct Known<M> {
    values: Box<[Box<str>]>,
    handle: M,
}

impl<M> Family<M> {
    /// How many series a family may have unless told otherwise.
    pub const SERIES_MAX_DEFAULT: usize = 200;

    /// A label value with more bytes is taken for one too many.
    pub const VALUE_BYTES_MAX: usize = 256;
}

impl<M: Instrument> Family<M> {
    pub(crate) fn new(
        metric: Option<Arc<Metric>>,
        labels: &'static [&'static str],
        overflow: Counter,
    ) -> Family<M> {
        Family(Arc::new(Inner {
            metric,
            labels,
            series_max: Self::SERIES_MAX_DEFAULT,
            hasher: RandomState::new(),
            known: RwLock::default(),
            other: OnceLock::new(),
            overflow,
        }))
    }

    /// The same with another bound on its series, set before the first use.
    #[must_use]
    pub fn series_max(mut self, series_max: usize) -> Family<M> {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.series_max = series_max;
        }
        self
    }

    /// The handle for these label values, in the order of the label names; missing ones are
    /// empty. When the metric has its most series, new values get the handle whose values are
    /// all `other`, and `tenfold_metric_overflow_total` counts it; and so do values that are
    /// longer than [`Family::VALUE_BYTES_MAX`].
    pub fn with(&self, values: &[&str]) -> M {
        let values = &values[..values.len().min(self.0.labels.len())];
        let hash = self.0.hasher.hash_one(values);
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &&Known<M>| {
            known.values.iter().map(|value| &**value).eq(values.iter().copied())
        };
        if let Some(known) = known.get(&hash).and_then(|candidates| candidates.iter().find(same)) {
            return known.handle.clone();
        }
        drop(known);
        self.0.meet(hash, values)
    }
}

impl<M: Instrument> Inner<M> {
    fn meet(&self, hash: u64, values: &[&str]) -> M {
        let handle = M::create();
        let Some(metric) = &self.metric else { return handle };
        let sound = values.iter().all(|value| value.len() <= Family::<M>::VALUE_BYTES_MAX);
        let render = || self.render(|index| values.get(index).copied().unwrap_or_default());
        if !sound || !metric.add_within(self.series_max, render(), handle.source()) {
            return self.other(metric);
        }
        let values = values.iter().map(|value| Box::from(*value)).collect();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(hash).or_default().push(Known { values, handle: handle.clone() });
        handle
    }

    fn other(&self, metric: &Metric) -> M {
        self.overflow.increment();
        let other = self.other.get_or_init(|| {
            let other = M::create();
            metric.add(self.render(|_| "other"), other.source());
            other
        });
        other.clone()
    }

    fn render<'a>(&self, value: impl Fn(usize) -> &'a str) -> String {
        let labels = self.labels.iter().enumerate().map(|(index, name)| (*name, value(index)));
        let labels: Vec<_> = labels.collect();
        // Wrong label names were reported at registration, and then there is no metric.
        names::render_labels(M::KIND, &labels).unwrap_or_default()
    }
}

impl<M> Clone for Family<M> {
    fn clone(&self) -> Family<M> {
        Family(self.0.clone())
    }
}

impl<M> fmt::Debug for Family<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("labels", &self.0.labels).finish_non_exhaustive()
    }
}
