//! What was said when there was no connection: by the system, by TLS, by the other side. Failures
//! say that it was so, this says why.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::ending::Failure;

/// So many different causes are told apart. A service has few ways to fail at a time, but one that
/// puts a number into each message would otherwise fill the memory.
const CAUSES_MAX: usize = 16;

/// What comes after this many characters of a cause nobody reads: a certificate may name hundreds
/// of hosts.
const CHARACTERS_MAX: usize = 200;

/// What all further causes are counted as.
const OTHERS: &str = "something else";

/// Why there was no connection, and how often; of bounded size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes {
    counts: BTreeMap<(Failure, String), u64>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The failure that it explains: see [`Failure::name`].
    pub failure: String,
    /// What was said: `Connection refused`.
    pub words: String,
    /// How often.
    pub count: u64,
}

impl Causes {
    pub(crate) fn note(&mut self, failure: Failure, words: &str) {
        let words: String =
            words.chars().filter(|one| !one.is_control()).take(CHARACTERS_MAX).collect();
        self.add((failure, words), 1);
    }

    pub(super) fn absorb(&mut self, other: &Causes) {
        for (cause, count) in &other.counts {
            self.add(cause.clone(), *count);
        }
    }

    fn add(&mut self, (failure, words): (Failure, String), count: u64) {
        let mut cause = (failure, words);
        if self.counts.len() >= CAUSES_MAX && !self.counts.contains_key(&cause) {
            OTHERS.clone_into(&mut cause.1);
        }
        *self.counts.entry(cause).or_default() += count;
    }

    /// All of them, the most frequent first.
    pub fn ranked(&self) -> Vec<Cause> {
        let mut ranked: Vec<Cause> = self
            .counts
            .iter()
            .map(|((failure, words), count)| Cause {
                failure: failure.name().to_owned(),
                words: words.clone(),
                count: *count,
            })
            .collect();
        ranked.sort_by_key(|cause| Reverse(cause.count));
        ranked
    }

    /// The most frequent cause of a failure; none if nothing was said.
    pub(crate) fn most_frequent(&self, failure: Failure) -> Option<&str> {
        let of_it = self.counts.iter().filter(|((one, _), _)| *one == failure);
        of_it.max_by_key(|(_, count)| **count).map(|((_, words), _)| words.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_counted_and_the_most_frequent_comes_first() {
        let mut causes = Causes::default();
        causes.note(Failure::Connect, "refused");
        for _ in 0..3 {
            causes.note(Failure::Handshake, "nobody\ntrusts \x1b[1mit");
        }
        let mut whole = causes.clone();
        whole.absorb(&causes);
        let cause = |failure: &str, words: &str, count| Cause {
            failure: failure.to_owned(),
            words: words.to_owned(),
            count,
        };
        assert_eq!(
            whole.ranked(),
            [cause("handshake", "nobodytrusts [1mit", 6), cause("connect", "refused", 2)]
        );
        assert_eq!(whole.most_frequent(Failure::Connect), Some("refused"));
        assert_eq!(whole.most_frequent(Failure::Reset), None);
    }

    #[test]
    fn causes_without_end_have_a_bound_and_none_is_left_out() {
        let mut causes = Causes::default();
        for number in 0..1_000 {
            causes.note(Failure::Handshake, &format!("number {number}"));
            causes.note(Failure::Connect, &"x".repeat(10_000));
        }
        let ranked = causes.ranked();
        assert_eq!(ranked.len(), CAUSES_MAX + 1, "{ranked:?}");
        assert_eq!(ranked.iter().map(|cause| cause.count).sum::<u64>(), 2_000);
        assert!(ranked.iter().any(|cause| cause.words == OTHERS && cause.count == 985));
        assert!(ranked.iter().all(|cause| cause.words.chars().count() <= CHARACTERS_MAX));
        let mut whole = Causes::default();
        for _ in 0..9 {
            whole.absorb(&causes);
        }
        assert_eq!(whole.ranked().len(), CAUSES_MAX + 1, "of several threads as well");
    }
}
