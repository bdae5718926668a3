//! What the book has learned of a server that takes fewer connections than there may be.
//!
//! It is found out by being refused: as many as there were then are all that there can be, those
//! who want one more wait in front of the pool instead of behind it, and after a pause a little
//! more is tried.

use std::time::Duration;

use tenfold_context::Moment;

use super::{Book, Link, Reach};

/// The first pause before more are tried.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// The longest of these pauses; doubled each time that trying was in vain.
const PAUSE_MAX: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Ceiling {
    /// So many there may be for now.
    connections_max: usize,
    since: Moment,
    /// How many more are tried the next time; doubled each time that they came about.
    step: usize,
    /// Whether more are being tried than there were when the server refused.
    tried: bool,
    pause: Duration,
    again_at: Moment,
}

impl Ceiling {
    fn new(now: Moment, there: usize) -> Ceiling {
        Ceiling {
            connections_max: there,
            since: now,
            step: 1,
            tried: false,
            pause: PAUSE_MIN,
            again_at: now + PAUSE_MIN,
        }
    }

    fn refused(&mut self, now: Moment, there: usize) {
        if std::mem::take(&mut self.tried) {
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        (self.connections_max, self.step) = (there, 1);
        self.again_at = now + self.pause;
    }
}

/// What it means that a server takes no more connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pool) enum Full {
    /// There is none, so that the server is as good as not there; the attempt is counted still.
    Empty,
    /// As many as there are have to do, as is known already.
    Known,
    /// The same, and nobody knew.
    News { connections_max: usize },
}

impl<C: Link> Book<C> {
    /// How many connections there may be, as far as is known.
    pub(in crate::pool) fn connections_max(&self) -> usize {
        let set = self.bounds.connections_max;
        self.ceiling.as_ref().map_or(set, |ceiling| ceiling.connections_max.min(set))
    }

    /// An attempt to connect has failed because the server takes no more.
    pub(in crate::pool) fn full(&mut self, now: Moment) -> Full {
        let there = self.connections().filter(|connection| !connection.is_closed()).count();
        if there == 0 {
            return Full::Empty;
        }
        self.opening -= 1;
        self.reach = Reach::Up;
        let is_news = self.ceiling.is_none();
        self.ceiling.get_or_insert_with(|| Ceiling::new(now, there)).refused(now, there);
        if is_news { Full::News { connections_max: there } } else { Full::Known }
    }

    /// Whether the server refuses more connections than there are.
    pub(in crate::pool) fn is_full(&self) -> bool {
        self.connections_max() < self.bounds.connections_max
    }

    /// One more connection has been made. Says for how long there could not be as many as there
    /// may be, if that is over now.
    pub(super) fn rise(&mut self, now: Moment) -> Option<Duration> {
        let there = self.idle.len() + self.out.len();
        let ceiling = self.ceiling.as_mut()?;
        if there >= self.bounds.connections_max {
            return self.ceiling.take().map(|ceiling| now.since(ceiling.since));
        }
        if there >= ceiling.connections_max {
            ceiling.connections_max = there;
            if std::mem::take(&mut ceiling.tried) {
                ceiling.step *= 2;
                (ceiling.pause, ceiling.again_at) = (PAUSE_MIN, now);
            }
        }
        None
    }

    /// Allows a few more if it is time to try whether the server takes them by now: those who
    /// want them are let in.
    pub(in crate::pool) fn try_more(&mut self, now: Moment) {
        let Some(ceiling) = &mut self.ceiling else { return };
        if !ceiling.tried && now >= ceiling.again_at {
            ceiling.connections_max += ceiling.step;
            ceiling.tried = true;
        }
    }
}
