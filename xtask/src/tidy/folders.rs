//! A package lies where its name says: who has read a name in an error knows the folder.

use super::Complaint;
use crate::repository::Repository;

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for package in &repository.packages {
        let wanted = folder_of(&package.name, &package.folder);
        if package.folder != wanted {
            complaints.push(Complaint::new(
                format!("{}/Cargo.toml", package.folder),
                format!(
                    "package {} lies in {}: move it to {wanted}, or name it after its folder, \
                     because the path is the answer to where something is",
                    package.name, package.folder
                ),
            ));
        }
    }
    complaints
}

fn folder_of(name: &str, folder: &str) -> String {
    match name.strip_prefix("tenfold-") {
        Some(short) => format!("crates/{short}"),
        None if name == "tenfold" => "crates/tenfold".to_owned(),
        None if folder.starts_with("bench/") => format!("bench/{name}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    #[test]
    fn names_and_folders_agree() {
        let repository = made_up::packages(&[
            ("tenfold-db", "crates/db", &[]),
            ("tenfold", "crates/tenfold", &[]),
            ("store", "store", &[]),
            ("floor", "bench/floor", &[]),
        ]);
        assert_says(check, &repository, &[]);
    }

    #[test]
    fn or_it_says_where_to() {
        let repository = made_up::packages(&[("tenfold-db", "crates/database", &[])]);
        assert_says(
            check,
            &repository,
            &[
                "crates/database/Cargo.toml: package tenfold-db lies in crates/database: move it to \
               crates/db, or name it after its folder, because the path is the answer to where \
               something is",
            ],
        );
    }
}
