//! Scenarios and traces that were broken by chance: each is read and can be run, or is refused with
//! reasons that a person can read.

use std::fs;
use std::time::SystemTime;

use tenfold_loadgen::{Run, Scenario, Schedule};

use crate::{SECOND, ms};

/// Everything that a scenario can say.
const SCENARIO: &str = r#"
target = "http://127.0.0.1:1"
[client]
http = "1.1"
connections_max = 3
backlog_max = 100
streams_max = 10
timeout = "200ms"
retries = 2
retry_backoff = "1ms"
retry_after = true
leave_early_share = 0.1
leave_early_after = "5ms"
slow_reader_share = 0.1
slow_reader_bytes_per_second = 1000
clients = 10
client_header = "x-client"
flood_share = 0.5
[good]
status = ["2xx", 304]
latency_max = "100ms"
[lists]
words = ["red shoe", "hat"]
[[request]]
name = "browse"
class = "read"
weight = 9
path = "/products/{{zipf 1 10000 1.1}}?q={{list words}}&n={{uniform -5 5}}"
headers = { accept = "application/json", x-number = "{{sequence 7}}" }
[[request]]
name = "buy"
class = "order"
method = "POST"
path = "/orders"
body = '{"n": {{sequence}}, "by": {{client}}}'
capture = { order = "/items/0/id" }
good = { status = [201], body_contains = "id" }
[[request]]
path = "/orders/{{captured order or 1}}"
[thresholds]
good_share_min = 0.99
p99_max = "1s"
[thresholds.class.order]
p50_max = "250ms"
"#;

const TRACE: &str = "second,rate\n# a night\n0,10\n1,20.5\n2,0\n3.25,1000\n4,5\n";

/// What stands there instead of a number or a word.
const INSTEAD: [&str; 16] = [
    "99999999999999999999999999",
    "-1",
    "NaN",
    "inf",
    "-inf",
    "1e308",
    "1e-308",
    "0",
    "\"\"",
    "''",
    "[]",
    "{}",
    "true",
    "1979-05-27",
    "0xffffffffffffffff",
    "\u{202e}\u{1b}[2J",
];

fn mutated(text: &str, random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..3) {
        let place = random.usize(..bytes.len().max(1)).min(bytes.len());
        match random.u8(..12) {
            0 => bytes.truncate(place),
            1 if place < bytes.len() => bytes[place] ^= 1 << random.u8(..8),
            2 if place < bytes.len() => bytes[place] = random.u8(..),
            3 => {
                let until = (place + random.usize(..40)).min(bytes.len());
                bytes.drain(place..until);
            }
            4 => {
                let until = (place + random.usize(..200)).min(bytes.len());
                let piece = bytes[place..until].to_vec();
                bytes.splice(place..place, piece);
            }
            5 => {
                let (open, close) = [("[", "]"), ("{a=", "}"), ("{{", "}}")][random.usize(..3)];
                let depth = random.usize(1..20_000);
                let nested = format!("\nx = {}1{}\n", open.repeat(depth), close.repeat(depth));
                bytes.splice(place..place, nested.into_bytes());
            }
            6..=9 => {
                for digit in bytes.iter_mut().skip(place).take(60).filter(|it| it.is_ascii_digit())
                {
                    *digit = random.u8(b'0'..=b'9');
                }
            }
            // A value, from one border of a word to the next.
            _ => {
                let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'.';
                let from = bytes[..place].iter().rposition(|byte| !is_inner(byte));
                let until = bytes[place..].iter().position(|byte| !is_inner(byte));
                let range = from.map_or(0, |it| it + 1)..until.map_or(bytes.len(), |it| place + it);
                let instead = INSTEAD[random.usize(..INSTEAD.len())];
                bytes.splice(range, instead.bytes());
            }
        }
    }
    bytes
}

/// Something for people: neither empty nor endless.
fn check_said(said: &str) {
    assert!(!said.is_empty() && said.len() < 1 << 20, "{} bytes", said.len());
}

#[test]
fn a_broken_scenario_runs_or_is_refused_with_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.toml");
    let (mut ran, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        fs::write(&file, mutated(SCENARIO, &mut random)).unwrap();
        let begun = SystemTime::now();
        match Scenario::load(&file) {
            Err(errors) => {
                refused += 1;
                check_said(&errors.to_string());
                assert!(errors.errors.iter().all(|error| !error.message.is_empty()), "{seed}");
            }
            Ok(mut scenario) => {
                ran += 1;
                // Wherever it points to now.
                scenario.target.host = "127.0.0.1".to_owned();
                scenario.target.port = 1;
                match Run::open(&scenario, Schedule::constant(500.0, ms(20))).run() {
                    Ok(outcome) => assert!(outcome.record.total().intended >= 10, "{seed}"),
                    Err(error) => check_said(&error.to_string()),
                }
            }
        }
        assert!(begun.elapsed().unwrap() < 20 * SECOND, "{seed}");
    }
    assert!(ran > 20 && refused > 100, "both happen: {ran} ran, {refused} were refused");
}

#[test]
fn a_broken_trace_is_offered_or_refused_with_reasons() {
    let (mut offered, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let text = String::from_utf8_lossy(&mutated(TRACE, &mut random)).into_owned();
        let begun = SystemTime::now();
        match Schedule::trace(&text) {
            Err(errors) => {
                refused += 1;
                check_said(&errors.to_string());
            }
            Ok(schedule) => {
                offered += 1;
                let moments: Vec<u64> = schedule.arrivals(seed).take(10_000).collect();
                assert!(moments.is_sorted(), "{seed}");
            }
        }
        assert!(begun.elapsed().unwrap() < 20 * SECOND, "{seed}");
    }
    assert!(offered > 20 && refused > 50, "both happen: {offered} offered, {refused} refused");
}
