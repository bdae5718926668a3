//! A server ends with its parent, however that ends: the parent here is the example program.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::support::{answers, fresh, is_running, kept, scratch, start, until};

struct Parent {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    url: String,
    server: u32,
}

impl Parent {
    fn start(arguments: &[&Path]) -> Parent {
        let mut child = Command::new(example())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = output.next().unwrap().unwrap();
        let process = output.next().unwrap().unwrap();
        let server = process.strip_prefix("process ").unwrap().parse().unwrap();
        Parent { child, input, output, url, server }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        assert_eq!(self.output.next().unwrap().unwrap(), "done");
    }

    /// With SIGKILL: it cannot do anything any more.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn folder(&self) -> PathBuf {
        let host = self.url.split("host=").nth(1).unwrap().split('&').next().unwrap();
        Path::new(&host.replace("%2F", "/")).parent().unwrap().to_owned()
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        // It has often been killed before; what it left then waits for the next start.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(self.folder());
    }
}

/// Examples are built beside the folder of the tests.
pub(crate) fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("examples/postgres")
}

#[test]
fn a_server_ends_with_a_parent_that_is_killed_and_its_folder_is_swept() {
    let mut parent = Parent::start(&[]);
    assert!(answers(&parent.url));
    assert!(parent.folder().is_dir());
    parent.kill();
    until("the server is gone", || !is_running(parent.server));
    assert!(!answers(&parent.url));
    drop(start(&fresh()));
    assert!(!parent.folder().exists(), "the next start removes what was left");
}

#[test]
fn a_paused_server_ends_with_its_parent_too() {
    let mut parent = Parent::start(&[]);
    parent.tell("pause");
    parent.kill();
    until("the server is gone", || !is_running(parent.server));
}

#[test]
fn data_of_a_killed_parent_is_there_for_the_next_one_at_once() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let mut parent = Parent::start(&[&data]);
    parent.kill();
    assert!(answers(&start(&kept(&data)).url()));
}

#[test]
fn a_living_servers_folder_is_not_swept() {
    let mut parent = Parent::start(&[]);
    drop(start(&fresh()));
    assert!(parent.folder().is_dir() && answers(&parent.url));
    parent.tell("kill");
    parent.tell("start");
    assert!(answers(&parent.url));
    drop(parent.input.take());
    assert_eq!(parent.output.next().unwrap().unwrap(), "stopped: Cleanly");
    assert!(parent.child.wait().unwrap().success());
}
