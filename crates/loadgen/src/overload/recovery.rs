//! When a service that was overloaded is itself again.

use std::time::Duration;

use crate::ending::Ending;
use crate::probe::quantile_ms;
use crate::record::{Bucket, Timeline};
use crate::settle::Unloaded;

/// Back is who answers 99 of 100 within this many times of what they took in the worst second of
/// the same load before the overload …
const TIMES_MAX: f64 = 2.0;

/// … or within this, in milliseconds: below it, timers and neighbours decide.
const P99_MAX_MS: f64 = 10.0;

/// And who answers this share of all well: one that refuses nearly everybody is quick to the few.
const GOOD_SHARE_MIN: f64 = 0.99;

/// One hiccup in five seconds is no relapse.
const BACK_SHARE_MIN: f64 = 0.8;

/// How long a service took to recover.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// From the end of the overload until it was itself again, to the second; none if it was not
    /// within the time that was watched.
    pub seconds: Option<f64>,
    /// How that was seen, in words.
    pub why: String,
}

impl Recovery {
    pub(super) fn stopped() -> Recovery {
        let why = "the load was stopped before its end".to_owned();
        Recovery { seconds: None, why }
    }
}

/// How quick a service was in the worst second of a load: afterwards each second is judged for
/// itself, and the 99th percentile of one moves more than that of all. One client alone may have
/// met a hiccup that the many did not.
pub(super) fn worst_second(timeline: &Timeline, unloaded: &Unloaded) -> Unloaded {
    let seconds = timeline.buckets().iter().filter(|bucket| bucket.intended > 0);
    seconds.fold(unloaded.clone(), |worst, bucket| {
        let slower = |than: f64, quantile| {
            quantile_ms(&bucket.latency_us, quantile).unwrap_or(0.0).max(than)
        };
        Unloaded { p50_ms: slower(worst.p50_ms, 0.5), p99_ms: slower(worst.p99_ms, 0.99) }
    })
}

/// Looks for the first second after which the service is itself again, between the end of the
/// overload and the end of the load.
pub(super) fn of(
    timeline: &Timeline,
    from: Duration,
    until: Duration,
    before: &Unloaded,
) -> Recovery {
    let width = timeline.width().as_secs_f64();
    let first = (from.as_secs_f64() / width).ceil() as usize;
    let end = (until.as_secs_f64() / width).ceil() as usize;
    let buckets = timeline.buckets();
    let rest = buckets.get(first..end.min(buckets.len())).unwrap_or_default();
    let p99_max_ms = (before.p99_ms * TIMES_MAX).max(P99_MAX_MS);
    // Where nobody asked there is nothing to see.
    let seen: Vec<(usize, Look)> = rest
        .iter()
        .enumerate()
        .filter(|(_, bucket)| bucket.intended > 0)
        .map(|(number, bucket)| (number, look(bucket, p99_max_ms)))
        .collect();
    let Some((_, last)) = seen.last() else {
        let why = "nothing was asked after the overload".to_owned();
        return Recovery { seconds: None, why };
    };
    let back = seen.iter().enumerate().find(|(place, (_, look))| {
        let after = &seen[*place..];
        let backs = after.iter().filter(|(_, look)| look.is_back).count();
        look.is_back && backs as f64 >= BACK_SHARE_MIN * after.len() as f64
    });
    let bound = format!(
        "99 of 100 within {p99_max_ms:.0} ms, in the worst second of the same load before they took {:.1} ms",
        before.p99_ms
    );
    match back {
        Some((_, (number, _))) => {
            let seconds = (first + number) as f64 * width - from.as_secs_f64();
            Recovery { seconds: Some(seconds), why: bound }
        }
        None => {
            let p99 = last.p99_ms.map_or("no right answer".to_owned(), |ms| format!("{ms:.0} ms"));
            let watched = until.saturating_sub(from).as_secs_f64();
            let share = last.good_share * 1e2;
            let why = format!(
                "not within {watched:.0} s: at the end {share:.0} % were good, p99 {p99}; back is {bound}"
            );
            Recovery { seconds: None, why }
        }
    }
}

