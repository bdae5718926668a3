//! Puts files into a folder, all of them or none: a page that ends in the middle, because the disk
//! is full, would be taken for a report.

use std::fs;
use std::path::Path;

use super::SaveError;

/// Writes these texts into a folder under these names; the folder is made if it is not there.
/// Until all of them are written, what was there before is left alone.
pub(super) fn all(folder: &Path, files: &[(&'static str, String)]) -> Result<(), SaveError> {
    fs::create_dir_all(folder).map_err(|error| SaveError { path: folder.to_owned(), error })?;
    let saved = put(folder, files);
    if saved.is_err() {
        for (name, _) in files {
            // Some were never begun, or are in their place already.
            let _ = fs::remove_file(folder.join(part(name)));
        }
    }
    saved
}

/// Makes the folder if it is not there, and sees whether a file can be put into it.
pub(super) fn check(folder: &Path) -> Result<(), SaveError> {
    let wrong = |error| SaveError { path: folder.to_owned(), error };
    fs::create_dir_all(folder).map_err(wrong)?;
    let file = folder.join(part("check"));
    fs::write(&file, "").map_err(wrong)?;
    fs::remove_file(&file).map_err(wrong)
}

fn put(folder: &Path, files: &[(&'static str, String)]) -> Result<(), SaveError> {
    for (name, text) in files {
        fs::write(folder.join(part(name)), text)
            .map_err(|error| SaveError { path: folder.join(name), error })?;
    }
    for (name, _) in files {
        fs::rename(folder.join(part(name)), folder.join(name))
            .map_err(|error| SaveError { path: folder.join(name), error })?;
    }
    Ok(())
}

/// The name until all is written; another process may be writing into the same folder.
fn part(name: &str) -> String {
    format!(".{name}.{}.part", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_folder_is_made_and_looked_at_without_a_trace() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("a/b");
        check(&folder).unwrap();
        assert_eq!(names(&folder), [""; 0]);
        fs::write(folder.join("file"), "").unwrap();
        assert!(check(&folder.join("file/below")).is_err());
        // As one that may not be written to does, whoever asks.
        fs::create_dir(folder.join(part("check"))).unwrap();
        assert_eq!(check(&folder).unwrap_err().path, folder);
    }

    #[test]
    fn files_replace_those_that_were_there() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("a/b");
        for text in ["first", "second"] {
            all(&folder, &[("a.html", text.to_owned()), ("a.json", "{}".to_owned())]).unwrap();
            assert_eq!(fs::read_to_string(folder.join("a.html")).unwrap(), text);
            assert_eq!(names(&folder), ["a.html", "a.json"], "and nothing else is left");
        }
    }

    #[test]
    fn where_one_cannot_be_written_the_earlier_ones_stay_and_nothing_is_left() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        all(folder, &[("a.json", "earlier".to_owned())]).unwrap();
        // As a full disk does, this stops the second of two.
        fs::create_dir(folder.join(part("a.html"))).unwrap();
        let files = [("a.json", "later".to_owned()), ("a.html", "page".to_owned())];
        let error = all(folder, &files).unwrap_err();
        assert_eq!(error.path, folder.join("a.html"), "the name that a person knows");
        assert_eq!(fs::read_to_string(folder.join("a.json")).unwrap(), "earlier");
        fs::remove_dir(folder.join(part("a.html"))).unwrap();
        assert_eq!(names(folder), ["a.json"]);
    }
}
