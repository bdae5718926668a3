//! Asks one request at a time, as a single client does, to learn how quick the service is when
//! nobody else asks, and whether it has come back after a load.

use std::ops::ControlFlow;
use std::time::Duration;

use tenfold_context::Moment;

use crate::ending::{Ending, Failure};
use crate::follow::follow;
use crate::live::Snapshot;
use crate::probe::{Endings, quantile_ms};
use crate::record::Record;
use crate::run::{Run, RunError};
use crate::scenario::{Retries, Scenario, Share};

/// A service has come back when half of its answers are this many times as slow as at first …
const TIMES_MAX: f64 = 3.0;

/// … or no more than this much slower, in milliseconds, because of the timers of both sides.
const SLOWER_MAX_MS: f64 = 10.0;

/// Of so many requests one may be bad: a trickle has few, and one is an anecdote.
const GOOD_SHARE_MIN: f64 = 0.9;

/// The pause of the single client between two requests.
const THINK: Duration = Duration::from_millis(5);

/// How quick a service is when one client asks, one request at a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Unloaded {
    /// Half of the right answers were at least this fast, in milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 right answers were at least this fast, in milliseconds.
    pub p99_ms: f64,
}

/// What was seen while a single client asked.
pub(crate) enum Trickle {
    /// It is answered well.
    Well(Unloaded),
    /// It is not.
    Unwell(Unwell),
    /// Somebody who looked on ended it.
    Stopped,
}

/// Why a service is not well.
pub(crate) struct Unwell {
    /// How it answered.
    pub(crate) why: String,
    /// Whether it did not at all: nobody takes its connections.
    pub(crate) is_gone: bool,
}

/// Asks for that long, one request at a time.
pub(crate) fn trickle(
    scenario: &Scenario,
    length: Duration,
    watch: &mut dyn FnMut(&Snapshot) -> ControlFlow<()>,
) -> Result<Trickle, RunError> {
    let run = Run::closed(&well_behaved(scenario), 1, THINK, length);
    let outcome = follow(run, watch)?;
    Ok(match outcome.stopped {
        true => Trickle::Stopped,
        false => judge(&outcome.record),
    })
}

/// Asks until the answers are as at first, or the time is up.
pub(crate) fn settle(
    scenario: &Scenario,
    length: Duration,
    unloaded: &Unloaded,
    longest: Duration,
    watch: &mut dyn FnMut(Duration) -> ControlFlow<()>,
) -> Result<Trickle, RunError> {
    let started = Moment::now();
    loop {
        let seen = trickle(scenario, length, &mut |_| watch(Moment::now().since(started)))?;
        let seen = match seen {
            Trickle::Well(now) => as_at_first(now, unloaded),
            other => other,
        };
        match seen {
            Trickle::Unwell(_) if Moment::now().since(started) < longest => {}
            ended => return Ok(ended),
        }
    }
}

/// The same requests from clients who do nothing on purpose to hurt, so that what is seen is
/// the service.
pub(crate) fn well_behaved(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    let behaviour = &mut scenario.behaviour;
    behaviour.retries = Retries { max: 0, ..behaviour.retries };
    behaviour.leave_early = Share { share: 0.0, ..behaviour.leave_early };
    behaviour.slow_readers = Share { share: 0.0, ..behaviour.slow_readers };
    scenario
}

fn judge(record: &Record) -> Trickle {
    let tally = &record.total();
    let right_us = tally.latencies_us(&[Ending::Good, Ending::Slow]);
    match (quantile_ms(&right_us, 0.5), quantile_ms(&right_us, 0.99)) {
        (Some(p50_ms), Some(p99_ms)) if tally.good_share() >= GOOD_SHARE_MIN => {
            Trickle::Well(Unloaded { p50_ms, p99_ms })
        }
        _ => {
            let endings = Endings { tally, record };
            let why = format!("asked by one client alone, {endings}");
            let refused = record.failures(Failure::Connect);
            Trickle::Unwell(Unwell { why, is_gone: refused > 0 && refused == tally.intended })
        }
    }
}

