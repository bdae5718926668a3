//! When requests shall be sent: moments that are fixed before the first one is, so that nothing
//! the service does can thin the load out.

use std::time::Duration;

mod trace;

pub use trace::{TraceError, TraceErrors};

/// The highest rate that can be intended, in requests per second: more than any thread can so much
/// as count. Without an end to it a generator that cannot keep up would go on for ever, because
/// what it could not offer is counted, one by one, and not thinned out.
pub const RATE_MAX: f64 = 1e7;

/// How many requests shall come when: a rate over time, and how the arrivals are spaced in it.
///
/// ```
/// use std::time::Duration;
/// use tenfold_loadgen::Schedule;
///
/// let ten_a_second = Schedule::constant(10.0, Duration::from_secs(3));
/// let moments: Vec<u64> = ten_a_second.arrivals(1).collect();
/// assert_eq!(moments.len(), 30);
/// assert_eq!(moments[0], 50_000_000, "in the middle of its tenth of a second");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pieces: Vec<Piece>,
    spacing: Spacing,
}

/// How arrivals are spaced at a given rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// As evenly as they can be: one machine calls.
    Even,
    /// At random, independent of each other: many people call. Their number varies from run to
    /// run by about its square root, and bursts come as they do in life.
    Poisson,
}

/// A stretch of time in which the rate changes evenly. Rates are per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) seconds: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Piece {
    fn requests(&self) -> f64 {
        self.seconds * (self.from + self.to) / 2.0
    }

    /// How many seconds it takes until that many requests have come. Solves
    /// `from·x + slope·x²/2 = requests` in the form that stays exact for flat slopes.
    fn seconds_until(&self, requests: f64) -> f64 {
        if self.from == self.to {
            return (requests / self.from).min(self.seconds);
        }
        let slope = (self.to - self.from) / self.seconds;
        let root = (self.from * self.from + 2.0 * slope * requests).max(0.0).sqrt();
        (2.0 * requests / (self.from + root)).clamp(0.0, self.seconds)
    }
}

impl Schedule {
    /// Always the same rate per second.
    pub fn constant(rate: f64, duration: Duration) -> Schedule {
        Schedule::ramp(rate, rate, duration)
    }

    /// A rate that changes evenly from one to another.
    ///
    /// A rate that is negative or not a number is none; what is above [`RATE_MAX`] is that.
    pub fn ramp(from: f64, to: f64, duration: Duration) -> Schedule {
        let piece = Piece { seconds: duration.as_secs_f64(), from: sane(from), to: sane(to) };
        Schedule { pieces: vec![piece], spacing: Spacing::Even }
    }

    /// Rates that are held for a while each, one after the other.
    pub fn steps(steps: &[(f64, Duration)]) -> Schedule {
        let piece = |&(rate, duration): &(f64, Duration)| Piece {
            seconds: duration.as_secs_f64(),
            from: sane(rate),
            to: sane(rate),
        };
        Schedule { pieces: steps.iter().map(piece).collect(), spacing: Spacing::Even }
    }

    /// A recorded trace: lines of `second,rate`, each rate held until the next line's second, the
    /// last for one second. A first line of words is a heading.
    ///
    /// # Errors
    /// Every line that cannot be read, or goes back in time.
    pub fn trace(csv: &str) -> Result<Schedule, TraceErrors> {
        trace::read(csv).map(|steps| Schedule::steps(&steps))
    }

    /// This, and then that, in the spacing of this.
    #[must_use]
    pub fn then(mut self, next: &Schedule) -> Schedule {
        self.pieces.extend_from_slice(&next.pieces);
        self
    }

    /// The same rates with other spacing.
    #[must_use]
    pub fn spaced(self, spacing: Spacing) -> Schedule {
        Schedule { spacing, ..self }
    }

    /// How long it lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.pieces.iter().map(|piece| piece.seconds).sum())
    }

    /// How many requests come: exactly, to the nearest whole one, where they are spaced evenly;
    /// on the average, where they are not.
    pub fn requests(&self) -> f64 {
        self.pieces.iter().map(Piece::requests).sum()
    }

    /// The highest rate of all its moments.
    pub fn rate_max(&self) -> f64 {
        self.pieces.iter().map(|piece| piece.from.max(piece.to)).fold(0.0, f64::max)
    }

    /// Requests per second that are intended at that moment; none when it is over.
    pub fn rate_at(&self, moment: Duration) -> f64 {
        let mut seconds = moment.as_secs_f64();
        for piece in &self.pieces {
            if seconds < piece.seconds {
                return piece.from + (piece.to - piece.from) * seconds / piece.seconds;
            }
            seconds -= piece.seconds;
        }
        0.0
    }

    /// What it is made of, in the order of time.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The moments, in nanoseconds since the start, in order. The same seed gives the same.
    pub fn arrivals(&self, seed: u64) -> Arrivals {
        let random = match self.spacing {
            Spacing::Even => None,
            Spacing::Poisson => Some(fastrand::Rng::with_seed(seed)),
        };
        Arrivals {
            pieces: self.pieces.clone(),
            random,
            piece: 0,
            piece_starts_s: 0.0,
            // The middle of each request's share of time: the number of arrivals is then the
            // nearest whole one whichever way a sum of fractions is rounded.
            position: match self.spacing {
                Spacing::Even => -0.5,
                Spacing::Poisson => 0.0,
            },
            latest_ns: 0,
        }
    }
}

fn sane(rate: f64) -> f64 {
    if rate.is_finite() { rate.clamp(0.0, RATE_MAX) } else { 0.0 }
}

/// Intended moments, in nanoseconds since the start, never going back.
#[derive(Clone, Debug)]
pub struct Arrivals {
    pieces: Vec<Piece>,
    random: Option<fastrand::Rng>,
    piece: usize,
    piece_starts_s: f64,
    /// How many requests of the present piece lie behind, with fractions.
    position: f64,
    latest_ns: u64,
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.position += match &mut self.random {
            None => 1.0,
            // The distance of two arrivals of a Poisson process, in requests of its mean.
            Some(random) => -(1.0 - random.f64()).ln(),
        };
        loop {
            let piece = self.pieces.get(self.piece)?;
            if self.position < piece.requests() {
                let seconds = self.piece_starts_s + piece.seconds_until(self.position);
                self.latest_ns = self.latest_ns.max((seconds * 1e9) as u64);
                return Some(self.latest_ns);
            }
            self.position -= piece.requests();
            self.piece_starts_s += piece.seconds;
            self.piece += 1;
        }
    }
}

#[cfg(test)]
mod tests;
