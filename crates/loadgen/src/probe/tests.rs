//! How a probe is judged: held, not held, or worth nothing because the generator was late.

use super::*;
use crate::ending::NotOffered;
use crate::outcome::Phase;
use crate::record::{Finished, Record};

const DEMAND: Demand = Demand {
    rate: 100.0,
    duration: Duration::from_secs(3),
    jolted: false,
    good_share_min: 0.99,
    unloaded_p50_ms: 10.0,
};

/// An outcome of a probe of three seconds, 100 requests per second, whose endings and latencies
/// in milliseconds a function of their number gives.
fn outcome(answer: impl Fn(u64) -> (Ending, u64)) -> Outcome {
    let mut record = Record::new(PARTS.len(), 1);
    for number in 0..300 {
        let phase = part(number);
        let intended = number * 10_000_000;
        let (ending, latency_ms) = answer(number);
        record.intend(phase, 0, false, intended);
        let ended = intended + latency_ms * 1_000_000;
        let sent = Some(intended);
        record.finish(&Finished { phase, class: 0, retry: false, intended, sent, ended, ending });
    }
    let phase = |(name, _): (&str, u32)| Phase {
        name: name.to_owned(),
        from: Duration::ZERO,
        until: Duration::from_secs(1),
    };
    Outcome {
        record,
        phases: PARTS.map(phase).into(),
        classes: vec!["all".to_owned()],
        validity: Validity::Valid,
        elapsed: Duration::from_secs(3),
        cpu: Duration::ZERO,
        cpu_share: 0.1,
        stopped: false,
    }
}

/// The part in which a request is, of 300: each sixth has 50.
fn part(number: u64) -> usize {
    (number / 50).saturating_sub(1) as usize
}

#[test]
fn a_rate_that_is_held_to_the_end_is_held() {
    let report = judge(&outcome(|number| (Ending::Good, 10 + number % 3)), &DEMAND);
    assert_eq!(report.verdict, Verdict::Held, "{report:?}");
    assert_eq!(report.why, "100.0 % were good, to the end");
    assert_eq!(report.offered_per_second, 100.0);
    assert!((report.goodput_per_second - 100.0).abs() < 1e-9, "{report:?}");
    assert!((report.concurrency - 1.1).abs() < 0.01, "{report:?}");
    assert_eq!(report.throughput_per_second, 100.0);
    assert!((report.p50_ms.unwrap() - 11.0).abs() < 0.1, "{report:?}");
}

#[test]
fn a_slow_beginning_is_forgiven() {
    let cold = |number| if number < 90 { (Ending::Refused, 1) } else { (Ending::Good, 10) };
    assert_eq!(judge(&outcome(cold), &DEMAND).verdict, Verdict::Held);
}

#[test]
fn too_many_bad_answers_are_told_by_their_kind() {
    let bad = |number| match number % 50 {
        7 => (Ending::Refused, 1),
        8 => (Ending::TimedOut, 2000),
        _ => (Ending::Good, 10),
    };
    let report = judge(&outcome(bad), &DEMAND);
    assert_eq!(report.verdict, Verdict::NotHeld);
    assert_eq!(report.why, "96.0 % were good, 99 % must be (of 200: 4 refused, 4 timed out)");
}

#[test]
fn a_line_that_builds_up_is_not_held_although_every_answer_is_good() {
    // 2 % too much: each second adds 20 ms of waiting.
    let line = |number: u64| (Ending::Good, 10 + number / 5);
    let report = judge(&outcome(line), &DEMAND);
    assert_eq!(report.verdict, Verdict::NotHeld, "{report:?}");
    assert!((report.trend.unwrap().slope - 0.02).abs() < 0.002, "{report:?}");
    assert_eq!(report.why, "a line was building up: latency grew by 20 ms per second");
    // Half a percent too much is within what a share of 99 % forgives.
    let report = judge(&outcome(|number| (Ending::Good, 10 + number / 21)), &DEMAND);
    assert_eq!(report.verdict, Verdict::Held, "{report:?}");
    // And so is what is small beside the latency itself.
    let report = judge(&outcome(|number| (Ending::Good, 400 + number / 5)), &DEMAND);
    assert_eq!(report.verdict, Verdict::Held, "{report:?}");
}

#[test]
fn a_service_that_stumbles_and_catches_up_has_no_line_that_builds_up() {
    // In the last second it is ten times as slow for a while.
    let stumbles =
        |number: u64| (Ending::Good, if (180..260).contains(&number) { 100 } else { 10 });
    let report = judge(&outcome(stumbles), &DEMAND);
    assert!(report.trend.unwrap().slope > 0.01, "{report:?}");
    assert_eq!(report.verdict, Verdict::Held, "{report:?}");
}

#[test]
fn a_late_generator_says_nothing_of_a_quick_service_and_much_of_a_slow_one() {
    let lag = late_with(0.5);
    let late = |latency_ms| Outcome {
        validity: short_of(lag, None),
        ..outcome(|_| (Ending::Slow, latency_ms))
    };
    assert_eq!(judge(&late(30), &DEMAND).verdict, Verdict::Invalid);
    assert_eq!(judge(&late(600), &DEMAND).verdict, Verdict::NotHeld);
    let full = late_with(0.95);
    let full = Outcome { validity: short_of(full, None), ..late(600) };
    assert_eq!(judge(&full, &DEMAND).verdict, Verdict::Invalid);
}

