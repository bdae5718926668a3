//! Which rate to offer next, to find the highest that the service holds: a decision without
//! clock and network, so that it can be played against models of services.
//!
//! Coarse steps up until a rate is not held twice, then halving of the gap between held and not held,
//! in ratios. At the edge the higher rate is offered again, because one probe of a busy machine is
//! an anecdote, and the lower one for longer, because a service that holds a rate from rest need
//! not hold it for long: a line that forms once by chance can make it slower for good. Where that is
//! seen, everything that follows is offered for longer.

/// Where to begin, how fine to look, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchLimits {
    /// The first rate, in requests per second.
    pub rate_first: f64,
    /// The highest rate worth offering; a service that holds it has no limit worth finding.
    pub rate_max: f64,
    /// The factor between rates on the way up; more than 1.
    pub step: f64,
    /// How near held and not held must come: 0.03 is 3 %.
    pub resolution: f64,
    /// The most probes of one search.
    pub probes_max: usize,
}

impl Default for SearchLimits {
    fn default() -> SearchLimits {
        SearchLimits {
            rate_first: 100.0,
            rate_max: 1_000_000.0,
            step: 2.0,
            resolution: 0.03,
            probes_max: 28,
        }
    }
}

/// What one probe showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The service held the rate: enough of what was offered was good, to the end.
    Held,
    /// It did not.
    NotHeld,
    /// The generator did not offer what it should have: the probe says nothing of the service.
    Invalid,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Offer this rate.
    Probe {
        /// In requests per second.
        rate: f64,
        /// Whether for longer than others, to see that it lasts.
        lasting: bool,
    },
    /// The search is over.
    Done(Found),
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// The limit lies between the two, and the service held the lower one whenever it was asked.
    Limit {
        /// The highest rate that was held, in requests per second.
        held: f64,
        /// The lowest rate above it that was not.
        not_held: f64,
    },
    /// Every rate was held, up to the highest worth offering.
    NoLimit {
        /// That rate, in requests per second.
        held: f64,
    },
    /// Not even a tenth of a request per second was held.
    NothingHeld,
    /// The search ended before it had met a rate that was not held: the probes were used up, or
    /// somebody stopped it.
    Unfinished {
        /// The highest rate that was held, in requests per second; 0 if there is none.
        held: f64,
    },
    /// The generator could not go on where the service still could.
    GeneratorFirst {
        /// The highest rate that was held, in requests per second; 0 if there is none.
        held: f64,
    },
}

/// Below this rate, in requests per second, the search does not go.
const RATE_MIN: f64 = 0.1;

/// How often a rate must show the same verdict, at the edge, to be believed. A lasting probe that
/// was held, or that shows a rate to be held from rest only, counts for so many.
const SAME_VERDICTS: usize = 2;

/// How many invalid probes of one rate mean that the generator is at its end.
const INVALID_MAX: usize = 2;

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    limits: SearchLimits,
    rates: Vec<Tally>,
    probes: usize,
    /// The rate that was asked for last, and whether for longer.
    asked: (f64, bool),
    /// Whether a rate was held from rest that did not last: then only lasting probes tell.
    is_deceptive: bool,
}

/// What is known of one rate.
#[derive(Clone, Copy, Debug)]
struct Tally {
    rate: f64,
    held: usize,
    not_held: usize,
    invalid: usize,
    /// Whether it was held for longer.
    lasted: bool,
}

impl Search {
    /// A search that has not begun.
    pub fn new(limits: SearchLimits) -> Search {
        Search {
            limits,
            rates: Vec::new(),
            probes: 0,
            asked: (limits.rate_first, false),
            is_deceptive: false,
        }
    }

    /// What to do, given everything that was noted.
    pub fn step(&mut self) -> Step {
        let step = self.decide();
        if let Step::Probe { rate, lasting } = step {
            self.asked = (rate, lasting);
        }
        step
    }

    /// Notes what the probe of the rate that was asked for showed.
    pub fn note(&mut self, verdict: Verdict) {
        self.probes += 1;
        let (rate, lasting) = self.asked;
        let position = self.rates.partition_point(|tally| tally.rate < rate);
        if self.rates.get(position).is_none_or(|tally| tally.rate > rate) {
            self.rates.insert(position, Tally::of(rate));
        }
        let tally = &mut self.rates[position];
        self.is_deceptive |= lasting && tally.held > 0 && verdict == Verdict::NotHeld;
        // To hold a rate for long is more than to hold it twice from rest. Not to hold it is so only
        // where it was held from rest: else one hiccup is enough, and the longer one looks the
        // likelier it is.
        let is_lasting_word = lasting && (verdict == Verdict::Held || tally.held > 0);
        let weight = if is_lasting_word { SAME_VERDICTS } else { 1 };
        match verdict {
            Verdict::Held => tally.held += weight,
            Verdict::NotHeld => tally.not_held += weight,
            // What was not seen is not seen any better for having been looked at for long.
            Verdict::Invalid => tally.invalid += 1,
        }
        tally.lasted |= lasting && verdict == Verdict::Held;
    }

