//! `cargo xtask docs`: documents that are made from the program. What they hold is known to a test
//! beside what it is made from, which also says when one is old.

use crate::Outcome;
use crate::shell::{command, run as carry_out};

/// Each is a package and a test of it that writes a document when it is told to.
const DOCUMENTS: &[(&str, &str)] = &[("tenfold-service", "the_page_of_limits_is_fresh")];

/// Writes all of them.
///
/// # Errors
/// When one cannot be made, after its test has said why.
pub fn run() -> Outcome {
    for (package, test) in DOCUMENTS {
        let mut writes = command("cargo", &["test", "-p", package, "--test", "it", test]);
        writes.env("TENFOLD_TEST_WRITE_DOCS", "yes");
        carry_out(writes)?;
    }
    Ok(0)
}
