//! `--data` with a folder that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{demo, fails, scratch};

async fn check(data: &Path, expected: &str) {
    let sentence = fails(demo(["--once", "--data", data.to_str().unwrap()])).await;
    let expected = format!("error: {}", expected.replace("DATA", data.to_str().unwrap()));
    assert!(sentence.starts_with(&expected), "{sentence}\nis not\n{expected}");
}

#[tokio::test]
async fn of_something_else() {
    let scratch = scratch();
    fs::write(scratch.path().join("diary.txt"), "dear diary").unwrap();
    check(
        scratch.path(),
        "the folder DATA holds something else than a Postgres database; \
         choose an empty or a new one",
    )
    .await;
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "and is not touched");
}

#[tokio::test]
async fn that_is_no_folder_or_cannot_be_one() {
    let scratch = scratch();
    let file = scratch.path().join("file");
    fs::write(&file, "").unwrap();
    check(&file, "DATA: File exists").await;
    check(&file.join("below"), "DATA: Not a directory").await;
    check(Path::new("/proc/tenfold"), "DATA: No such file or directory").await;
}

#[tokio::test]
async fn that_may_not_be_written() {
    let scratch = scratch();
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write everywhere, but the user as whom its server runs may not come here.
    let root = "DATA cannot be used: the server runs as user ";
    let data = closed.join("data");
    let sentence = fails(demo(["--once", "--data", data.to_str().unwrap()])).await;
    let data = data.display();
    let others = format!("error: {data}: Permission denied");
    let root = format!("error: {}", root.replace("DATA", &data.to_string()));
    assert!(sentence.starts_with(&root) || sentence.starts_with(&others), "{sentence}");
}
