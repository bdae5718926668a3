//! How sure a limit is: probes that contradict each other widen it.

use crate::probe::ProbeReport;
use crate::search::{Found, Verdict};

/// Between the highest rate up to the limit that was held each time, and the lowest above it that
/// never was.
pub(super) fn of(found: &Found, probes: &[ProbeReport]) -> (f64, Option<f64>) {
    let (held, not_held) = match *found {
        Found::Limit { held, not_held } => (held, not_held),
        Found::NoLimit { held } | Found::GeneratorFirst { held } | Found::Unfinished { held } => {
            return (held, None);
        }
        Found::NothingHeld => return (0.0, lowest(probes)),
    };
    let always = |rate: f64, verdict: Verdict| {
        let mut same_rate = probes.iter().filter(|probe| probe.rate == rate);
        same_rate.all(|probe| probe.verdict == verdict || probe.verdict == Verdict::Invalid)
    };
    let rates = probes.iter().map(|probe| probe.rate);
    let from = rates
        .clone()
        .filter(|rate| *rate <= held && always(*rate, Verdict::Held))
        .fold(0.0, f64::max);
    let until = rates
        .filter(|rate| *rate >= not_held && always(*rate, Verdict::NotHeld))
        .fold(f64::INFINITY, f64::min);
    (from, until.is_finite().then_some(until))
}

fn lowest(probes: &[ProbeReport]) -> Option<f64> {
    probes.iter().map(|probe| probe.rate).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(verdicts: &[(f64, Verdict)]) -> Vec<ProbeReport> {
        let report = |&(rate, verdict): &(f64, Verdict)| ProbeReport {
            rate,
            offered_per_second: rate,
            good_share: 1.0,
            goodput_per_second: rate,
            p50_ms: None,
            p99_ms: None,
            concurrency: 1.0,
            throughput_per_second: rate,
            trend: None,
            verdict,
            why: String::new(),
            validity: String::new(),
            cpu_share: 0.0,
            latencies_us: None,
        };
        verdicts.iter().map(report).collect()
    }

    #[test]
    fn probes_that_agree_leave_the_limit_where_it_is_and_others_widen_it() {
        use Verdict::{Held, Invalid, NotHeld};
        let found = Found::Limit { held: 400.0, not_held: 410.0 };
        let agreed = [(200.0, Held), (800.0, NotHeld), (400.0, Held), (410.0, NotHeld)];
        assert_eq!(of(&found, &probes(&agreed)), (400.0, Some(410.0)));
        let spoilt = [&agreed[..], &[(400.0, Invalid)]].concat();
        assert_eq!(of(&found, &probes(&spoilt)), (400.0, Some(410.0)));
        let below = [&agreed[..], &[(400.0, NotHeld), (400.0, Held)]].concat();
        assert_eq!(of(&found, &probes(&below)), (200.0, Some(410.0)));
        let above = [&agreed[..], &[(410.0, Held), (410.0, NotHeld)]].concat();
        assert_eq!(of(&found, &probes(&above)), (400.0, Some(800.0)));
    }

    #[test]
    fn what_has_no_limit_has_no_upper_end() {
        let probes = probes(&[(100.0, Verdict::Held), (200.0, Verdict::Held)]);
        assert_eq!(of(&Found::NoLimit { held: 200.0 }, &probes), (200.0, None));
        assert_eq!(of(&Found::NothingHeld, &probes), (0.0, Some(100.0)));
        assert_eq!(of(&Found::Unfinished { held: 0.0 }, &[]), (0.0, None));
    }
}
