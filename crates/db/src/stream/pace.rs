//! Whether the reader of a stream keeps up: it takes a connection from others for as long as it
//! reads, so it has to read at some rate. Time in which Postgres is waited for is not its fault.

use std::time::Duration;

use tenfold_context::Moment;

/// A reader's credit in bytes: what it takes adds to it, what it should take meanwhile is taken
/// off it. There is no more of it than for `window`, so that a reader that was quick for an hour
/// cannot stop for another.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Bytes per second.
    rate_min: f64,
    credit_max: f64,
    credit: f64,
    turn: Turn,
    /// Taken since the credit was last reckoned.
    taken: f64,
    /// A row larger than all credit takes as long as it takes.
    largest: f64,
}

#[derive(Clone, Copy, Debug)]
enum Turn {
    Reader { since: Moment },
    Postgres,
}

impl Pace {
    pub(crate) fn new(rate_min: u64, window: Duration, now: Moment) -> Pace {
        let rate_min = rate_min as f64;
        let credit_max = rate_min * window.as_secs_f64();
        let turn = Turn::Reader { since: now };
        Pace { rate_min, credit_max, credit: credit_max, turn, taken: 0.0, largest: 0.0 }
    }

    /// The reader has taken so many bytes. Reads no clock: it is told of every row.
    pub(crate) fn took(&mut self, bytes: usize) {
        let bytes = bytes as f64;
        self.taken += bytes;
        self.largest = bytes;
    }

    /// From now on the reader waits for Postgres.
    pub(crate) fn waits_for_postgres(&mut self, now: Moment) {
        self.reckon(now);
        self.turn = Turn::Postgres;
    }

    /// From now on it is the reader that is waited for.
    pub(crate) fn postgres_answered(&mut self, now: Moment) {
        self.turn = Turn::Reader { since: now };
    }

    /// For how long the reader may take nothing from now on; `None` if it was too slow. While it
    /// waits for Postgres it never is, whatever it was before.
    pub(crate) fn patience(&mut self, now: Moment) -> Option<Duration> {
        self.reckon(now);
        match self.turn {
            Turn::Reader { .. } if self.credit <= 0.0 => None,
            _ => Some(Duration::from_secs_f64(self.credit.max(0.0) / self.rate_min)),
        }
    }

    fn reckon(&mut self, now: Moment) {
        let due = match &mut self.turn {
            Turn::Reader { since } => {
                let waited = now.since(*since).as_secs_f64();
                *since = now;
                waited * self.rate_min
            }
            Turn::Postgres => 0.0,
        };
        let credit_max = self.credit_max.max(self.largest);
        self.credit = (self.credit + self.taken - due).min(credit_max);
        self.taken = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE_MIN: u64 = 1_000;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment::ZERO + Duration::from_secs(seconds)
    }

    fn pace() -> Pace {
        Pace::new(RATE_MIN, WINDOW, at(0))
    }

    fn seconds(patience: Option<Duration>) -> Option<f64> {
        patience.map(|patience| patience.as_secs_f64())
    }

    #[test]
    fn a_reader_that_stops_has_the_window() {
        let mut pace = pace();
        assert_eq!(pace.patience(at(0)), Some(WINDOW));
        assert_eq!(seconds(pace.patience(at(9))), Some(1.0));
        assert_eq!(pace.patience(at(10)), None);
    }

    #[test]
    fn one_that_was_quick_before_has_no_more_than_the_window() {
        let mut pace = pace();
        for second in 0..100 {
            (0..100).for_each(|_| pace.took(1_000));
            assert_eq!(pace.patience(at(second)), Some(WINDOW));
        }
        assert_eq!(pace.patience(at(109)), None);
    }

    #[test]
    fn one_just_quick_enough_goes_on_for_ever_and_one_that_is_not_does_not() {
        let slow_at = |bytes: usize| {
            let mut pace = pace();
            (1..1_000).find(|second| {
                pace.took(bytes);
                pace.patience(at(*second)).is_none()
            })
        };
        assert_eq!(slow_at(1_000), None);
        assert_eq!(slow_at(900), Some(100));
    }

    #[test]
    fn time_in_which_postgres_is_waited_for_does_not_count() {
        let mut pace = pace();
        pace.waits_for_postgres(at(4));
        assert_eq!(seconds(pace.patience(at(1_000))), Some(6.0));
        pace.postgres_answered(at(1_000));
        assert_eq!(seconds(pace.patience(at(1_005))), Some(1.0));
        assert_eq!(pace.patience(at(1_006)), None);
    }

    #[test]
    fn one_that_asks_again_at_the_last_moment_is_not_too_slow_while_it_waits() {
        let mut pace = pace();
        pace.waits_for_postgres(at(60));
        assert_eq!(pace.patience(at(60)), Some(Duration::ZERO));
        pace.postgres_answered(at(61));
        pace.took(60_000);
        assert_eq!(seconds(pace.patience(at(62))), Some(9.0));
    }

    #[test]
    fn a_large_row_has_the_time_that_it_takes() {
        let mut pace = pace();
        pace.took(60_000);
        assert_eq!(seconds(pace.patience(at(0))), Some(60.0));
        assert_eq!(seconds(pace.patience(at(59))), Some(1.0));
        assert_eq!(pace.patience(at(60)), None);
    }
}
