//! A file is one idea; one of many hundred lines hides another.

use super::Complaint;
use crate::repository::Repository;

const LINES_MAX: usize = 600;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    repository
        .rust_files()
        .filter(|file| !LONGER.iter().any(|(path, _)| *path == file.path))
        .filter_map(|file| {
            let lines = file.text.lines().count();
            (lines > LINES_MAX).then(|| {
                Complaint::new(
                    &file.path,
                    format!(
                        "{lines} lines, and {LINES_MAX} are the most: ask which idea hides in it and \
                         give that a file, or list it with a reason in xtask/src/tidy/length.rs"
                    ),
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn counts_lines() {
        let (most, more) = ("x\n".repeat(600), "x\n".repeat(601));
        let files = [("a.rs", most.as_str()), ("b.rs", &more), ("c.md", &more)];
        assert_says(
            check,
            &made_up::files(&files),
            &["b.rs: 601 lines, and 600 are the most: ask which idea hides in it and give that a \
               file, or list it with a reason in xtask/src/tidy/length.rs"],
        );
    }
}
