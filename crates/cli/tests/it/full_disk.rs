//! A disk that is full at any point of a demo is one sentence that says so.

use std::path::Path;
use std::process::Command;

use tenfold_testkit::Program;

use crate::support::{demo, scratch, sentence};

/// Runs a demo through a shell, in which `$0` is the folder and `$@` the demo.
async fn fails_within(prepare: &str, shell: &[&str], folder: &Path) -> String {
    let data = folder.join("data");
    let demo = demo(["--once", "--products", "100000", "--data", data.to_str().unwrap()]);
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).arg("-c").arg(format!("{prepare} && exec \"$@\"")).arg(folder);
    command.arg(demo.get_program()).args(demo.get_args()).env_remove("DATABASE_URL");
    let output = Program::start(command).unwrap().end().await;
    assert_eq!(output.status.code(), Some(1), "{}{}", output.stdout, output.stderr);
    sentence(&output.stderr)
}

/// Everywhere: no file may grow beyond a limit, which a write notices as it does a full disk.
#[tokio::test]
async fn a_file_that_cannot_grow() {
    let scratch = scratch();
    // In blocks of 512 bytes: beyond the 16 MB of a piece of Postgres's own log, and less than
    // the catalog.
    let sentence = fails_within("ulimit -f 33000", &["sh"], scratch.path()).await;
    assert!(sentence.contains("the catalog could not be loaded: "), "{sentence}");
    assert!(sentence.contains("could not extend file"), "{sentence}");
}

/// For root, who may mount a small disk in a world of its own, which goes with the demo. Where
/// the machine forbids even that, the test above has to do.
#[tokio::test]
async fn a_disk_that_is_full() {
    if !may_mount() {
        eprintln!("no disk can be mounted here: the limit on files stands in for it");
        return;
    }
    for (megabytes, expected) in [
        // Not enough for a new cluster.
        (20, "No space left on device"),
        // Enough for that, and not for the catalog.
        (45, "error: the disk is full, so the catalog could not be loaded: "),
        // Postgres itself cannot go on.
        (60, "No space left on device"),
    ] {
        let scratch = scratch();
        let mount = format!("mount -t tmpfs -o size={megabytes}m,mode=755 tmpfs \"$0\"");
        let sentence = fails_within(&mount, &["unshare", "--mount", "sh"], scratch.path()).await;
        assert!(sentence.contains(expected), "{megabytes} MB: {sentence}");
    }
}

/// Whether this is root, in a world where root may do so.
pub(crate) fn may_mount() -> bool {
    let script = "mount -t tmpfs -o size=1m tmpfs /mnt";
    let tried = Command::new("unshare").args(["--mount", "sh", "-c", script]).output();
    tried.is_ok_and(|tried| tried.status.success())
}
