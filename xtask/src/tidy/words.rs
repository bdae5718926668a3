//! Words that no source has, because each stands for something that was left for later or has no
//! bound.

use super::Complaint;
use crate::repository::Repository;

/// A word, what to use, and why.
const WORDS: &[(&str, &str)] = &[
    ("unbounded_channel", "use tokio::sync::mpsc::channel, because every queue has a bound"),
    ("todo!", "write it, or leave it out whole, because a stub is a promise that compiles"),
    (
        "unimplemented!",
        "write it, or leave it out whole, because a stub is a promise that compiles",
    ),
    ("dbg!", "use tracing::debug!, because what is printed is lost and cannot be turned off"),
    (
        "#[ignore",
        "assert what happens today and say why it is wrong, because a test that does not run says nothing",
    ),
];

/// This file spells them out.
const EXEMPT: &str = "xtask/src/tidy/words.rs";

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.rust_files().filter(|file| file.path != EXEMPT) {
        for (number, line) in file.text.lines().enumerate().filter(|(_, line)| !is_comment(line)) {
            for (word, instead) in WORDS.iter().filter(|(word, _)| contains_word(line, word)) {
                let text = format!("`{word}` is banned: {instead}");
                complaints.push(Complaint::at(&file.path, number, text));
            }
        }
    }
    complaints
}

/// Whether a line is nothing but a comment, which may speak of anything.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn banned_words_come_with_what_to_use() {
        let text = "let (a, b) = mpsc::unbounded_channel();\n// never todo!()\n    todo!()\n\
                    my_dbg!(x)\n#[ignore = \"slow\"]\n";
        assert_says(
            check,
            &made_up::files(&[("a.rs", text), ("a.md", text)]),
            &[
                "a.rs:1: `unbounded_channel` is banned: use tokio::sync::mpsc::channel, because every \
                 queue has a bound",
                "a.rs:3: `todo!` is banned: write it, or leave it out whole, because a stub is a \
                 promise that compiles",
                "a.rs:5: `#[ignore` is banned: assert what happens today and say why it is wrong, \
                 because a test that does not run says nothing",
            ],
        );
    }
}
