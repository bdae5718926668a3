//! Every file opens with the sentence that says why it exists: whoever cannot write it has two
//! files in one, or none.

use super::Complaint;
use crate::repository::Repository;

/// A sentence of fewer words says no more than the file's name.
const WORDS_MIN: usize = 5;

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    repository
        .rust_files()
        .filter_map(|file| {
            let wrong = wrong(&file.text)?;
            Some(Complaint::at(
                &file.path,
                0,
                format!("{wrong}: open with `//! ` and one sentence that says why the file exists"),
            ))
        })
        .collect()
}

fn wrong(text: &str) -> Option<&'static str> {
    let paragraph: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    let paragraph = paragraph.join(" ");
    if paragraph.is_empty() {
        return Some("no opening sentence");
    }
    if paragraph.split_whitespace().count() < WORDS_MIN {
        return Some("the opening says no more than a name does");
    }
    (!paragraph.ends_with('.')).then_some("the opening does not end with a full stop")
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    fn check_file(text: &str, wrong: Option<&str>) {
        let repository = made_up::files(&[("crates/x/src/pool.rs", text)]);
        let expected = wrong.map(|wrong| {
            format!(
                "crates/x/src/pool.rs:1: {wrong}: open with `//! ` and one sentence that says why \
                 the file exists"
            )
        });
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_says(check, &repository, &expected);
    }

    #[test]
    fn a_sentence_is_a_sentence() {
        check_file(
            "//! Lends connections, and takes\n//! them back clean.\n//!\n//! More\nfn x() {}",
            None,
        );
    }

    #[test]
    fn anything_less_is_not() {
        check_file("", Some("no opening sentence"));
        check_file("use x;\n//! Too late to say why it exists.", Some("no opening sentence"));
        check_file("//! The pool.", Some("the opening says no more than a name does"));
        check_file(
            "//! Lends connections and takes them back\n\n//! clean.",
            Some("the opening does not end with a full stop"),
        );
    }
}
