//! A path that exists on one machine works on one machine.

use super::Complaint;
use crate::repository::Repository;

/// Where people keep their checkouts.
const FOLDERS: [&str; 4] = ["/work/", "/root/", "/home/", "/Users/"];

/// Belongs to every machine that has it: Homebrew on Linux.
const COMMON: &str = "/home/linuxbrew/";

/// This file spells them out.
const EXEMPT: &str = "xtask/src/tidy/machine.rs";

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.files.iter().filter(|file| file.path != EXEMPT) {
        for (number, line) in file.text.lines().enumerate() {
            if FOLDERS.iter().any(|folder| begins_path(line, folder)) {
                complaints.push(Complaint::at(
                    &file.path,
                    number,
                    "a path of one machine is banned: name it from the folder of the workspace, or \
                     ask for it, because nobody else has it",
                ));
            }
        }
    }
    complaints
}

/// Whether a path in the line begins with the folder (rather than having one of that name in it).
fn begins_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let inside = |character: char| character.is_alphanumeric() || "_-./}*~".contains(character);
        !before.is_some_and(inside) && !line[start..].starts_with(COMMON)
    })
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn paths_of_one_machine_are_found_everywhere() {
        let text = "data = '/home/jo/data'\nsrc/home/page.rs\n/home/linuxbrew/.linuxbrew/bin\n";
        assert_says(
            check,
            &made_up::files(&[("a.toml", text), ("b.md", "see /root/x")]),
            &[
                "a.toml:1: a path of one machine is banned: name it from the folder of the workspace, \
                 or ask for it, because nobody else has it",
                "b.md:1: a path of one machine is banned: name it from the folder of the workspace, or \
                 ask for it, because nobody else has it",
            ],
        );
    }
}