fn as_at_first(now: Unloaded, unloaded: &Unloaded) -> Trickle {
    let p50_ms_max = (unloaded.p50_ms * TIMES_MAX).max(unloaded.p50_ms + SLOWER_MAX_MS);
    if now.p50_ms <= p50_ms_max {
        return Trickle::Well(now);
    }
    let why = format!(
        "asked by one client alone, half of its answers took {:.1} ms or longer, {:.1} ms at first",
        now.p50_ms, unloaded.p50_ms
    );
    Trickle::Unwell(Unwell { why, is_gone: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Finished;

    fn record(endings: &[(Ending, usize)]) -> Record {
        let mut record = Record::new(1, 1);
        for (ending, count) in endings {
            for _ in 0..*count {
                record.intend(0, 0, false, 0);
                record.finish(&Finished {
                    phase: 0,
                    class: 0,
                    retry: false,
                    intended: 0,
                    sent: Some(0),
                    ended: 2_000_000,
                    ending: *ending,
                });
            }
        }
        record
    }

    #[test]
    fn one_bad_answer_of_ten_is_forgiven_and_two_are_not() {
        let judge = |endings: &[(Ending, usize)]| judge(&record(endings));
        let one = judge(&[(Ending::Good, 9), (Ending::Failed, 1)]);
        assert!(matches!(one, Trickle::Well(Unloaded { p50_ms: 2.0, .. })));
        let Trickle::Unwell(Unwell { why, .. }) = judge(&[(Ending::Good, 8), (Ending::Wrong, 2)])
        else {
            panic!("two of ten were wrong");
        };
        assert_eq!(why, "asked by one client alone, of 10: 2 wrong");
        assert!(matches!(judge(&[]), Trickle::Unwell(_)), "nothing was answered");
    }

    #[test]
    fn why_it_is_not_well_is_told_with_what_was_seen_of_it() {
        let mut record = record(&[(Ending::Wrong, 9), (Ending::Refused, 4), (Ending::Failed, 3)]);
        for status in [404, 404, 404, 404, 500, 503, 503, 503, 503] {
            record.note_status(status);
        }
        record.wrong_bodies = 4;
        for _ in 0..3 {
            record.fail(Failure::Connect);
            record.causes.note(Failure::Connect, "Connection refused");
        }
        let Trickle::Unwell(Unwell { why, is_gone }) = judge(&record) else {
            panic!("none was good")
        };
        assert!(!is_gone, "others were answered");
        assert_eq!(
            why,
            "asked by one client alone, of 16: 9 wrong (most of them: another body), 4 refused, \
             3 failed (no connection: Connection refused)"
        );
        record.wrong_bodies = 0;
        record.statuses.remove(&500);
        let Trickle::Unwell(Unwell { why, .. }) = judge(&record) else { panic!("none was good") };
        assert!(why.contains("9 wrong (404), 4 refused"), "{why}");
    }

    #[test]
    fn who_takes_no_connection_at_all_is_gone() {
        for (refused, is_gone) in [(5, true), (4, false), (0, false)] {
            let mut record = record(&[(Ending::Failed, 5)]);
            (0..refused).for_each(|_| record.fail(Failure::Connect));
            (refused..5).for_each(|_| record.fail(Failure::Reset));
            let Trickle::Unwell(unwell) = judge(&record) else { panic!("none was good") };
            assert_eq!(unwell.is_gone, is_gone, "{}", unwell.why);
        }
    }

    #[test]
    fn a_service_is_back_when_it_is_nearly_as_quick_as_at_first() {
        let at = |p50_ms| Unloaded { p50_ms, p99_ms: p50_ms };
        assert!(matches!(as_at_first(at(11.0), &at(1.0)), Trickle::Well(_)));
        assert!(matches!(as_at_first(at(11.2), &at(1.0)), Trickle::Unwell(_)));
        assert!(matches!(as_at_first(at(290.0), &at(100.0)), Trickle::Well(_)));
        let Trickle::Unwell(Unwell { why, .. }) = as_at_first(at(310.0), &at(100.0)) else {
            panic!("slow")
        };
        assert!(why.ends_with("took 310.0 ms or longer, 100.0 ms at first"), "{why}");
    }
}
