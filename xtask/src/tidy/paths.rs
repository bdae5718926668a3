//! A document that names a path which is gone sends its reader into the woods, so every path in
//! one exists.

use super::Complaint;
use crate::repository::Repository;

/// Endings that make a word with a slash in it a path, wherever it begins.
const ENDINGS: [&str; 7] = [".rs", ".md", ".toml", ".sql", ".sh", ".json", ".svg"];

/// Stands for a part that the reader chooses: `crates/NAME`.
const PLACEHOLDER: &str = "NAME";

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.documents() {
        let mut in_code = false;
        for (number, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
            }
            if in_code {
                continue;
            }
            for path in
                in_backticks(line).chain(links(line)).filter(|word| is_meant(word, repository))
            {
                // From the root, or from the document that names it.
                let beside = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let here = format!("{beside}/{path}");
                if !repository.exists(path) && !repository.exists(here.trim_start_matches('/')) {
                    complaints.push(Complaint::at(
                        &file.path,
                        number,
                        format!("`{path}` is not there: name the path where it is now"),
                    ));
                }
            }
        }
    }
    complaints
}

/// The words of a line that stand in backticks.
pub(super) fn in_backticks(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Where a line's links lead to, without what is elsewhere and without the place in the page.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.split('#').next().unwrap_or_default()))
        .filter(|target| !target.contains(':') && target.contains('.'))
}

/// Whether a word looks like a path of this repository.
pub(super) fn is_path(word: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_./-".contains(character);
    !word.is_empty()
        && word.chars().all(plain)
        && !word.starts_with('/')
        && (word.contains('/') || ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

fn is_meant(word: &str, repository: &Repository) -> bool {
    // A file's name alone may be one of many, or a user's.
    if !is_path(word) || !word.contains('/') || word.contains(PLACEHOLDER) {
        return false;
    }
    let first = word.split('/').next().unwrap_or_default();
    repository.exists(first) || ENDINGS.iter().any(|ending| word.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    fn check_document(text: &str, expected: &[&str]) {
        let files = [
            ("crates/db/src/pool.rs", ""),
            ("docs/life.md", ""),
            ("docs/guide.md", text),
            ("notes.md", "`crates/not/read.rs`"),
        ];
        assert_says(check, &made_up::files(&files), expected);
    }

    #[test]
    fn paths_that_exist_are_fine() {
        check_document("see `crates/db/src/pool.rs`, `crates/db/`, [life](life.md#waits)", &[]);
    }

    #[test]
    fn what_is_no_path_of_ours_is_none() {
        check_document(
            "`application/json`, `/livez`, `GET /products/1`, `and/or`, `bench/results/NAME.json`, \
             [x](https://example.com/a.md), `lib.rs`\n```\ncrates/x/y.rs `crates/gone.rs`\n```\n",
            &[],
        );
    }

    #[test]
    fn paths_that_are_gone_are_named() {
        check_document(
            "see `crates/db/src/lane.rs`\nand `src/gone.rs`, [gone](gone/away.md)",
            &[
                "docs/guide.md:1: `crates/db/src/lane.rs` is not there: name the path where it is now",
                "docs/guide.md:2: `src/gone.rs` is not there: name the path where it is now",
                "docs/guide.md:2: `gone/away.md` is not there: name the path where it is now",
            ],
        );
    }
}
