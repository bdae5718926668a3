//! Files, servers and command lines that try to speak to the terminal.

use std::fs;

use tenfold_testkit::Output;

use super::service::{Answer, Service};
use super::{check, once};
use crate::support::{run, tenfold};

/// Neither stream holds anything that a terminal obeys.
fn check_plain(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let plain = text.chars().all(|one| one == '\n' || !(one.is_control() || one == '\u{202e}'));
        assert!(plain, "{text:?}");
    }
}

#[tokio::test]
async fn what_files_say_reaches_the_terminal_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.toml");
    let file = path.display();
    for (text, shown) in [
        (r#""\u001b[31mcolour" = 1"#, r"unknown key `\u{1b}[31mcolour`"),
        (r#""\u009b2J" = 1"#, r"unknown key `\u{9b}2J`"),
        (r#""two\nlines" = 1"#, r"unknown key `two\nlines`"),
        (r#"lists = { "\u001bc" = 5 }"#, r"`lists.\u{1b}c` is neither"),
        (r#"lists = { a = "\u001b]0;title\u0007" }"#, r"\u{1b}]0;title\u{7}: No such file"),
        (r#"thresholds = { class = { "\u202Eb" = {} } }"#, r"the class `\u{202e}b`"),
        ("a = \x1b", "is not TOML here"),
    ] {
        let text = format!("target = \"http://127.0.0.1:1\"\n{text}\n[[request]]\npath = \"/\"\n");
        fs::write(&path, text).unwrap();
        let output = once(&format!("run --scenario {file}")).await;
        check(&output, 2);
        check_plain(&output);
        assert!(output.stderr.contains(shown), "{}", output.stderr);
    }
    fs::write(&path, "\x1b[2J,5\n0,\x1b[2J\n").unwrap();
    let output = once(&format!("run http://127.0.0.1:1/ --trace {file}")).await;
    check(&output, 2);
    check_plain(&output);
}

#[tokio::test]
async fn names_and_answers_are_written_out_too() {
    let service = Service::start(|_| Answer {
        body: "\x1b]0;title\x07no metrics here".to_owned(),
        ..Answer::of("404 \x1b[31mNo")
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.toml");
    let text = format!(
        "target = \"http://{}\"\n[[request]]\npath = \"/\"\nclass = \"a\\u001b[2J\\nb\"\n\
         [[request]]\npath = \"/\"\nclass = \"c\"\n[thresholds.class.\"a\\u001b[2J\\nb\"]\n\
         good_share_min = 0.9\n",
        service.address
    );
    fs::write(&path, text).unwrap();
    let output = once(&format!("run --scenario {} --duration 1s", path.display())).await;
    check_plain(&output);
    assert!(output.stdout.contains(r"a\u{1b}[2J\nb"), "{}", output.stdout);

    let url = service.url();
    let output = once(&format!("limit {url} --metrics {url}")).await;
    check_plain(&output);
    assert!(output.stderr.contains("no metrics from "), "{}", output.stderr);
}

#[tokio::test]
async fn command_lines_reach_it_without_what_it_obeys() {
    for arguments in [
        ["run", "http://\x1b[31mhere/", "--seed=1"],
        ["run", "http://127.0.0.1:1/", "--rate=\x1b[31m5"],
        ["run", "http://127.0.0.1:1/", "--\x1b[31mrat"],
        ["run", "http://127.0.0.1:1/", "--compare=\x1b[31m"],
        ["\x1b[31mrun", "http://127.0.0.1:1/", "--seed=1"],
    ] {
        let output = run(tenfold(["load"].into_iter().chain(arguments))).await;
        check(&output, 2);
        check_plain(&output);
        assert!(output.stderr.starts_with("error: "), "{arguments:?}: {}", output.stderr);
    }
}
