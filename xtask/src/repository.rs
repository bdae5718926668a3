//! The workspace as plain values, so that a check is a function from them to complaints and its
//! tests make up any workspace they like.

use std::collections::BTreeSet;

use crate::Error;
use crate::shell::{command, read, root};

/// Every text file that git knows or would, and every package.
#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) files: Vec<File>,
    pub(crate) packages: Vec<Package>,
}

#[derive(Debug)]
pub(crate) struct File {
    /// From the workspace's folder, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// From the workspace's folder.
    pub(crate) folder: String,
    /// Dependencies on other packages of the workspace.
    pub(crate) arrows: Vec<Arrow>,
}

#[derive(Debug)]
pub(crate) struct Arrow {
    pub(crate) to: String,
    pub(crate) for_tests_only: bool,
}

impl Repository {
    pub(crate) fn read() -> Result<Repository, Error> {
        let listed = read(command("git", &["ls-files", "-z", "-co", "--exclude-standard"]))?;
        let paths: BTreeSet<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
        let files = paths
            .into_iter()
            // What cannot be read is a picture, or was deleted and not committed yet.
            .filter_map(|path| {
                let text = std::fs::read_to_string(root().join(path)).ok()?;
                Some(File { path: path.to_owned(), text })
            })
            .collect();
        let metadata = read(command("cargo", &["metadata", "--no-deps", "--format-version", "1"]))?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
        Ok(Repository { files, packages: packages(&metadata) })
    }

    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// Whether there is such a file, or a folder with a file in it.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| {
            file.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    pub(crate) fn rust_files(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"))
    }

    /// What somebody reads before the code.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| {
            let path = file.path.as_str();
            ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].contains(&path)
                || path.starts_with("docs/") && path.ends_with(".md")
        })
    }
}

fn packages(metadata: &serde_json::Value) -> Vec<Package> {
    let workspace = metadata["workspace_root"].as_str().unwrap_or_default();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let manifest = package["manifest_path"].as_str().unwrap_or_default();
            let folder = manifest.trim_start_matches(workspace).trim_end_matches("Cargo.toml");
            let arrows = list(&package["dependencies"])
                .iter()
                // Only what lies in this workspace has a path.
                .filter(|dependency| dependency["path"].is_string())
                .map(|dependency| Arrow {
                    to: dependency["name"].as_str().unwrap_or_default().to_owned(),
                    for_tests_only: dependency["kind"] == "dev",
                })
                .collect();
            Package {
                name: package["name"].as_str().unwrap_or_default().to_owned(),
                folder: folder.trim_matches('/').to_owned(),
                arrows,
            }
        })
        .collect()
}

/// Makes up repositories.
#[cfg(test)]
pub(crate) mod made_up {
    use super::*;

    /// One that holds these files.
    pub(crate) fn files(files: &[(&str, &str)]) -> Repository {
        let files = files
            .iter()
            .map(|(path, text)| File { path: (*path).to_owned(), text: (*text).to_owned() })
            .collect();
        Repository { files, packages: Vec::new() }
    }

    /// One that holds these packages: name, folder, what they depend on (`?` before it: for tests).
    pub(crate) fn packages(packages: &[(&str, &str, &[&str])]) -> Repository {
        let packages = packages
            .iter()
            .map(|(name, folder, arrows)| Package {
                name: (*name).to_owned(),
                folder: (*folder).to_owned(),
                arrows: arrows
                    .iter()
                    .map(|to| Arrow {
                        to: to.trim_start_matches('?').to_owned(),
                        for_tests_only: to.starts_with('?'),
                    })
                    .collect(),
            })
            .collect();
        Repository { files: Vec::new(), packages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_this_one() {
        let repository = Repository::read().unwrap();
        let xtask = repository.packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(xtask.folder, "xtask");
        assert!(repository.exists("xtask/src") && repository.exists("xtask/src/tidy.rs"));
        assert!(!repository.exists("xtask/sr") && !repository.exists("target"));
        assert!(repository.text("Cargo.toml").is_some_and(|text| text.contains("[workspace]")));
    }

    #[test]
    fn reads_arrows_out_of_metadata() {
        let metadata = serde_json::json!({"workspace_root": "/w", "packages": [{
        "name": "tenfold-db", "manifest_path": "/w/crates/db/Cargo.toml", "dependencies": [
            {"name": "tenfold-overload", "path": "/w/crates/overload", "kind": null},
            {"name": "tenfold-local", "path": "/w/crates/local", "kind": "dev"},
            {"name": "bytes", "kind": null},
        ]}]});
        let packages = packages(&metadata);
        assert_eq!(packages[0].folder, "crates/db");
        let arrows: Vec<_> = packages[0]
            .arrows
            .iter()
            .map(|arrow| (arrow.to.as_str(), arrow.for_tests_only))
            .collect();
        assert_eq!(arrows, [("tenfold-overload", false), ("tenfold-local", true)]);
    }
}
