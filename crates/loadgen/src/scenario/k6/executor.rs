//! A load as an executor of k6: the part of a script's options that says when requests come.
//!
//! As in k6's documentation, "Scenarios", "Executors" and, for steps, "Instant load increase": a
//! stage that takes no time is a jump.

use crate::arrival::{Piece, Schedule};
use crate::run::Load;
use crate::run::connections::CONNECTIONS_LEAST;
use crate::scenario::Behaviour;

/// k6 counts in whole requests, so that a rate with a fraction is one per minute, or per hour.
const UNITS_S: [u32; 3] = [1, 60, 3600];

/// What is rounded by no more than this part is near enough.
const ROUNDED_MAX: f64 = 0.001;

/// The options of the executor, a line each.
pub(super) fn lines(load: &Load, behaviour: &Behaviour) -> Vec<String> {
    match load {
        Load::Open(schedule) => open(schedule, behaviour),
        Load::Closed { users, duration, .. } => vec![
            "executor: 'constant-vus',".to_owned(),
            format!("vus: {users},"),
            format!("duration: '{}',", time(duration.as_secs_f64())),
        ],
    }
}

fn open(schedule: &Schedule, behaviour: &Behaviour) -> Vec<String> {
    let pieces = schedule.pieces();
    let unit_s = unit_s(pieces);
    let rate = |per_second: f64| (per_second * f64::from(unit_s)).round();
    let first = pieces.first().map_or(0.0, |piece| piece.from);
    let is_constant = pieces.iter().all(|piece| piece.from == first && piece.to == first);
    let mut lines = if is_constant && first > 0.0 {
        vec![
            "executor: 'constant-arrival-rate',".to_owned(),
            format!("rate: {},", rate(first).max(1.0)),
            format!("timeUnit: '{unit_s}s',"),
            format!("duration: '{}',", time(schedule.duration().as_secs_f64())),
        ]
    } else {
        let mut lines = vec![
            "executor: 'ramping-arrival-rate',".to_owned(),
            format!("startRate: {},", rate(first)),
            format!("timeUnit: '{unit_s}s',"),
            "stages: [".to_owned(),
        ];
        lines.extend(stages(pieces).into_iter().map(|(target, seconds)| {
            format!("  {{ target: {}, duration: '{}' }},", rate(target), time(seconds))
        }));
        lines.push("],".to_owned());
        lines
    };
    let users_max = (schedule.rate_max() * behaviour.timeout.as_secs_f64()).ceil().max(1.0);
    let connections = behaviour.connections_max.unwrap_or(CONNECTIONS_LEAST) as f64;
    lines.push(format!("preAllocatedVUs: {connections},"));
    lines.push(format!("maxVUs: {},", users_max.max(connections)));
    lines
}

/// Where each stage leads, and how many seconds it takes. k6 begins each where the last one ended.
fn stages(pieces: &[Piece]) -> Vec<(f64, f64)> {
    let mut stages: Vec<(f64, f64)> = Vec::new();
    let mut now = pieces.first().map_or(0.0, |piece| piece.from);
    let mut is_level = false;
    for piece in pieces {
        let jumps = piece.from != now;
        if jumps {
            stages.push((piece.from, 0.0));
        }
        let stays = piece.from == piece.to;
        match stages.last_mut() {
            // A trace holds the same rate for many lines.
            Some((_, seconds)) if is_level && stays && !jumps => *seconds += piece.seconds,
            _ => stages.push((piece.to, piece.seconds)),
        }
        (now, is_level) = (piece.to, stays);
    }
    stages
}

/// The shortest time in which every rate is about a whole number of requests.
fn unit_s(pieces: &[Piece]) -> u32 {
    let rates = || pieces.iter().flat_map(|piece| [piece.from, piece.to]);
    let [second, others @ ..] = UNITS_S;
    if rates().all(|rate| rate.fract() == 0.0) {
        return second;
    }
    let fits = |unit_s: &u32| {
        rates().all(|rate| {
            let requests = rate * f64::from(*unit_s);
            (requests - requests.round()).abs() <= ROUNDED_MAX * requests
        })
    };
    let [.., longest] = others;
    others.into_iter().find(fits).unwrap_or(longest)
}

/// To the microsecond: `1500ms`, or `0s` for none.
fn time(seconds: f64) -> String {
    match (seconds * 1e6).round() / 1e3 {
        0.0 => "0s".to_owned(),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(schedule: Schedule) -> String {
        lines(&Load::Open(schedule), &Behaviour::default()).join(" ")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_with_a_fraction_is_one_per_minute_or_per_hour() {
        let unit = |rate| {
            let told = of(Schedule::constant(rate, seconds(30)));
            let (_, unit) = told.split_once("rate: ").unwrap();
            unit.split(", duration").next().unwrap().to_owned()
        };
        assert_eq!(unit(100.0), "100, timeUnit: '1s'");
        assert_eq!(unit(250.5), "15030, timeUnit: '60s'");
        assert_eq!(unit(100.0 / 3.0), "2000, timeUnit: '60s'");
        assert_eq!(unit(0.01), "36, timeUnit: '3600s'");
        assert_eq!(unit(0.000_01), "1, timeUnit: '3600s'", "never none");
    }

    #[test]
    fn what_changes_is_made_of_stages_and_jumps() {
        let ramp = Schedule::ramp(10.0, 50.0, seconds(5));
        assert!(of(ramp.clone()).starts_with(
            "executor: 'ramping-arrival-rate', startRate: 10, timeUnit: '1s', stages: [   \
             { target: 50, duration: '5000ms' }, ], preAllocatedVUs: 256, "
        ));
        let steps = ramp.then(&Schedule::steps(&[(50.0, seconds(2)), (20.0, seconds(1))]));
        let expected = [(50.0, 5.0), (50.0, 2.0), (20.0, 0.0), (20.0, 1.0)];
        assert_eq!(stages(steps.pieces()), expected);
        // Many lines of the same rate are one stage, and no rate at all is one as well.
        let trace = Schedule::trace("0,5\n1,5\n2,5\n3,0\n4,0\n5,5\n").unwrap();
        let expected = [(5.0, 3.0), (0.0, 0.0), (0.0, 2.0), (5.0, 0.0), (5.0, 1.0)];
        assert_eq!(stages(trace.pieces()), expected);
        let quiet = of(Schedule::trace("0,0\n").unwrap());
        assert!(quiet.contains("startRate: 0, ") && quiet.contains("ramping"), "{quiet}");
    }

    #[test]
    fn steps_of_the_same_rate_are_no_change() {
        let same = of(Schedule::steps(&[(20.0, seconds(1)), (20.0, seconds(2))]));
        assert!(same.starts_with("executor: 'constant-arrival-rate', rate: 20, "), "{same}");
        assert!(same.contains("duration: '3000ms'"), "{same}");
    }
}
