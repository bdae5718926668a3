//! Finds the highest of a range that holds, by halving it: the search that the bench does itself,
//! so that the one of the generator is not its own judge.

use crate::Error;

/// How often a value is asked for that does not hold: a neighbour on the machine is no limit.
const TRIES: usize = 2;

/// Halves the range between two values (in ratios, so often), and gives what the highest value
/// showed that held; nothing when none did.
///
/// # Errors
/// The first that a question gives.
pub(super) fn highest<Shown>(
    (mut from, mut until): (f64, f64),
    halvings: usize,
    mut holds: impl FnMut(f64) -> Result<Option<Shown>, Error>,
) -> Result<Option<Shown>, Error> {
    let mut best = None;
    for _ in 0..halvings {
        let middle = (from * until).sqrt();
        let mut shown = None;
        for _ in 0..TRIES {
            shown = holds(middle)?;
            if shown.is_some() {
                break;
            }
        }
        match shown {
            Some(_) => (best, from) = (shown, middle),
            None => until = middle,
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(limit: f64) -> Option<f64> {
        highest((50.0, 200.0), 6, |rate| Ok((rate <= limit).then_some(rate))).unwrap()
    }

    #[test]
    fn the_highest_is_found_and_never_more() {
        for limit in [60.0, 99.0, 123.4, 190.0] {
            let found = play(limit).unwrap();
            assert!(found <= limit && found > limit * 0.97, "{found} of {limit}");
        }
        assert_eq!(play(10.0), None);
        assert!(play(1e9).unwrap() > 195.0);
    }

    #[test]
    fn one_bad_try_is_forgiven() {
        let mut tries = 0;
        let found = highest((50.0, 200.0), 4, |rate| {
            tries += 1;
            Ok((rate <= 120.0 && tries != 1).then_some(rate))
        });
        assert!(found.unwrap().unwrap() > 110.0);
        assert!(highest::<()>((1.0, 2.0), 1, |_| Err("no load".into())).is_err());
    }
}
