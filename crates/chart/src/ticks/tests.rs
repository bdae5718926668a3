//! Which ticks an axis gets, case by case and at random.

use proptest::prelude::*;

use super::*;

fn check(low: f64, high: f64, spacing: Spacing, unit: Unit, count_max: usize, labels: &[&str]) {
    let ticks = choose(Extent { low, high }, spacing, unit, count_max);
    let written: Vec<&str> = ticks.labelled.iter().map(|(_, label)| label.as_str()).collect();
    assert_eq!(written, labels);
}

#[test]
fn linear_ticks_are_round() {
    let check = |low, high, unit, labels: &[&str]| {
        check(low, high, Spacing::Linear, unit, 6, labels);
    };
    check(0.0, 11_300.0, Unit::Count, &["0", "5k", "10k", "15k"]);
    check(0.0, 0.043, Unit::Duration, &["0", "10 ms", "20 ms", "30 ms", "40 ms", "50 ms"]);
    check(0.0, 1.0, Unit::Share, &["0", "20 %", "40 %", "60 %", "80 %", "100 %"]);
    check(0.0, 140.0, Unit::Elapsed, &["0:00", "0:30", "1:00", "1:30", "2:00", "2:30"]);
    check(0.0, 60.0, Unit::Elapsed, &["0 s", "15 s", "30 s", "45 s", "60 s"]);
    check(0.0, 86_400.0, Unit::Elapsed, &["0 h", "6 h", "12 h", "18 h", "24 h"]);
    check(-3.0, 2.0, Unit::Count, &["-3", "-2", "-1", "0", "1", "2"]);
}

#[test]
fn logarithmic_ticks_are_round() {
    let check = |low, high, count_max, labels: &[&str]| {
        check(low, high, Spacing::Logarithmic, Unit::Duration, count_max, labels);
    };
    check(0.003, 0.004, 8, &["2 ms", "5 ms"]);
    check(0.0013, 0.043, 8, &["1 ms", "2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]);
    check(0.0004, 2.1, 6, &["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
    check(1e-9, 1e3, 6, &["1 ns", "1 µs", "1 ms", "1 s", "1000 s"]);
}

#[test]
fn between_powers_of_ten_stand_lines_without_words() {
    let extent = Extent { low: 1.0, high: 100.0 };
    let ticks = choose(extent, Spacing::Logarithmic, Unit::Count, 3);
    assert_eq!(ticks.between.len(), 16);
    assert_eq!(ticks.between[..3], [2.0, 3.0, 4.0]);
}

fn any_unit() -> impl Strategy<Value = Unit> {
    prop::sample::select(vec![Unit::Count, Unit::Duration, Unit::Elapsed, Unit::Share, Unit::Times])
}

proptest! {
    #[test]
    fn ticks_increase_enclose_and_are_few(
        low in prop_oneof![-1e15..1e15_f64, -10.0..10.0],
        difference in prop_oneof![0.0..1e15_f64, 1e-9..1.0],
        unit in any_unit(),
        count_max in 0_usize..30,
    ) {
        let extent = Extent { low, high: (low + difference).min(1e15) }.with_room(Spacing::Linear);
        holds(extent, &choose(extent, Spacing::Linear, unit, count_max), count_max)?;
    }

    #[test]
    fn logarithmic_ticks_increase_enclose_and_are_few(
        low_power in -12.0..15.0_f64,
        decades in 0.0..27.0_f64,
        unit in any_unit(),
        count_max in 0_usize..30,
    ) {
        let low = 10_f64.powf(low_power);
        let high = 10_f64.powf((low_power + decades).min(15.0));
        let extent = Extent { low, high }.with_room(Spacing::Logarithmic);
        holds(extent, &choose(extent, Spacing::Logarithmic, unit, count_max), count_max)?;
    }
}

fn holds(extent: Extent, ticks: &Ticks, count_max: usize) -> Result<(), TestCaseError> {
    let numbers: Vec<f64> = ticks.labelled.iter().map(|(number, _)| *number).collect();
    prop_assert!(numbers.len() >= 2, "{numbers:?}");
    prop_assert!(numbers.len() <= count_max.max(COUNT_MIN), "{numbers:?}");
    prop_assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let slack = (extent.high - extent.low) * 1e-4;
    prop_assert!(ticks.rounded.low <= first && last <= ticks.rounded.high);
    prop_assert!(ticks.rounded.low <= extent.low + slack, "{ticks:?}");
    prop_assert!(ticks.rounded.high >= extent.high - slack, "{ticks:?}");
    prop_assert!(ticks.between.windows(2).all(|pair| pair[0] < pair[1]));
    Ok(())
}
