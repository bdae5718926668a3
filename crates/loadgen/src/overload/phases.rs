//! What each phase of an overload has shown.

use hdrhistogram::Histogram;

use crate::ending::Ending;
use crate::outcome::Outcome;
use crate::overload::{AFTER, Stretch};
use crate::probe::{is_generators_fault, quantile_ms};
use crate::record::ClassRecord;
use crate::settle::Unloaded;

/// What became of one multiple of the limit.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseReport {
    /// `2x`, or `after`.
    pub name: String,
    /// The multiple of the limit that was intended.
    pub times: f64,
    /// Requests per second that were offered, retries included.
    pub offered_per_second: f64,
    /// Good answers per second.
    pub goodput_per_second: f64,
    /// The same as a share of the most that any multiple had, or of the limit, if that is more and
    /// was not itself offered.
    pub goodput_to_peak: f64,
    /// What became of each class, in the scenario's order.
    pub by_class: Vec<ClassReport>,
    /// Latencies of good answers; none if there was none.
    pub good: Option<Latencies>,
    /// Latencies of refusals, 429 and 503; none if there was none.
    pub refused: Option<Latencies>,
    /// How many ended how, in the order of [`Ending::ALL`], retries included.
    pub endings: [u64; Ending::ALL.len()],
    /// How many were intended, retries included; without those that had no ending yet when the load
    /// was stopped.
    pub intended: u64,
    /// Of these, retries.
    pub retries: u64,
    /// Of these, how many were not sent, because all connections waited for the service or the
    /// generator could not.
    pub not_offered: u64,
    /// Whether the generator kept up: what was not offered, or late, was so because of the
    /// service.
    pub valid: bool,
}

/// How many of a class got what they wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassReport {
    /// The class.
    pub name: String,
    /// The share of those who asked that got it, at the first attempt or a later one; 1 if nobody
    /// asked.
    pub success_share: f64,
}

/// Percentiles, in milliseconds, from the intended moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latencies {
    /// Half of them were at least this fast.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1000.
    pub p999_ms: f64,
}

impl PhaseReport {
    /// How many ended like that.
    pub fn count(&self, ending: Ending) -> u64 {
        self.endings[ending as usize]
    }
}

impl Latencies {
    /// Percentiles of a histogram in microseconds; none if it is empty.
    pub fn of(latencies_us: &Histogram<u64>) -> Option<Latencies> {
        let at = |quantile| quantile_ms(latencies_us, quantile);
        Some(Latencies {
            p50_ms: at(0.5)?,
            p90_ms: at(0.9)?,
            p99_ms: at(0.99)?,
            p999_ms: at(0.999)?,
        })
    }
}

pub(super) fn reports(
    outcome: &Outcome,
    stretches: &[Stretch],
    limit_per_second: f64,
    unloaded: &Unloaded,
) -> Vec<PhaseReport> {
    let mut reports: Vec<PhaseReport> = stretches
        .iter()
        .enumerate()
        .map(|(number, stretch)| report(outcome, number, stretch, unloaded))
        .collect();
    if outcome.stopped {
        reports.retain(|report| report.intended > 0);
    }
    let peak = peak(multiples(&reports), limit_per_second);
    for report in &mut reports {
        report.goodput_to_peak = report.goodput_per_second / peak.max(f64::MIN_POSITIVE);
    }
    reports
}

/// The multiples of the limit, without the rest after them.
pub(crate) fn multiples(phases: &[PhaseReport]) -> &[PhaseReport] {
    match phases.split_last() {
        Some((last, multiples)) if last.name == AFTER => multiples,
        _ => phases,
    }
}

/// The most that a service has shown, or that it is said to hold, where nothing as low was offered:
/// one that has collapsed already would be measured by its ruins.
pub(super) fn peak(multiples: &[PhaseReport], limit_per_second: f64) -> f64 {
    let best = multiples.iter().map(|phase| phase.goodput_per_second).fold(0.0, f64::max);
    let was_at_limit = multiples.iter().any(|phase| phase.times <= 1.0);
    if was_at_limit { best } else { best.max(limit_per_second) }
}

fn report(outcome: &Outcome, number: usize, stretch: &Stretch, unloaded: &Unloaded) -> PhaseReport {
    let tally = outcome.record.phase(number);
    let classes = &outcome.record.phases[number].classes;
    // A load that was ended early has offered its last phase for a part of its time only.
    let seconds = match outcome.stopped {
        true => outcome.elapsed.saturating_sub(outcome.phases[number].from).min(stretch.length),
        false => stretch.length,
    };
    let per_second = |count: u64| count as f64 / seconds.as_secs_f64().max(1e-9);
    let latencies = |ending: Ending| tally.latency_us(ending).and_then(Latencies::of);
    let by_class = outcome.classes.iter().zip(classes).map(|(name, class)| ClassReport {
        name: name.clone(),
        success_share: success_share(class),
    });
    PhaseReport {
        name: stretch.name.clone(),
        times: stretch.times,
        offered_per_second: per_second(tally.offered()),
        goodput_per_second: per_second(tally.count(Ending::Good)),
        goodput_to_peak: 0.0,
        by_class: by_class.collect(),
        good: latencies(Ending::Good),
        refused: latencies(Ending::Refused),
        endings: Ending::ALL.map(|ending| tally.count(ending)),
        intended: tally.intended - tally.unfinished,
        retries: classes.iter().map(|class| class.retries.intended).sum(),
        not_offered: tally.not_offered,
        valid: !is_generators_fault(outcome, number..number + 1, unloaded.p50_ms),
    }
}

/// A retry may succeed in a later phase than the one in which it was first asked.
fn success_share(class: &ClassRecord) -> f64 {
    match class.first.intended - class.first.unfinished {
        0 => 1.0,
        asked => (class.satisfied as f64 / asked as f64).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    /// Phases of a service that does that much at these multiples of 100 per second.
    fn phases(did: &[(f64, f64)]) -> Vec<PhaseReport> {
        let sample = &sample::report().overload.unwrap().phases[0];
        let phase = |&(times, goodput_per_second): &(f64, f64)| PhaseReport {
            name: format!("{times}x"),
            times,
            goodput_per_second,
            ..sample.clone()
        };
        did.iter().map(phase).collect()
    }

    #[test]
    fn the_best_is_measured_where_it_could_be_and_the_limit_where_it_could_not() {
        for (did, best) in [
            (&[(1.0, 98.0), (5.0, 40.0)][..], 98.0),
            (&[(1.0, 90.0), (2.0, 110.0)], 110.0),
            // Nothing was offered but what it collapses under.
            (&[(5.0, 15.0)], 100.0),
            (&[(2.0, 130.0), (5.0, 15.0)], 130.0),
        ] {
            assert_eq!(peak(&phases(did), 100.0), best, "{did:?}");
        }
    }

    #[test]
    fn the_rest_is_no_multiple_and_may_be_missing() {
        let mut phases = phases(&[(1.0, 90.0), (2.0, 80.0)]);
        assert_eq!(multiples(&phases).len(), 2, "it was stopped before");
        AFTER.clone_into(&mut phases[1].name);
        assert_eq!(multiples(&phases).len(), 1);
        assert_eq!(multiples(&[]).len(), 0);
    }
}