#[test]
fn a_generator_that_is_late_while_it_warms_up_spoils_nothing_and_later_it_does() {
    let lag = late_with(0.5);
    let late_in =
        |part| Outcome { validity: short_of(lag, Some(part)), ..outcome(|_| (Ending::Good, 10)) };
    assert_eq!(judge(&late_in(0), &DEMAND).verdict, Verdict::Held);
    let report = judge(&late_in(3), &DEMAND);
    assert_eq!(report.verdict, Verdict::Invalid);
    assert!(report.why.contains("phase 3: one request in a hundred was sent 20ms late"));
}

fn late_with(cpu_share: f64) -> Limit {
    Limit::Lag { p99: Duration::from_millis(20), cpu_share, threads: 1, cores: 2 }
}

fn short_of(limit: Limit, part: Option<usize>) -> Validity {
    let phase = part.map(|part| (part, PARTS[part].0.to_owned()));
    Validity::Generator(vec![Shortfall { phase, limit }])
}

#[test]
fn connections_are_too_few_only_for_a_service_that_is_as_quick_as_ever() {
    let none_free = Limit::Connections {
        not_offered: 30,
        spoilt: 0,
        intended: 300,
        wait_p99: Duration::ZERO,
        connections_max: 9,
    };
    let none_free = |latency_ms| {
        let mut outcome = outcome(|_| (Ending::Good, latency_ms));
        outcome.validity = short_of(none_free, None);
        for number in 0..30 {
            let (class, intended) = ((part(number * 10), 0, false), number * 100_000_000);
            outcome.record.intend(class.0, class.1, class.2, intended);
            outcome.record.skip(class, intended, NotOffered::BacklogFull);
        }
        outcome
    };
    assert_eq!(judge(&none_free(11), &DEMAND).verdict, Verdict::Invalid);
    assert_eq!(judge(&none_free(90), &DEMAND).verdict, Verdict::NotHeld);
}

/// An outcome whose latencies of up to two thirds of a second grow with a line for one of nine
/// connections: the service itself takes so many milliseconds.
fn in_line_for_ours(service_ms: u64, mut ending: impl FnMut(u64) -> Ending) -> Outcome {
    let mut outcome = outcome(|_| (Ending::Good, 1));
    outcome.record = Record::new(PARTS.len(), 1);
    outcome.record.connections_peak = 9;
    for number in 0..300 {
        let (phase, intended) = (part(number), number * 10_000_000);
        let waited = number * 2_000_000;
        let sent = intended + waited;
        let (ended, ending) = (sent + service_ms * 1_000_000, ending(number));
        outcome.record.intend(phase, 0, false, intended);
        outcome.record.note_line(phase, waited / 1000);
        let (class, retry, sent) = (0, false, Some(sent));
        outcome.record.finish(&Finished { phase, class, retry, intended, sent, ended, ending });
        if ending == Ending::Slow {
            outcome.record.spoil((phase, class, retry));
        }
    }
    outcome
}

#[test]
fn a_line_for_our_own_connections_is_no_line_of_the_service() {
    let good = |_| Ending::Good;
    let report = judge(&in_line_for_ours(11, good), &DEMAND);
    assert_eq!(report.verdict, Verdict::Invalid, "{report:?}");
    assert_eq!(
        report.why,
        "the generator was the bottleneck: 200 of 200 requests stood in line for one of its 9 \
         connections, while the service took no longer than it takes unloaded, 11.0 ms (raise \
         connections_max)"
    );
    assert_eq!(report.validity, report.why);
    // The service is slower than when nobody asks: more connections would wait with the others.
    let report = judge(&in_line_for_ours(30, good), &DEMAND);
    assert_eq!(report.verdict, Verdict::NotHeld, "{report:?}");
    assert_eq!(report.why, "a line was building up: latency grew by 200 ms per second");
    // What the wait spoilt is no fault of the service, and what it refuses is.
    let slow = |number| if number % 2 == 0 { Ending::Slow } else { Ending::Good };
    assert_eq!(judge(&in_line_for_ours(11, slow), &DEMAND).verdict, Verdict::Invalid);
    let refused = |number| if number % 9 == 0 { Ending::Refused } else { Ending::Good };
    assert_eq!(judge(&in_line_for_ours(11, refused), &DEMAND).verdict, Verdict::NotHeld);
}

#[test]
fn what_was_stopped_or_never_began_says_nothing() {
    let good = |_| (Ending::Good, 10);
    let stopped = Outcome { stopped: true, ..outcome(good) };
    assert_eq!(judge(&stopped, &DEMAND).verdict, Verdict::Invalid);
    let empty = Outcome { record: Record::new(PARTS.len(), 1), ..outcome(good) };
    let report = judge(&empty, &DEMAND);
    assert_eq!((report.verdict, report.p50_ms, report.concurrency), (Verdict::Invalid, None, 0.0));
}

#[test]
fn the_load_has_the_shape_that_the_judge_expects() {
    let scenario = Scenario::get("http://127.0.0.1:1/").expect("a right address");
    let outcome = Demand { rate: 20.0, duration: Duration::from_millis(300), ..DEMAND }
        .run(&scenario, Spacing::Even)
        .run()
        .expect("a service that is not there is no error");
    let report = judge(&outcome, &Demand { duration: Duration::from_millis(300), ..DEMAND });
    assert_eq!(report.verdict, Verdict::NotHeld);
    assert_eq!(
        report.why,
        "0.0 % were good, 99 % must be (of 4: 4 failed (no connection: Connection refused))"
    );
}
