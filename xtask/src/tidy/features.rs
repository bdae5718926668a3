//! Features choose crates, never lines: one that cuts through code makes two programs, of which
//! one is tested.

use super::Complaint;
use super::words::is_comment;
use crate::repository::Repository;

/// The façade, which is `pub use` and nothing more.
const FACADE: &str = "crates/tenfold/src/lib.rs";

/// This file spells them out.
const EXEMPT: &str = "xtask/src/tidy/features.rs";

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.rust_files().filter(|file| ![FACADE, EXEMPT].contains(&&*file.path)) {
        for (number, line) in file.text.lines().enumerate() {
            let words: String = line.split_whitespace().collect();
            let conditional =
                words.contains("cfg(") || words.contains("cfg!(") || words.contains("cfg_attr(");
            if conditional && words.contains("feature=") && !is_comment(line) {
                complaints.push(Complaint::at(
                    &file.path,
                    number,
                    format!(
                        "a condition on a feature is banned here: choose the whole crate in {FACADE}, \
                         because a feature that cuts through code makes two programs, of which one \
                         is tested"
                    ),
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

    #[test]
    fn only_the_facade_has_conditions() {
        let text = "#[cfg(feature = \"tls\")]\nmod tls;\n#[cfg(test)]\nmod tests;\n// cfg(feature = \"x\")\n";
        let files = [(FACADE, text), ("crates/server/src/lib.rs", text)];
        assert_says(
            check,
            &made_up::files(&files),
            &[
                "crates/server/src/lib.rs:1: a condition on a feature is banned here: choose the whole \
               crate in crates/tenfold/src/lib.rs, because a feature that cuts through code makes \
               two programs, of which one is tested",
            ],
        );
    }
}
