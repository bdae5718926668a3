//! Services that behave as none should: what they do is counted, and the load ends in its time.

use std::time::{Duration, SystemTime};

use tenfold_testkit::Program;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{check, once};
use crate::support::tenfold;

#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Closes every connection at once.
    Closes,
    /// Closes every connection when it is asked something.
    Hears,
    /// Answers what is no HTTP.
    Garbage,
    /// Answers a byte per second.
    Trickles,
    /// A head without an end.
    Endless,
    /// Takes everything, answers nothing.
    Silent,
}

/// Its address.
async fn start(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, manner));
        }
    });
    format!("http://{address}/")
}

async fn serve(mut stream: TcpStream, manner: Manner) -> Option<()> {
    let mut asked = [0; 4096];
    if matches!(manner, Manner::Closes) {
        return None;
    }
    while stream.read(&mut asked).await.ok()? > 0 {
        match manner {
            Manner::Closes | Manner::Hears => return None,
            Manner::Garbage => stream.write_all(b"\x00\x1b[31mSSH-2.0 no\r\n\r\n").await.ok()?,
            Manner::Trickles => {
                for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok" {
                    stream.write_all(&[*byte]).await.ok()?;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Manner::Endless => loop {
                stream.write_all(&[b'x'; 4096]).await.ok()?;
            },
            Manner::Silent => {}
        }
    }
    Some(())
}

/// A client waits for two seconds; whatever comes on top of that is the machine's.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_run_tells_what_they_do_and_ends() {
    for (manner, words) in [
        (Manner::Closes, "failed"),
        (Manner::Hears, "the connection was closed without an answer"),
        (Manner::Garbage, "what came back is no HTTP"),
        (Manner::Trickles, "timed out"),
        (Manner::Endless, "what came back is no HTTP"),
        (Manner::Silent, "timed out"),
    ] {
        let url = start(manner).await;
        let begun = SystemTime::now();
        let output = once(&format!("run {url} --rate 20 --duration 1s")).await;
        assert!(begun.elapsed().unwrap() < LONG, "{manner:?}");
        assert!(matches!(output.status.code(), Some(0 | 3)), "{manner:?}: {output:?}");
        assert!(output.stdout.contains(words), "{manner:?}: {}", output.stdout);
        assert!(!output.stdout.contains('\x1b'), "{manner:?}: {}", output.stdout);
    }
}

#[tokio::test]
async fn there_is_no_limit_of_them_and_nothing_past_it() {
    for manner in [Manner::Closes, Manner::Garbage, Manner::Trickles] {
        let url = start(manner).await;
        for command in ["limit", "overload --limit 20"] {
            let (command, flags) = command.split_once(' ').unwrap_or((command, ""));
            let begun = SystemTime::now();
            let output = once(&format!("{command} {url} {flags}")).await;
            assert!(begun.elapsed().unwrap() < LONG, "{manner:?}");
            check(&output, 1);
            let said = "does not answer well, even without load";
            assert!(output.stderr.contains(said), "{manner:?}: {}", output.stderr);
        }
    }
}

/// Whatever is under way, and however little the service answers.
#[tokio::test]
async fn ctrl_c_ends_every_phase_within_two_seconds() {
    let quick = super::Service::always("200 OK").await.url();
    let silent = start(Manner::Silent).await;
    let capacity = super::Service::of_capacity(100.0).await.url();
    for (line, said) in [
        // A run: at its beginning, and while the last answers are waited for.
        (format!("run {quick} --rate 50 --duration 300s"), "load    1s"),
        (format!("run {silent} --rate 50 --duration 300s"), "load    1s"),
        (format!("run {silent} --rate 5 --duration 1s"), "load    1s"),
        // A search: asking alone, a probe, a long probe.
        (format!("limit {silent}"), "searching"),
        (format!("limit {quick} --probe 300s"), "searching"),
        (format!("limit {capacity} --rate-first 50 --rate-max 400 --probe 600ms"), "not held"),
        // An overload: asking alone, before, a multiple, afterwards.
        (format!("overload {silent} --limit 50"), "going past"),
        (format!("overload {quick} --limit 50 --hold 300s"), "going past"),
        (format!("overload {quick} --limit 50 --hold 300s"), "1x    1s"),
        (format!("overload {quick} --limit 50 --times 1 --hold 1s --rest 300s"), "after    "),
    ] {
        let arguments = ["load"].into_iter().chain(line.split_whitespace());
        let mut program = Program::start(tenfold(arguments)).unwrap();
        program.says(said).await;
        program.signal("INT");
        let begun = SystemTime::now();
        let output = program.end().await;
        let took = begun.elapsed().unwrap();
        assert!(took < Duration::from_secs(2), "{line} at {said}: {took:?}");
        assert!(matches!(output.status.code(), Some(0 | 3)), "{line} at {said}: {output:?}");
        assert!(output.stdout.trim_end().ends_with('.'), "a verdict: {}", output.stdout);
    }
}
