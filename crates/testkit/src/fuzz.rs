//! Feeds a parser with what nobody sends by mistake: the inputs of a folder, and those again with
//! a few bytes changed, in an order that a seed decides, so that what fails can be seen again.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

/// How long to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// So many inputs: the same ones each time.
    Inputs(u64),
    /// So long.
    Time(Duration),
}

/// No input becomes longer.
const BYTES_MAX: usize = 8192;

/// Changes that one input undergoes at most.
const CHANGES_MAX: u64 = 8;

/// Where a change may put a number that is an edge somewhere.
const EDGES: [u8; 8] = [0x00, 0x01, 0x0a, 0x0d, 0x7f, 0x80, 0xfe, 0xff];

/// Calls `check` with every file of the folder `corpus`, and then with changed ones. `check`
/// panics at what must not be. Returns how many inputs there were.
///
/// # Panics
/// When `check` does, after the input has been printed as a Rust literal: it belongs into the
/// corpus. When the folder cannot be read or holds nothing.
pub fn fuzz(corpus: &Path, seed: u64, effort: Effort, mut check: impl FnMut(&[u8])) -> u64 {
    let corpus = read(corpus);
    for input in &corpus {
        judge(input, &mut check);
    }
    let begun = Instant::now();
    let mut random = Random(seed);
    let mut count = corpus.len() as u64;
    let goes_on = |count: u64| match effort {
        Effort::Inputs(inputs) => count < inputs,
        // A look at the clock costs as much as an input.
        Effort::Time(time) => !count.is_multiple_of(256) || begun.elapsed() < time,
    };
    while goes_on(count) {
        let mut input = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.next() % CHANGES_MAX {
            change(&mut input, &corpus, &mut random);
        }
        input.truncate(BYTES_MAX);
        judge(&input, &mut check);
        count += 1;
    }
    count
}

/// The files in the order of their names, so that a seed means the same everywhere.
fn read(corpus: &Path) -> Vec<Vec<u8>> {
    let folder =
        fs::read_dir(corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut paths: Vec<_> = folder.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds nothing", corpus.display());
    paths.iter().map(|path| fs::read(path).expect("a readable file")).collect()
}

fn judge(input: &[u8], check: &mut impl FnMut(&[u8])) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(input))) {
        eprintln!("failed with b\"{}\"", input.escape_ascii());
        resume_unwind(panic);
    }
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut Random) {
    let at = random.below(input.len() + 1);
    match random.next() % 8 {
        0 if at < input.len() => input[at] ^= 1 << (random.next() % 8),
        1 if at < input.len() => input[at] = EDGES[random.below(EDGES.len())],
        2 if at < input.len() => input[at] = random.next() as u8,
        3 => input.insert(at, random.next() as u8),
        4 if at < input.len() => {
            let length = 1 + random.below((input.len() - at).min(16));
            input.drain(at..at + length);
        }
        5 => input.truncate(at),
        6 => {
            // A piece of it again.
            let piece = piece(input, random);
            input.splice(at..at, piece);
        }
        _ => {
            // A piece of another.
            let piece = piece(&corpus[random.below(corpus.len())], random);
            input.splice(at..at, piece);
        }
    }
}

fn piece(input: &[u8], random: &mut Random) -> Vec<u8> {
    let from = random.below(input.len() + 1);
    let length = random.below((input.len() - from).min(64) + 1);
    input[from..from + length].to_vec()
}

/// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled"
/// (2016). The low bits are good enough after the multiplication's shift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // A state of 0 would stay 0.
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), b"hello").unwrap();
        fs::write(folder.path().join("b"), b"").unwrap();
        folder
    }

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let mut inputs = Vec::new();
        let count = fuzz(corpus().path(), seed, Effort::Inputs(500), |input| {
            inputs.push(input.to_vec());
        });
        assert_eq!(count, 500);
        inputs
    }

    #[test]
    fn the_same_seed_gives_the_same_inputs_and_the_corpus_comes_first() {
        let once = inputs(7);
        assert_eq!(once[..2], [b"hello".to_vec(), b"".to_vec()]);
        assert_eq!(once, inputs(7));
        assert_ne!(once, inputs(8));
        assert!(once.iter().any(|input| input.len() > 5));
    }

    #[test]
    fn time_ends_it_too() {
        let effort = Effort::Time(Duration::from_millis(5));
        assert!(fuzz(corpus().path(), 0, effort, |_| {}) >= 2);
    }

    #[test]
    #[should_panic(expected = "found")]
    fn what_must_not_be_is_found() {
        fuzz(corpus().path(), 1, Effort::Inputs(100_000), |input| {
            assert!(!input.starts_with(b"hell\x00"), "found");
        });
    }
}