struct Look {
    is_back: bool,
    good_share: f64,
    p99_ms: Option<f64>,
}

fn look(bucket: &Bucket, p99_max_ms: f64) -> Look {
    let good_share = bucket.count(Ending::Good) as f64 / bucket.intended.max(1) as f64;
    let p99_ms = quantile_ms(&bucket.latency_us, 0.99);
    let is_quick = p99_ms.is_some_and(|p99_ms| p99_ms <= p99_max_ms);
    Look { is_back: is_quick && good_share >= GOOD_SHARE_MIN, good_share, p99_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Finished, Record};

    const BEFORE: Unloaded = Unloaded { p50_ms: 10.0, p99_ms: 12.0 };

    /// What is said of ten seconds after four of overload, of which each has a hundred requests
    /// that end like this.
    fn told(second: impl Fn(u64) -> (Ending, u64)) -> Recovery {
        let mut record = Record::new(1, 1);
        for number in 0..1400 {
            let intended = number * 10_000_000;
            let (ending, latency_ms) = match number / 100 {
                overloaded @ 0..4 => (Ending::TimedOut, 2000 + overloaded),
                rest => second(rest - 4),
            };
            record.intend(0, 0, false, intended);
            let ended = intended + latency_ms * 1_000_000;
            let sent = Some(intended);
            record.finish(&Finished {
                phase: 0,
                class: 0,
                retry: false,
                intended,
                sent,
                ended,
                ending,
            });
        }
        of(&record.timeline, Duration::from_secs(4), Duration::from_secs(14), &BEFORE)
    }

    #[test]
    fn the_worst_second_before_is_the_measure() {
        let mut record = Record::new(1, 1);
        for number in 0..300 {
            let intended = number * 10_000_000;
            record.intend(0, 0, false, intended);
            record.finish(&Finished {
                phase: 0,
                class: 0,
                retry: false,
                intended,
                sent: Some(intended),
                ended: intended + if number / 100 == 1 { 40_000_000 } else { 5_000_000 },
                ending: Ending::Good,
            });
        }
        let worst = worst_second(&record.timeline, &BEFORE);
        assert!((39.0..42.0).contains(&worst.p99_ms), "{worst:?}");
        let alone = Unloaded { p50_ms: 90.0, p99_ms: 95.0 };
        assert_eq!(worst_second(&record.timeline, &alone), alone);
    }

    #[test]
    fn who_was_never_away_is_back_at_once() {
        assert_eq!(told(|_| (Ending::Good, 11)).seconds, Some(0.0));
    }

    #[test]
    fn it_takes_as_long_as_it_takes() {
        let slow = |second| if second < 3 { (Ending::Slow, 900) } else { (Ending::Good, 20) };
        let recovery = told(slow);
        assert_eq!(recovery.seconds, Some(3.0));
        assert!(recovery.why.starts_with("99 of 100 within 24 ms"), "{recovery:?}");
    }

    #[test]
    fn a_hiccup_is_no_relapse_but_a_relapse_is() {
        let hiccup = |second| if second == 5 { (Ending::Good, 90) } else { (Ending::Good, 11) };
        assert_eq!(told(hiccup).seconds, Some(0.0));
        let relapse = |second| if (1..4).contains(&second) { 90 } else { 11 };
        assert_eq!(told(|second| (Ending::Good, relapse(second))).seconds, Some(4.0));
    }

    #[test]
    fn who_is_quick_to_refuse_or_slow_to_the_end_is_not_back() {
        let refusing = told(|_| (Ending::Refused, 1));
        assert_eq!(refusing.seconds, None);
        assert!(refusing.why.contains("0 % were good, p99 no right answer"), "{refusing:?}");
        let slow = told(|_| (Ending::Good, 30));
        assert_eq!(slow.seconds, None);
        assert!(slow.why.starts_with("not within 10 s: at the end 100 % were good, p99 30 ms"));
    }

    #[test]
    fn without_anybody_who_asks_nothing_is_known() {
        let none = of(&Record::new(1, 1).timeline, Duration::ZERO, Duration::MAX, &BEFORE);
        assert_eq!(none.seconds, None);
    }
}
