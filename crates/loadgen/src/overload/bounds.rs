//! What is demanded of a service past its limit, and whether it does as much.

use std::time::Duration;

use crate::overload::{OverloadReport, PhaseReport};
use crate::report::words;
use crate::scenario::Thresholds;

/// What fails an overload that is otherwise valid. Whatever is `None` is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OverloadBounds {
    /// The least that may be left of the best goodput at any multiple, between 0 and 1.
    pub goodput_to_peak_min: Option<f64>,
    /// The longest that a recovery may take.
    pub recovery_max: Option<Duration>,
}

impl OverloadReport {
    /// What it crosses, a sentence each without its full stop: these bounds, and the scenario's
    /// thresholds where the load is the limit itself, in the phase `1x`; past that a service may
    /// do less. Nothing of an overload that was stopped early.
    pub fn crossed(&self, thresholds: &Thresholds, bounds: &OverloadBounds) -> Vec<String> {
        if self.stopped {
            return Vec::new();
        }
        let mut crossed = self.crossed_at_the_limit(thresholds);
        crossed.extend(bounds.goodput(self.multiples()));
        crossed.extend(bounds.recovery(self));
        crossed
    }

    /// The multiples of the limit, without the rest after them.
    fn multiples(&self) -> &[PhaseReport] {
        super::multiples(&self.phases)
    }

    fn crossed_at_the_limit(&self, thresholds: &Thresholds) -> Vec<String> {
        let at_limit = self.multiples().iter().position(|phase| phase.times == 1.0);
        let Some(at_limit) = at_limit else { return Vec::new() };
        let mut outcome = self.outcome.clone();
        outcome.record.phases = vec![outcome.record.phases.swap_remove(at_limit)];
        outcome.crossed(thresholds).iter().map(|one| format!("at 1x: {one}")).collect()
    }
}

impl OverloadBounds {
    fn goodput(&self, multiples: &[PhaseReport]) -> Option<String> {
        let min = self.goodput_to_peak_min?;
        let least = multiples
            .iter()
            .min_by(|one, other| one.goodput_to_peak.total_cmp(&other.goodput_to_peak))?;
        (least.goodput_to_peak < min).then(|| {
            format!(
                "goodput at {} is {} of its best, {} was demanded",
                least.name,
                words::percent(least.goodput_to_peak),
                words::percent(min)
            )
        })
    }

    fn recovery(&self, report: &OverloadReport) -> Option<String> {
        let max = self.recovery_max?.as_secs_f64();
        let took = match report.recovery.seconds {
            Some(seconds) if seconds <= max => return None,
            Some(seconds) => format!("recovery took {}", words::seconds(seconds)),
            None => "recovery was not seen".to_owned(),
        };
        Some(format!("{took}, {} at most was demanded", words::seconds(max)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overload::Recovery;
    use crate::report::sample;
    use crate::scenario::Threshold;
    use crate::settle::Unloaded;

    /// An imagined service that keeps 93.6 % of its best goodput, and all of it at its limit.
    fn report() -> OverloadReport {
        let phases = sample::report().overload.unwrap().phases;
        let names: Vec<_> = phases.iter().map(|phase| (phase.name.as_str(), phase.times)).collect();
        let outcome = sample::outcome(&names);
        OverloadReport {
            limit_per_second: 400.0,
            unloaded: Unloaded { p50_ms: 2.1, p99_ms: 3.4 },
            phases,
            recovery: Recovery { seconds: Some(2.0), why: String::new() },
            connections_max: 1,
            gone: false,
            stopped: false,
            outcome,
        }
    }

    fn bounds(goodput: f64, recovery_s: u64) -> OverloadBounds {
        OverloadBounds {
            goodput_to_peak_min: Some(goodput),
            recovery_max: Some(Duration::from_secs(recovery_s)),
        }
    }

    #[test]
    fn who_does_as_much_crosses_nothing() {
        assert_eq!(report().crossed(&Thresholds::default(), &bounds(0.9, 2)), [""; 0]);
        assert_eq!(report().crossed(&Thresholds::default(), &OverloadBounds::default()), [""; 0]);
    }

    #[test]
    fn each_bound_has_its_sentence() {
        let mut report = report();
        assert_eq!(
            report.crossed(&Thresholds::default(), &bounds(0.95, 1)),
            [
                "goodput at 10x is 93.6 % of its best, 95 % was demanded",
                "recovery took 2 s, 1 s at most was demanded"
            ]
        );
        report.recovery.seconds = None;
        let crossed = report.crossed(&Thresholds::default(), &bounds(0.0, 60));
        assert_eq!(crossed, ["recovery was not seen, 60 s at most was demanded"]);
        report.stopped = true;
        let crossed = report.crossed(&Thresholds::default(), &bounds(1.0, 1));
        assert_eq!(crossed, [""; 0], "who ended it early knows that it was");
    }

    #[test]
    fn the_scenarios_thresholds_are_about_the_limit_itself() {
        let p50_max = Some(Duration::from_micros(10));
        let strict = Threshold { p50_max, ..Threshold::default() };
        let easy = Threshold { good_share_min: Some(0.9), ..Threshold::default() };
        let mut report = report();
        let thresholds = |all, one| Thresholds { all, classes: vec![(1, one)] };
        assert_eq!(report.crossed(&thresholds(easy, easy), &OverloadBounds::default()), [""; 0]);
        let crossed = report.crossed(&thresholds(easy, strict), &OverloadBounds::default());
        assert!(crossed[0].starts_with("at 1x: order <b>: p50 is "), "{crossed:?}");
        report.phases[0].times = 1.5;
        let crossed = report.crossed(&thresholds(strict, strict), &OverloadBounds::default());
        assert_eq!(crossed, [""; 0], "nowhere was the limit itself offered");
    }
}
