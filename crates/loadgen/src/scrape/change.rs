//! What has changed between two looks at a service.

use std::collections::BTreeMap;
use std::time::Duration;

use super::machine::MachineChange;
use super::{Scrape, Series};

/// Two looks and the time between them.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) elapsed: Duration,
    pub(crate) machine: Option<MachineChange>,
    pub(crate) before: Scrape,
    pub(crate) after: Scrape,
    /// Why what the service tells is missing.
    pub(crate) trouble: Option<String>,
}

impl Change {
    /// How much a counter, all its series with these labels together, grew per second; none if
    /// the service has none.
    pub(crate) fn per_second(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let grown = self.grown(name, labels)?;
        Some(grown / self.elapsed.as_secs_f64())
    }

    /// How much a counter grew.
    pub(crate) fn grown(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let series = self.after.series(name).iter().filter(|series| series.has(labels));
        total(series.filter_map(|series| self.growth(name, series)))
    }

    /// How much each series of a counter grew per second, by the value of a label.
    pub(crate) fn by_label(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let mut grown: BTreeMap<String, f64> = BTreeMap::new();
        for series in self.after.series(name) {
            let Some(growth) = self.growth(name, series) else { continue };
            let value = series.label(label).unwrap_or_default().to_owned();
            *grown.entry(value).or_default() += growth;
        }
        let seconds = self.elapsed.as_secs_f64();
        grown.into_iter().map(|(value, grown)| (value, grown / seconds)).collect()
    }

    /// A value as it was at the end, the sum of its series with these labels.
    pub(crate) fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let series = self.after.series(name).iter().filter(|series| series.has(labels));
        total(series.filter_map(Series::amount))
    }

    /// The mean of what a histogram took in, and how many those were; none if there were none.
    pub(crate) fn mean(&self, name: &str, labels: &[(&str, &str)]) -> Option<(f64, f64)> {
        let count = self.grown(&format!("{name}_count"), labels)?;
        let sum = self.grown(&format!("{name}_sum"), labels)?;
        (count > 0.0).then_some((sum / count, count))
    }

    /// The bound of a histogram's bucket under which that share of what it took in lies;
    /// infinite if it is in the last bucket, none if there was nothing.
    pub(crate) fn quantile(&self, name: &str, labels: &[(&str, &str)], share: f64) -> Option<f64> {
        let name = format!("{name}_bucket");
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for series in self.after.series(&name).iter().filter(|series| series.has(labels)) {
            let bound = match series.label("le")? {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().ok()?,
            };
            let count = self.growth(&name, series)?;
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let (_, all) = *buckets.last()?;
        let wanted = all * share;
        buckets.iter().find(|(_, below)| all > 0.0 && *below >= wanted).map(|(bound, _)| *bound)
    }

    /// A counter that is smaller than before belongs to a process that has begun anew. None if
    /// what the service tells is no amount, before or after.
    fn growth(&self, name: &str, after: &Series) -> Option<f64> {
        let now = after.amount()?;
        let before = self.before.series(name).iter().find(|series| series.labels == after.labels);
        let Some(before) = before else { return Some(now) };
        let before = before.amount()?;
        Some(if before <= now { now - before } else { now })
    }
}

/// The sum; none if there was nothing to add.
fn total(amounts: impl Iterator<Item = f64>) -> Option<f64> {
    amounts.fold(None, |sum, amount| Some(sum.unwrap_or(0.0) + amount))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(before: &str, after: &str) -> Change {
        Change {
            elapsed: Duration::from_secs(2),
            machine: None,
            before: Scrape::parse(before),
            after: Scrape::parse(after),
            trouble: None,
        }
    }

    #[test]
    fn counters_grow_begin_anew_or_are_not_there() {
        let change =
            change("a{s=\"0\"} 10\na{s=\"1\"} 5", "a{s=\"0\"} 14\na{s=\"1\"} 2\na{s=\"2\"} 8");
        assert_eq!(change.grown("a", &[]), Some(14.0));
        assert_eq!(change.per_second("a", &[("s", "0")]), Some(2.0));
        assert_eq!(change.per_second("a", &[("s", "9")]), None);
        assert_eq!(change.per_second("b", &[]), None);
        let by_label = [("0".into(), 2.0), ("1".into(), 1.0), ("2".into(), 4.0)];
        assert_eq!(change.by_label("a", "s"), by_label);
        assert_eq!(change.gauge("a", &[]), Some(24.0));
    }

    #[test]
    fn what_is_no_amount_is_not_there() {
        for (before, after) in
            [("1", "NaN"), ("1", "-7"), ("1", "+Inf"), ("1", "1e300"), ("NaN", "9"), ("-1", "9")]
        {
            let change = change(&format!("a {before}"), &format!("a {after}"));
            assert_eq!(change.grown("a", &[]), None, "{before} {after}");
            assert_eq!(change.by_label("a", "s"), [], "{before} {after}");
        }
        let change =
            change("a{s=\"0\"} 1\na{s=\"1\"} 1", "a{s=\"0\"} NaN\na{s=\"1\"} 5\nb -3\nc NaN");
        assert_eq!(change.grown("a", &[]), Some(4.0), "of those that are one");
        assert_eq!((change.gauge("b", &[]), change.gauge("c", &[])), (None, None));
    }

    #[test]
    fn histograms_tell_what_came_in_between() {
        let page = |buckets: [u32; 3], sum: f64| {
            let [low, high, all] = buckets;
            format!(
                "h_bucket{{le=\"0.1\"}} {low}\nh_bucket{{le=\"1\"}} {high}\n\
                 h_bucket{{le=\"+Inf\"}} {all}\nh_sum {sum}\nh_count {all}"
            )
        };
        let change = change(&page([100, 100, 100], 5.0), &page([101, 109, 110], 25.0));
        assert_eq!(change.mean("h", &[]), Some((2.0, 10.0)));
        assert_eq!(change.quantile("h", &[], 0.1), Some(0.1));
        assert_eq!(change.quantile("h", &[], 0.5), Some(1.0));
        assert_eq!(change.quantile("h", &[], 0.99), Some(f64::INFINITY));
        let idle = Change { before: change.after.clone(), ..change };
        assert_eq!((idle.mean("h", &[]), idle.quantile("h", &[], 0.5)), (None, None));
    }
}
