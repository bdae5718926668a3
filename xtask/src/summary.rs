//! Adds up what the test runners say they ran, whichever of them it was.

use std::time::Duration;

/// How many tests there were, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Summary {
    /// Adds what a line of a test runner reports; any other line adds nothing.
    pub(crate) fn add_line(&mut self, line: &str) {
        let line = without_colour(line);
        // cargo-nextest: `Summary [   1.259s] 31 tests run: 30 passed (1 slow), 1 failed, 0 skipped`
        if line.trim_start().starts_with("Summary [") {
            if let Some((_, counts)) = line.split_once(" run: ") {
                self.add_counts(counts.split(", "));
            }
        // At the start of a line only: cargo-nextest shows, indented, what a failed test's own
        // libtest said.
        // libtest: `test result: ok. 31 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; …`
        } else if let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        {
            self.add_counts(counts.split("; "));
        }
    }

    /// Adds a test that no test runner ran.
    pub(crate) fn add_test(&mut self, passed: bool) {
        if passed { self.passed += 1 } else { self.failed += 1 }
    }

    fn add_counts<'a>(&mut self, counts: impl Iterator<Item = &'a str>) {
        for count in counts {
            let mut words = count.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed" | "timed" | "exec") => self.failed += number,
                Some("skipped" | "ignored" | "filtered") => self.skipped += number,
                _ => {}
            }
        }
    }

    pub(crate) fn run(&self) -> u64 {
        self.passed + self.failed
    }

    /// The last line of a whole run, in the form of cargo-nextest.
    pub(crate) fn shown(&self, took: Duration) -> String {
        let failed =
            if self.failed > 0 { format!("{} failed, ", self.failed) } else { String::new() };
        format!(
            "     Summary [{:>8.3}s] {} tests run: {} passed, {failed}{} skipped",
            took.as_secs_f64(),
            self.run(),
            self.passed,
            self.skipped
        )
    }
}

fn without_colour(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            // A colour is ESC [ … m.
            characters.by_ref().find(|character| *character == 'm');
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], shown: &str) {
        let mut summary = Summary::default();
        for line in lines {
            summary.add_line(line);
        }
        assert_eq!(summary.shown(Duration::from_millis(1_500)), shown);
    }

    #[test]
    fn adds_up_both_runners() {
        check(
            &[
                "     Summary [   1.259s] 31 tests run: 30 passed (1 slow), 1 failed, 2 skipped",
                "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s",
                "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            ],
            "     Summary [   1.500s] 38 tests run: 35 passed, 3 failed, 6 skipped",
        );
    }

    #[test]
    fn a_run_that_is_cut_short_counts_what_ran() {
        check(
            &["Summary [   0.148s] 7/31 tests run: 6 passed, 1 timed out, 0 skipped"],
            "     Summary [   1.500s] 7 tests run: 6 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn a_failure_that_is_shown_again_counts_once() {
        check(
            &[
                "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 51 filtered out",
                "     Summary [   0.1s] 2 tests run: 1 passed, 1 failed, 0 skipped",
            ],
            "     Summary [   1.500s] 2 tests run: 1 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn colours_do_not_matter_and_other_lines_add_nothing() {
        check(
            &[
                "\u{1b}[32;1m     Summary\u{1b}[0m [   0.1s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m skipped",
                "running 2 tests",
                "I have 100 passed",
                "",
            ],
            "     Summary [   1.500s] 2 tests run: 2 passed, 0 skipped",
        );
    }
}