    /// How many probes there were.
    pub fn probes(&self) -> usize {
        self.probes
    }

    /// What is known, whenever it is asked: the end of a search that was stopped.
    pub fn so_far(&self) -> Found {
        match self.edge() {
            (None, None) => Found::Unfinished { held: 0.0 },
            (Some(held), None) => Found::Unfinished { held: held.rate },
            (None, Some(above)) if above.rate / self.limits.step >= RATE_MIN => {
                self.ended(0.0, above).unwrap_or(Found::Unfinished { held: 0.0 })
            }
            (None, Some(above)) => self.ended(0.0, above).unwrap_or(Found::NothingHeld),
            (Some(held), Some(above)) => {
                let limit = Found::Limit { held: held.rate, not_held: above.rate };
                self.ended(held.rate, above).unwrap_or(limit)
            }
        }
    }

    fn decide(&self) -> Step {
        let SearchLimits { rate_first, rate_max, step, resolution, probes_max } = self.limits;
        let (held, above) = self.edge();
        let out_of_probes = self.probes >= probes_max;
        match (held, above) {
            (None, None) => Step::Probe { rate: rate_first, lasting: false },
            (Some(held), None) if held.rate >= rate_max => {
                Step::Done(Found::NoLimit { held: held.rate })
            }
            (Some(_), None) if out_of_probes => Step::Done(self.so_far()),
            (Some(held), None) => {
                Step::Probe { rate: (held.rate * step).min(rate_max), lasting: false }
            }
            (None, Some(above)) if above.rate / step < RATE_MIN || out_of_probes => {
                Step::Done(self.so_far())
            }
            (None, Some(above)) => Step::Probe { rate: above.rate / step, lasting: false },
            (Some(held), Some(above)) if above.rate <= held.rate * (1.0 + resolution) => {
                // At the edge both sides have to be sure, the held one first.
                if out_of_probes || (held.lasted && above.is_sure()) {
                    Step::Done(self.so_far())
                } else if held.lasted {
                    Step::Probe { rate: above.rate, lasting: self.is_deceptive }
                } else {
                    Step::Probe { rate: held.rate, lasting: true }
                }
            }
            (Some(_), Some(_)) if out_of_probes => Step::Done(self.so_far()),
            // Everything after this looks below it, so that it had better be true. Halfway through
            // a search its neighbours would tell; one step above the last that was held, nothing
            // does but asking again.
            (Some(held), Some(above)) if above.rate >= held.rate * step && !above.is_sure() => {
                Step::Probe { rate: above.rate, lasting: false }
            }
            (Some(held), Some(above)) => {
                Step::Probe { rate: (held.rate * above.rate).sqrt(), lasting: self.is_deceptive }
            }
        }
    }

    /// The highest rate that is held with none below it that is not, and the next above it.
    fn edge(&self) -> (Option<&Tally>, Option<&Tally>) {
        let first_not_held = self.rates.iter().position(|tally| !tally.is_held());
        match first_not_held {
            Some(0) => (None, self.rates.first()),
            Some(position) => (self.rates.get(position - 1), self.rates.get(position)),
            None => (self.rates.last(), None),
        }
    }

    /// Whether it was the generator that ended at `above`.
    fn ended(&self, held: f64, above: &Tally) -> Option<Found> {
        (above.invalid >= INVALID_MAX && above.not_held == 0)
            .then_some(Found::GeneratorFirst { held })
    }
}

impl Tally {
    fn of(rate: f64) -> Tally {
        Tally { rate, held: 0, not_held: 0, invalid: 0, lasted: false }
    }

    /// The majority decides; a tie is one good probe short.
    fn is_held(&self) -> bool {
        self.held > self.not_held + self.invalid
    }

