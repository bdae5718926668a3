//! A load in a real terminal of 80 columns, as a person sees it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use nix::pty::{Winsize, openpty};
use tenfold_testkit::tool;

use super::service::Service;
use crate::support::{tenfold, until};

const COLUMNS: u16 = 80;

/// The program at a terminal of its own, which Ctrl-C reaches as it reaches a person's.
struct Terminal {
    program: Child,
    keyboard: File,
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Terminal {
    fn start(line: &str, environment: &[(&str, &str)]) -> Terminal {
        Terminal::of_width(COLUMNS, line, environment)
    }

    fn of_width(columns: u16, line: &str, environment: &[(&str, &str)]) -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).unwrap();
        let wanted = tenfold(line.split(' '));
        let mut command = Command::new(tool("setsid"));
        command.arg("--ctty").arg(wanted.get_program()).args(wanted.get_args());
        command.env_remove("NO_COLOR").envs([("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")]);
        command.envs(environment.iter().copied());
        let slave = || Stdio::from(pty.slave.try_clone().unwrap());
        command.stdin(slave()).stdout(slave()).stderr(slave());
        let program = command.spawn().unwrap();
        let (keyboard, bytes) = (File::from(pty.master), Arc::new(Mutex::new(Vec::new())));
        let (mut screen, seen) = (keyboard.try_clone().unwrap(), bytes.clone());
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Once the last end of the other side is closed, Linux gives an error.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                seen.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Terminal { program, keyboard, bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    async fn shows(&self, text: &str) {
        until(text, || self.text().contains(text)).await;
    }

    fn press_ctrl_c(&mut self) {
        self.keyboard.write_all(b"\x03").unwrap();
    }

    /// Its exit code, and all that was written.
    async fn end(mut self) -> (Option<i32>, String) {
        let mut code = None;
        until("it ends", || {
            code = self.program.try_wait().unwrap();
            code.is_some()
        })
        .await;
        until("all is read", || self.reader.is_finished()).await;
        (code.unwrap().code(), self.text())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// What a terminal makes of it: every line that was ever seen, also those that were written over.
/// Nothing that is not understood here may come.
fn seen(text: &str) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let known = ["\x1b[2K", "\x1b[1m", "\x1b[0m"].into_iter().find(|it| rest.starts_with(it));
        match (known, next) {
            (Some(_), _) => {}
            (None, '\r' | '\n') => lines.push(std::mem::take(&mut line)),
            (None, '\x1b') => panic!("an unknown escape: {:?}", &rest[..8]),
            (None, letter) => line.push(letter),
        }
        rest = &rest[known.map_or(next.len_utf8(), str::len)..];
    }
    lines.push(line);
    lines
}

fn check_width(lines: &[String]) {
    check_width_of(COLUMNS, lines);
}

fn check_width_of(columns: u16, lines: &[String]) {
    for line in lines {
        // A terminal wraps what comes after its last column.
        assert!(line.chars().count() <= usize::from(columns), "{line:?}");
    }
}

/// The states of the line that is written anew.
fn live<'a>(lines: &'a [String], label: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.starts_with(label) && line.contains("p99 ")).collect()
}

#[tokio::test]
async fn one_line_lives_in_80_columns_with_a_chart() {
    let service = Service::always("200 OK").await;
    let line = format!("load run {} --rate 100 --duration 4s", service.url());
    let (code, text) = Terminal::start(&line, &[]).end().await;
    assert!(matches!(code, Some(0 | 3)), "{text}");
    let lines = seen(&text);
    check_width(&lines);
    let live = live(&lines, "load ");
    assert!(live.len() > 20, "ten times per second: {live:?}");
    let chart = live.last().unwrap().chars().last().unwrap();
    assert!(('▁'..='█').contains(&chart), "{live:?}");
    // Written anew each time, over the one before.
    assert_eq!(live.len(), text.matches("\r\x1b[2Kload ").count());
    assert!(text.contains("\x1b[1m") && text.contains("\x1b[0m"), "the verdict is bold");
}

#[tokio::test]
async fn an_overload_with_large_figures_does_not_wrap_either() {
    let service = Service::always("503 Busy").await;
    // It refuses, so that nothing is known but that.
    let line = format!("load overload {} --limit 20 --times 1 --hold 1s --rest 1s", service.url());
    let (code, text) = Terminal::start(&line, &[]).end().await;
    assert_eq!(code, Some(1), "{text}");
    let (before, error) = text.split_once("error: ").unwrap();
    check_width(&seen(before));
    assert!(before.ends_with("\r\x1b[2K"), "it has a line of its own: {text:?}");
    assert!(error.contains("does not answer well"), "{error}");

    let service = Service::of_capacity(100.0).await;
    let flags = "--limit 60 --times 1,1000.5 --hold 1s --rest 1s --connections 1";
    let line = format!("load overload {} {flags}", service.url());
    let (_, text) = Terminal::start(&line, &[]).end().await;
    let lines = seen(&text);
    check_width(&lines);
    assert!(!live(&lines, "1000.5x ").is_empty(), "{text}");
}

