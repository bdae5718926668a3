//! Arrivals are as many as promised, in order, and spaced as they should be.

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn moments(schedule: &Schedule) -> Vec<u64> {
    schedule.arrivals(7).collect()
}

#[test]
fn a_constant_rate_is_exact() {
    let schedule = Schedule::constant(4.0, SECOND);
    assert_eq!(moments(&schedule), [125_000_000, 375_000_000, 625_000_000, 875_000_000]);
    assert_eq!(moments(&Schedule::constant(50_000.0, 60 * SECOND)).len(), 3_000_000);
    assert_eq!(moments(&Schedule::constant(0.1, 30 * SECOND)).len(), 3, "0.1 has no exact double");
}

#[test]
fn no_rate_and_no_time_have_no_arrivals() {
    for schedule in [
        Schedule::constant(0.0, SECOND),
        Schedule::constant(-1.0, SECOND),
        Schedule::constant(f64::NAN, SECOND),
        Schedule::constant(f64::INFINITY, SECOND),
        Schedule::constant(5.0, Duration::ZERO),
        Schedule::steps(&[]),
    ] {
        assert_eq!(moments(&schedule), [0_u64; 0], "{schedule:?}");
        assert_eq!(moments(&schedule.spaced(Spacing::Poisson)), [0_u64; 0]);
    }
}

#[test]
fn a_ramp_has_its_requests_where_its_rate_is_high() {
    let schedule = Schedule::ramp(0.0, 100.0, 10 * SECOND);
    let moments = moments(&schedule);
    assert_eq!(moments.len(), 500);
    let first_half = moments.iter().filter(|moment| **moment < 5_000_000_000).count();
    assert_eq!(first_half, 125, "a quarter of the triangle");
    assert!((schedule.rate_at(Duration::from_secs(5)) - 50.0).abs() < 1e-9);
}

#[test]
fn steps_follow_each_other_and_a_pause_is_a_pause() {
    let schedule = Schedule::steps(&[(10.0, SECOND), (0.0, SECOND), (20.0, SECOND)]);
    let moments = moments(&schedule);
    let in_second =
        |second: u64| moments.iter().filter(|at| **at / 1_000_000_000 == second).count();
    assert_eq!([in_second(0), in_second(1), in_second(2)], [10, 0, 20]);
    assert_eq!(schedule.duration(), 3 * SECOND);
    assert_eq!(schedule.rate_at(Duration::from_millis(2500)), 20.0);
    assert_eq!(schedule.rate_at(3 * SECOND), 0.0);
}

#[test]
fn a_trace_is_a_rate_per_line() {
    let trace = Schedule::trace("second,rate\n# a quiet night\n100,5\n102, 20\n103,0\n").unwrap();
    let expected = Schedule::steps(&[(5.0, 2 * SECOND), (20.0, SECOND), (0.0, SECOND)]);
    assert_eq!(trace, expected);
}

#[test]
fn every_wrong_line_of_a_trace_is_told() {
    let wrong =
        Schedule::trace("0,5\n1,many\n0.5,5\n0,5\n2\n-1,5\n1700000000,5\n3,1e300\n").unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "line 2: the rate is \"many\": a number of at least 0 is needed\n\
         line 4: second 0 comes after 0.5: each line must be later\n\
         line 5: \"2\" has no comma: second,rate is needed, such as 0,100\n\
         line 6: the second is \"-1\": a number of at least 0 is needed\n\
         line 7: the second is 1700000000: seconds since the start are needed\n\
         line 8: the rate is \"1e300\": no more than 10000000 is possible"
    );
    let empty = Schedule::trace("second,rate\n").unwrap_err();
    assert_eq!(empty.to_string(), "line 1: a line of second,rate is needed");
}

#[test]
fn a_first_line_is_a_heading_only_where_no_number_begins_in_it() {
    for (text, right) in [
        ("0;10\n1;20\n", "0,10"),
        ("0 ; 10\n", "0,10"),
        ("0\t10\n", "0,10"),
        ("0.5|10\n", "0.5,10"),
        ("0 10\n", "0,10"),
        ("-1:10\n", "-1,10"),
    ] {
        let wrong = Schedule::trace(text).unwrap_err();
        let first = &wrong.errors[0];
        assert_eq!(first.line, 1);
        assert!(
            first.message.ends_with(&format!("has no comma: did you mean {right}?")),
            "{first:?}"
        );
        assert_eq!(wrong.errors.len(), text.lines().count(), "each line is told");
    }
    let heading = Schedule::trace("second;rate\n0;10\n").unwrap_err().to_string();
    assert_eq!(heading, "line 2: \"0;10\" has no comma: did you mean 0,10?");
    for text in ["0 s,10\n", "0x,y\n", "1e,10\n"] {
        assert!(
            Schedule::trace(text).unwrap_err().to_string().starts_with("line 1: the second is")
        );
    }
    let marked = Schedule::trace("\u{feff}0,10\n1,20\n").unwrap();
    assert_eq!(marked, Schedule::trace("t, per second\n0,10\n1,20\n").unwrap());
}

#[test]
fn no_rate_is_more_than_can_be_counted() {
    let schedule = Schedule::ramp(1e300, f64::INFINITY, SECOND);
    assert_eq!((schedule.rate_max(), schedule.requests()), (RATE_MAX, RATE_MAX / 2.0));
}

#[test]
fn the_same_seed_gives_the_same_arrivals() {
    let schedule = Schedule::constant(1000.0, SECOND).spaced(Spacing::Poisson);
    let of = |seed| schedule.arrivals(seed).collect::<Vec<u64>>();
    assert_eq!(of(1), of(1));
    assert_ne!(of(1), of(2));
}

proptest! {
    #[test]
    fn even_arrivals_are_as_many_as_promised_in_order_and_in_time(
        steps in prop::collection::vec((0.0..2000.0_f64, 0_u64..3000), 1..6),
    ) {
        let steps: Vec<(f64, Duration)> = steps
            .into_iter()
            .map(|(rate, millis)| (rate, Duration::from_millis(millis)))
            .collect();
        let schedule = Schedule::steps(&steps).then(&Schedule::ramp(3.0, 900.0, SECOND));
        let moments = moments(&schedule);
        prop_assert!((moments.len() as f64 - schedule.requests()).abs() <= 0.5 + 1e-6);
        prop_assert!(moments.is_sorted());
        let end = schedule.duration().as_nanos() as u64;
        prop_assert!(moments.iter().all(|moment| *moment <= end));
    }

    #[test]
    fn poisson_arrivals_are_as_many_and_as_varied_as_they_should(
        rate in 500.0..5000.0_f64,
        seed: u64,
    ) {
        let schedule = Schedule::constant(rate, 4 * SECOND).spaced(Spacing::Poisson);
        let moments: Vec<u64> = schedule.arrivals(seed).collect();
        prop_assert!(moments.is_sorted());
        // Six standard deviations: one run in a billion is outside of them.
        let expected = schedule.requests();
        prop_assert!((moments.len() as f64 - expected).abs() < 6.0 * expected.sqrt());
        // Distances of a Poisson process vary as much as they are long on the average.
        let distances: Vec<f64> =
            moments.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        let variance =
            distances.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / distances.len() as f64;
        prop_assert!((variance.sqrt() / mean - 1.0).abs() < 0.2, "{}", variance.sqrt() / mean);
    }
}
