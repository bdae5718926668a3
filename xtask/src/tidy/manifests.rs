//! Versions, lints and their reasons stand once, in the root manifest; a crate's own says what it
//! is and what it uses.

use toml::{Table, Value};

use super::Complaint;
use crate::repository::Repository;

pub(super) fn check(repository: &Repository) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for file in repository.manifests() {
        let mut complain = |text: String| complaints.push(Complaint::new(&file.path, text));
        let manifest: Table = match file.text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                complain(format!("is not TOML: {error}"));
                continue;
            }
        };
        let field = |table: &str, field: &str| manifest.get(table).and_then(|it| it.get(field));
        if field("lints", "workspace") != Some(&Value::Boolean(true)) {
            complain(
                "add `[lints]` with `workspace = true`, because a crate without the lints is a \
                 crate without the rules"
                    .into(),
            );
        }
        if field("package", "description").and_then(Value::as_str).is_none_or(str::is_empty) {
            complain(
                "describe the package in one line, because the list of crates is where a \
                 newcomer starts"
                    .into(),
            );
        }
        for name in versions(&manifest) {
            complain(format!(
                "a version or path for {name} is banned here: write `{name}.workspace = true` and \
                 put it into the root manifest, because each dependency has one version"
            ));
        }
    }
    complaints
}

/// Dependencies that do not come from the workspace.
fn versions(manifest: &Table) -> Vec<String> {
    let per_target = manifest.get("target").and_then(Value::as_table);
    let per_target = per_target.into_iter().flat_map(Table::values).filter_map(Value::as_table);
    std::iter::once(manifest)
        .chain(per_target)
        .flat_map(|table| {
            ["dependencies", "dev-dependencies", "build-dependencies"]
                .into_iter()
                .filter_map(|kind| table.get(kind)?.as_table())
        })
        .flatten()
        .filter(|(_, dependency)| dependency.get("workspace") != Some(&Value::Boolean(true)))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::assert_says;
    use super::*;
    use crate::repository::made_up;

    fn check_manifest(text: &str, expected: &[&str]) {
        let repository = made_up::files(&[("crates/x/Cargo.toml", text)]);
        assert_says(check, &repository, expected);
    }

    #[test]
    fn takes_from_the_workspace() {
        check_manifest(
            "package.description = 'x'\nlints.workspace = true\n[dependencies]\nbytes.workspace = true\n\
             tokio = { workspace = true, features = ['rt'] }",
            &[],
        );
    }

    #[test]
    fn or_it_says_what_to_write() {
        check_manifest(
            "package.description = ''\n[dependencies]\nbytes = '1'\n\
             [target.'cfg(unix)'.dev-dependencies]\nnix = { version = '0.31' }",
            &[
                "crates/x/Cargo.toml: add `[lints]` with `workspace = true`, because a crate without \
                 the lints is a crate without the rules",
                "crates/x/Cargo.toml: describe the package in one line, because the list of crates is \
                 where a newcomer starts",
                "crates/x/Cargo.toml: a version or path for bytes is banned here: write \
                 `bytes.workspace = true` and put it into the root manifest, because each dependency \
                 has one version",
                "crates/x/Cargo.toml: a version or path for nix is banned here: write \
                 `nix.workspace = true` and put it into the root manifest, because each dependency \
                 has one version",
            ],
        );
    }

    #[test]
    fn names_what_is_no_toml() {
        let repository = made_up::files(&[("crates/x/Cargo.toml", "[")]);
        assert!(check(&repository)[0].text.starts_with("is not TOML: "));
    }
}
