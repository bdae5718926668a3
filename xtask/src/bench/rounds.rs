//! Rounds that take turns, and the figures that are taken from them: on a shared machine the
//! second before differs from the second after, so whoever is compared must share each.

use crate::Error;

/// Lets every contestant run once per round, and gives each one's measurements.
///
/// The order turns around with every round, so that nobody always runs in another's warmth.
///
/// # Errors
/// The first that a measurement gives.
pub fn interleave<Measured>(
    contestants: usize,
    rounds: usize,
    mut measure: impl FnMut(usize) -> Result<Measured, Error>,
) -> Result<Vec<Vec<Measured>>, Error> {
    let mut measured: Vec<Vec<Measured>> = (0..contestants).map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..contestants {
            let contestant = if round % 2 == 0 { turn } else { contestants - 1 - turn };
            measured[contestant].push(measure(contestant)?);
        }
    }
    Ok(measured)
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// How far the middle half of the values spreads, as a part of their median: 0.02 is a quiet
/// machine, above 0.1 it is too noisy to compare anything. NaN of nothing.
pub fn spread(values: &[f64]) -> f64 {
    (quantile(values, 0.75) - quantile(values, 0.25)) / median(values)
}

/// Interpolated between the neighbours.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = last as f64 * part;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_go_around() {
        let mut order = Vec::new();
        let measured = interleave(2, 3, |contestant| {
            order.push(contestant);
            Ok(order.len())
        })
        .unwrap();
        assert_eq!(measured, [vec![1, 4, 5], vec![2, 3, 6]]);
        assert_eq!(order, [0, 1, 1, 0, 0, 1]);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let failed = interleave::<()>(2, 3, |_| Err("no load".into()));
        assert_eq!(failed.unwrap_err().to_string(), "no load");
    }

    #[test]
    fn medians_and_spreads() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[5.0, 5.0, 5.0]), 0.0);
        assert_eq!(spread(&[8.0, 9.0, 10.0, 11.0, 12.0]), 0.2);
    }
}
