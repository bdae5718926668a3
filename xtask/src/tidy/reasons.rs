//! Whoever allows what a lint forbids says why, in a comment beside it.

use super::Complaint;
use crate::repository::Repository;

/// This file spells them out.
const EXEMPT: &str = "xtask/src/tidy/reasons.rs";

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.rust_files().filter(|file| file.path != EXEMPT) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for (number, line) in lines.iter().enumerate() {
            let allows = line.starts_with("#[allow(") || line.starts_with("#![allow(");
            if allows && !has_reason(&lines, number) {
                complaints.push(Complaint::at(
                    &file.path,
                    number,
                    "an exception from a lint without a reason is banned: say why in a comment \
                     above it, or do without, because the next reader cannot tell it from a \
                     shortcut",
                ));
            }
        }
    }
    complaints
}

fn has_reason(lines: &[&str], number: usize) -> bool {
    let line = lines[number];
    if line.contains("reason =") || line.contains("// ") {
        return true;
    }
    // Above it, with other attributes in between. Documentation counts: it may say why.
    let above = lines[..number].iter().rev().find(|line| !line.starts_with("#["));
    above.is_some_and(|line| line.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn exceptions_have_a_reason() {
        let text = "// The kernel says so.\n#[derive(Debug)]\n#[allow(unsafe_code)]\nstruct A;\n\
                    #[allow(dead_code)] // Read by a debugger.\nstruct B;\n\n\
                    #[allow(clippy::all)]\nstruct C;\n";
        assert_says(
            check,
            &made_up::files(&[("a.rs", text)]),
            &["a.rs:8: an exception from a lint without a reason is banned: say why in a comment \
               above it, or do without, because the next reader cannot tell it from a shortcut"],
        );
    }
}
