//! A machine without Postgres: what a newcomer reads who has nothing but this program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tenfold_testkit::Output;

use crate::full_disk::may_mount;
use crate::support::{demo, run, scratch};

/// A demo where nothing is installed but what the script says a `python3` does; `None` where the
/// machine's Postgres cannot be hidden.
async fn demo_without_postgres(python: Option<&str>) -> Option<Output> {
    if !may_mount() {
        eprintln!("this user cannot hide the machine's Postgres: nothing is tried here");
        return None;
    }
    let scratch = scratch();
    let programs = scratch.path().join("bin");
    fs::create_dir(&programs).unwrap();
    if let Some(script) = python {
        let file = programs.join("python3");
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let hidden = "[ ! -d /usr/lib/postgresql ] || mount -t tmpfs tmpfs /usr/lib/postgresql";
    let demo = demo(["--once", "--products", "100"]);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &format!("({hidden}) && exec env -i \"$@\""), "sh"]);
    command.arg(format!("PATH={}", programs.display()));
    command.arg(format!("XDG_CACHE_HOME={}", scratch.path().join("cache").display()));
    command.arg(demo.get_program()).args(demo.get_args());
    Some(run(command).await)
}

const HOW_TO_INSTALL: &str = "install it with `sudo apt-get install postgresql` (Debian, Ubuntu), \
    `sudo dnf install postgresql-server` (Fedora) or `brew install postgresql@18` (macOS)\n";

#[tokio::test]
async fn a_sentence_says_how_to_get_one() {
    let Some(output) = demo_without_postgres(None).await else { return };
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        output.stderr,
        format!(
            "error: no Postgres is installed on this machine, and there is no python3 with pip \
             to fetch one; {HOW_TO_INSTALL}"
        )
    );
}

#[tokio::test]
async fn a_line_says_that_one_is_fetched() {
    let no_network = "[ \"$3\" = --version ] && exit\necho 'ERROR: no network' >&2\nexit 1";
    let Some(output) = demo_without_postgres(Some(no_network)).await else { return };
    assert_eq!(output.status.code(), Some(1));
    let line = output.stdout.lines().last().unwrap_or_default();
    let expected = "  postgres  no Postgres that fits is installed: fetching version 18.6";
    assert!(line.starts_with(expected), "{}", output.stdout);
    assert!(output.stderr.ends_with(HOW_TO_INSTALL), "{}", output.stderr);
    assert!(output.stderr.contains("pip could not fetch one: ERROR: no network"));
}
