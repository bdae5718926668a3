//! ARCHITECTURE.md opens with the question that everybody has, "Where is …?", and answers it with
//! paths that are there.

use super::Complaint;
use super::paths::{in_backticks, is_path};
use crate::repository::Repository;

const FILE: &str = "ARCHITECTURE.md";

/// Fewer answers than this are no map.
const ROWS_MIN: usize = 5;

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let Some(text) = repository.text(FILE) else {
        return vec![Complaint::new(FILE, "is missing: a newcomer has no map")];
    };
    let after_heading = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| !(line.starts_with('#') && line.contains("Where is")));
    let rows: Vec<(usize, &str)> = after_heading
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('#'))
        .filter(|(_, line)| line.starts_with('|'))
        // Below the heading of the table and its line of dashes.
        .skip(2)
        .collect();
    if rows.len() < ROWS_MIN {
        return vec![Complaint::new(
            FILE,
            "has no table under a heading \"Where is …?\": write one, a question and its path per \
             row, because that is what a newcomer looks for first",
        )];
    }
    let mut complaints = Vec::new();
    for (line, row) in rows {
        let paths: Vec<&str> = in_backticks(row).filter(|word| is_path(word)).collect();
        if paths.is_empty() {
            complaints.push(Complaint::at(
                FILE,
                line,
                "this row names no path: it answers nothing",
            ));
        }
        for path in paths {
            if !repository.exists(path) {
                complaints.push(Complaint::at(
                    FILE,
                    line,
                    format!("`{path}` is not there: name the path where it is now"),
                ));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    fn check_map(rows: &str, expected: &[&str]) {
        let head = "# Architecture\n\n## Where is …?\n\n| question | path |\n|---|---|\n";
        let text = format!("{head}{rows}\n## Else\n| `a/b.rs` |\n");
        let files = [("crates/db/src/pool.rs", ""), (FILE, text.as_str())];
        assert_says(check, &made_up::files(&files), expected);
    }

    #[test]
    fn every_row_leads_somewhere() {
        check_map(&"| the pool | `crates/db/src/pool.rs` |\n".repeat(5), &[]);
    }

    #[test]
    fn or_it_is_named() {
        let good = "| the pool | `crates/db/src/pool.rs` |\n".repeat(4);
        check_map(
            &format!("{good}| `Lane` | `crates/db/src/lane.rs` |\n| the soul | everywhere |\n"),
            &[
                "ARCHITECTURE.md:11: `crates/db/src/lane.rs` is not there: name the path where it is \
                 now",
                "ARCHITECTURE.md:12: this row names no path: it answers nothing",
            ],
        );
    }

    #[test]
    fn there_must_be_a_map() {
        assert_says(
            check,
            &made_up::files(&[]),
            &["ARCHITECTURE.md: is missing: a newcomer has no map"],
        );
        check_map(
            "| the pool | `crates/db/src/pool.rs` |\n",
            &[
                "ARCHITECTURE.md: has no table under a heading \"Where is …?\": write one, a question \
               and its path per row, because that is what a newcomer looks for first",
            ],
        );
    }
}