#[tokio::test]
async fn in_a_narrow_terminal_nothing_wraps() {
    let service = Service::always("200 OK").await;
    let line = format!("load run {} --rate 50 --duration 2s", service.url());
    let (code, text) = Terminal::of_width(50, &line, &[]).end().await;
    assert!(matches!(code, Some(0 | 3)), "{text}");
    let lines = seen(&text);
    check_width_of(50, &lines);
    assert!(lines.iter().filter(|line| line.starts_with("load ")).count() > 10, "{text}");
}

/// The tables at the end, of a run with several classes, of an overload and beside an earlier one.
#[tokio::test]
async fn tables_fit_into_40_60_and_80_columns() {
    let service = Service::always("200 OK").await;
    let folder = tempfile::tempdir().unwrap();
    let classes = "[[request]]\npath = \"/a\"\nclass = \"a class with quite a long name\"\n";
    let (_scenario, file) = super::scenario(service.address, classes);
    let report = folder.path().join("report");
    let report = report.display();
    let run = format!("load run --scenario {file} --rate 50 --duration 2s");
    let overload = format!("load overload {} --limit 20 --times 1,1000.5", service.url());
    let overload = format!("{overload} --hold 1s --rest 1s --connections 1");
    let (_, text) = Terminal::start(&format!("{run} --report {report}"), &[]).end().await;
    assert!(text.contains("report: "), "{text}");
    for (columns, run_heads, overload_heads) in [
        (40, "requests good p99", "load good/s ÷ peak"),
        (60, "requests good p99", "load "),
        (80, "requests good p50 p99 p99.9", "load offered/s good/s ÷ peak p50 p99 not good"),
    ] {
        let heads = |lines: &[String], first: &str, last: &str| {
            let line = lines.iter().find(|line| {
                // The line that lives has such words as well.
                line.contains(first) && line.contains(last) && !line.contains("refused")
            });
            let line = line.unwrap_or_else(|| panic!("{lines:#?}"));
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let line = format!("{run} --compare {report}");
        let (_, text) = Terminal::of_width(columns, &line, &[]).end().await;
        let lines = seen(&text);
        check_width_of(columns, &lines);
        assert!(heads(&lines, "good", "p99").contains(run_heads), "{columns}: {lines:#?}");
        assert!(lines.iter().any(|line| line.contains("a class with quite a long")), "{lines:#?}");
        assert!(heads(&lines, "then", "now").starts_with("then now"), "{columns}: {lines:#?}");
        let (_, text) = Terminal::of_width(columns, &overload, &[]).end().await;
        let lines = seen(&text);
        check_width_of(columns, &lines);
        let heads = heads(&lines, "load", "÷ peak");
        assert!(heads.starts_with(overload_heads), "{columns}: {lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("1000.5x ")), "{lines:#?}");
    }
}

#[tokio::test]
async fn with_no_color_nothing_is_bold_and_with_a_dumb_terminal_nothing_is_written_anew() {
    let service = Service::always("200 OK").await;
    let line = format!("load run {} --rate 50 --duration 2s", service.url());
    let (_, text) = Terminal::start(&line, &[("NO_COLOR", "1")]).end().await;
    assert!(!text.contains("\x1b[1m") && !text.contains("\x1b[0m"), "{text:?}");
    assert!(text.contains("\r\x1b[2Kload "), "{text:?}");
    let (_, text) = Terminal::start(&line, &[("TERM", "dumb")]).end().await;
    assert!(!text.contains('\x1b') && text.contains("\nload "), "{text:?}");
}

#[tokio::test]
async fn without_unicode_the_chart_is_of_letters() {
    let service = Service::always("200 OK").await;
    let line = format!("load run {} --rate 50 --duration 2s", service.url());
    let (_, text) = Terminal::start(&line, &[("LC_ALL", "C")]).end().await;
    let lines = seen(&text);
    assert!(live(&lines, "load ").iter().all(|line| line.is_ascii()), "{text:?}");
}

#[tokio::test]
async fn ctrl_c_ends_early_and_the_report_is_written() {
    let service = Service::always("200 OK").await;
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().display();
    for (command, soon) in [
        ("run URL --rate 50 --duration 300s", "load    1s"),
        ("overload URL --limit 50 --hold 300s", "   1x    1s"),
        ("limit URL --probe 300s", "  1    1s"),
    ] {
        let command = command.replace("URL", &service.url());
        let line = format!("load {command} --report {report}");
        let mut terminal = Terminal::start(&line, &[]);
        terminal.shows(soon).await;
        terminal.press_ctrl_c();
        let (code, text) = terminal.end().await;
        assert!(matches!(code, Some(0 | 3)), "{code:?} {text}");
        assert!(text.contains("report: "), "{text}");
        check_width(&seen(text.split("report: ").next().unwrap()));
        for file in ["report.json", "report.html"] {
            std::fs::remove_file(folder.path().join(file)).unwrap();
        }
    }
}
