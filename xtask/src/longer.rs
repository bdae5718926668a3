//! `cargo xtask fuzz` and `cargo xtask drains`: tests that every run of the tests does a little
//! of, for as long as one likes.

use crate::Outcome;
use crate::shell::{command, run as carry_out};

/// The packages that parse what strangers send.
const PARSERS: &[&str] = &["tenfold-config", "tenfold-server"];

/// Runs the fuzz test of each parser for so long, one after the other. What fails prints its input
/// as a Rust literal.
///
/// # Errors
/// When one fails.
pub fn fuzz(seconds: u32, seed: u64) -> Outcome {
    for package in PARSERS {
        let tests = ["test", "-p", package, "--lib", "--test", "it", "fuzz_", "--"];
        let mut fuzz = command("cargo", &tests);
        // One after the other, so that each has a core for itself.
        fuzz.args(["--nocapture", "--test-threads=1"]);
        fuzz.env("TENFOLD_TEST_FUZZ_SECONDS", seconds.to_string());
        fuzz.env("TENFOLD_TEST_FUZZ_SEED", seed.to_string());
        carry_out(fuzz)?;
    }
    Ok(0)
}

/// Drains a server under load so often.
///
/// # Errors
/// When a request fails.
pub fn drains(count: u32) -> Outcome {
    let test = "no_request_fails_in_a_drain_under_load";
    let mut drains = command("cargo", &["test", "-p", "tenfold-server", "--test", "it", test]);
    drains.args(["--", "--test-threads=1"]).env("TENFOLD_TEST_DRAINS", count.to_string());
    carry_out(drains)?;
    Ok(0)
}