    fn is_sure(&self) -> bool {
        self.held.max(self.not_held).max(self.invalid) >= SAME_VERDICTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a search against a service; the found limit and the number of probes.
    fn play(limits: SearchLimits, mut service: impl FnMut(f64) -> Verdict) -> (Found, usize) {
        play_for(limits, |rate, _| service(rate))
    }

    /// The same against one for which it makes a difference whether it is asked for longer.
    fn play_for(
        limits: SearchLimits,
        mut service: impl FnMut(f64, bool) -> Verdict,
    ) -> (Found, usize) {
        let mut search = Search::new(limits);
        loop {
            match search.step() {
                Step::Probe { rate, lasting } => search.note(service(rate, lasting)),
                Step::Done(found) => return (found, search.probes()),
            }
        }
    }

    fn holds_up_to(limit: f64) -> impl FnMut(f64) -> Verdict {
        move |rate| if rate <= limit { Verdict::Held } else { Verdict::NotHeld }
    }

    #[test]
    fn finds_the_limit_wherever_it_is() {
        for limit in [0.3, 7.0, 99.9, 100.0, 100.1, 1_234.5, 50_000.0, 999_999.0] {
            let (found, probes) = play(SearchLimits::default(), holds_up_to(limit));
            let Found::Limit { held, not_held } = found else { panic!("{limit}: {found:?}") };
            assert!(held <= limit && limit < not_held, "{limit}: {found:?}");
            assert!(not_held / held <= 1.03, "{limit}: {found:?}");
            assert!(probes <= 30, "{limit}: {probes} probes");
        }
    }

    #[test]
    fn a_service_without_a_limit_and_one_that_holds_nothing_are_told_apart() {
        let (found, _) = play(SearchLimits::default(), |_| Verdict::Held);
        assert_eq!(found, Found::NoLimit { held: 1_000_000.0 });
        let (found, _) = play(SearchLimits::default(), |_| Verdict::NotHeld);
        assert_eq!(found, Found::NothingHeld);
    }

    #[test]
    fn a_generator_at_its_end_is_not_taken_for_the_service() {
        let weak = |rate| if rate <= 5_000.0 { Verdict::Held } else { Verdict::Invalid };
        let (found, _) = play(SearchLimits::default(), weak);
        let Found::GeneratorFirst { held } = found else { panic!("{found:?}") };
        assert!((4_800.0..=5_000.0).contains(&held), "{held}");
    }

    #[test]
    fn one_bad_probe_does_not_move_the_limit() {
        for unlucky in 0..25 {
            let mut probe = 0;
            let (found, probes) = play(SearchLimits::default(), |rate| {
                probe += 1;
                let held = rate <= 3_000.0 && probe != unlucky + 1;
                if held { Verdict::Held } else { Verdict::NotHeld }
            });
            let Found::Limit { held, not_held } = found else { panic!("{found:?}") };
            assert!((2_900.0..=3_000.0).contains(&held), "{unlucky}: {found:?}, {probes} probes");
            assert!(not_held > 3_000.0 || held < 3_000.0, "{unlucky}: {found:?}");
        }
    }

    #[test]
    fn a_rate_that_is_held_from_rest_but_does_not_last_is_above_the_limit() {
        let mut lasting_probes = 0;
        let (found, probes) = play_for(SearchLimits::default(), |rate, lasting| {
            lasting_probes += usize::from(lasting);
            let limit = if lasting { 3_000.0 } else { 3_300.0 };
            if rate <= limit { Verdict::Held } else { Verdict::NotHeld }
        });
        let Found::Limit { held, not_held } = found else { panic!("{found:?}") };
        assert!((2_900.0..=3_000.0).contains(&held) && not_held > 3_000.0, "{found:?}");
        assert!(probes <= 21 && lasting_probes <= 8, "{probes} probes, {lasting_probes} lasting");
    }

    #[test]
    fn one_bad_probe_does_not_move_the_limit_where_all_are_lasting_either() {
        for unlucky in 0..25 {
            let mut probe = 0;
            let (found, probes) = play_for(SearchLimits::default(), |rate, lasting| {
                probe += 1;
                let limit = if lasting { 3_000.0 } else { 3_300.0 };
                let held = rate <= limit && probe != unlucky + 1;
                if held { Verdict::Held } else { Verdict::NotHeld }
            });
            let Found::Limit { held, not_held } = found else { panic!("{found:?}") };
            let is_near = (2_900.0..=3_000.0).contains(&held) && not_held > 3_000.0;
            let ended_by_itself = probes < SearchLimits::default().probes_max;
            assert!(is_near && ended_by_itself, "{unlucky}: {found:?}, {probes} probes");
        }
    }

    #[test]
    fn a_search_that_is_stopped_tells_what_it_knows() {
        let mut search = Search::new(SearchLimits::default());
        assert_eq!(search.so_far(), Found::Unfinished { held: 0.0 });
        let mut service = holds_up_to(300.0);
        for known in [
            Found::Unfinished { held: 100.0 },
            Found::Unfinished { held: 200.0 },
            Found::Limit { held: 200.0, not_held: 400.0 },
        ] {
            let Step::Probe { rate, .. } = search.step() else { panic!("{known:?}") };
            search.note(service(rate));
            assert_eq!(search.so_far(), known);
        }
        let limits = SearchLimits { probes_max: 3, ..SearchLimits::default() };
        assert_eq!(play(limits, |_| Verdict::Held).0, Found::Unfinished { held: 400.0 });
        assert_eq!(play(limits, |_| Verdict::NotHeld).0, Found::Unfinished { held: 0.0 });
    }

    #[test]
    fn the_number_of_probes_is_bounded_whatever_the_service_says() {
        let limits = SearchLimits { probes_max: 12, ..SearchLimits::default() };
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let verdicts = [Verdict::Held, Verdict::NotHeld, Verdict::Invalid];
            let (_, probes) = play(limits, |_| verdicts[random.usize(..3)]);
            assert!(probes <= 12, "{probes}");
        }
    }
}
