//! A service of HTTP/2 that takes fewer requests at one time on a connection than it did at first,
//! and looks at what it may send. No library for servers does that, so this one speaks in frames
//! (RFC 9113, 4 and 6.5).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenfold_loadgen::Ending;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Mutex;

use crate::listener::Listener;
use crate::{ms, run, scenario};

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

/// How long each answer takes, in milliseconds.
const TAKES_MS: u64 = 50;

/// After so many requests there is room for one at a time.
const FALLS_AFTER: usize = 20;

struct Falling {
    address: SocketAddr,
    seen: Arc<Seen>,
    _listener: Listener,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    connections: AtomicUsize,
    /// What it may send on a stream before it must wait, as the last client said.
    window: AtomicUsize,
}

impl Falling {
    fn start() -> Falling {
        let seen = Arc::new(Seen::default());
        let known = seen.clone();
        let listener = Listener::start(move |stream| {
            known.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, known.clone()));
        });
        Falling { address: listener.address, seen, _listener: listener }
    }
}

/// Until the client has gone away.
async fn serve(stream: TcpStream, seen: Arc<Seen>) -> Option<()> {
    stream.set_nodelay(true).unwrap();
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(Mutex::new(writer));
    let mut preface = [0; 24];
    reader.read_exact(&mut preface).await.ok()?;
    assert!(preface.starts_with(b"PRI * HTTP/2.0"));
    let has_fallen = seen.requests.load(Ordering::Relaxed) >= FALLS_AFTER;
    let mut room: u32 = if has_fallen { 1 } else { 100 };
    write(&writer, SETTINGS, 0, 0, &settings(room)).await?;
    loop {
        let mut head = [0; 9];
        reader.read_exact(&mut head).await.ok()?;
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        let mut payload = vec![0; length as usize];
        reader.read_exact(&mut payload).await.ok()?;
        let is_answer = flags & 1 == 1;
        match kind {
            SETTINGS if !is_answer => {
                // SETTINGS_INITIAL_WINDOW_SIZE is the fourth.
                if let Some(window) = payload.chunks_exact(6).find(|one| one[..2] == [0, 4]) {
                    let window =
                        window[2..].iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                    seen.window.store(window, Ordering::Relaxed);
                }
                write(&writer, SETTINGS, 1, 0, &[]).await?;
            }
            PING if !is_answer => write(&writer, PING, 1, 0, &payload).await?,
            HEADERS => {
                let number = seen.requests.fetch_add(1, Ordering::Relaxed) + 1;
                if number >= FALLS_AFTER && room > 1 {
                    room = 1;
                    write(&writer, SETTINGS, 0, 0, &settings(room)).await?;
                }
                tokio::spawn(answer(writer.clone(), u32::from_be_bytes(stream)));
            }
            _ => {}
        }
    }
}

async fn answer(writer: Arc<Mutex<OwnedWriteHalf>>, stream: u32) {
    tokio::time::sleep(ms(TAKES_MS)).await;
    // End of headers and of the stream; `:status: 200` is the eighth of HPACK's static table. A
    // client that has gone away needs no answer.
    let _ = write(&writer, HEADERS, 0x4 | 0x1, stream, &[0x88]).await;
}

/// SETTINGS_MAX_CONCURRENT_STREAMS.
fn settings(streams: u32) -> [u8; 6] {
    let [a, b, c, d] = streams.to_be_bytes();
    [0, 3, a, b, c, d]
}

async fn write(
    writer: &Mutex<OwnedWriteHalf>,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &[u8],
) -> Option<()> {
    let [_, high, middle, low] = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![high, middle, low, kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    writer.lock().await.write_all(&frame).await.ok()
}

#[test]
fn where_a_service_takes_fewer_at_a_time_than_before_others_find_another_connection() {
    let server = Falling::start();
    let text = "[[request]]\npath = \"/\"\n[client]\nhttp = \"2\"\n";
    let record = run(&scenario(&format!("http://{}", server.address), text), 200).record;
    let total = record.total();
    assert_eq!(total.count(Ending::Good), 200, "{:?}", record.failures);
    assert_eq!(server.seen.requests.load(Ordering::Relaxed), 200, "each was asked once");
    // Twenty are there at a time. On a single connection they would wait for each other, the last
    // for nine seconds.
    let connections = server.seen.connections.load(Ordering::Relaxed);
    assert!(connections >= 10, "{connections}");
    let latency_ms = total.latency_us(Ending::Good).unwrap().value_at_quantile(0.9) / 1000;
    assert!(latency_ms < 20 * TAKES_MS, "{latency_ms}");
}

#[test]
fn a_service_may_send_little_to_those_who_read_slowly() {
    let server = Falling::start();
    for (text, window_bytes) in [("", 1 << 20), ("slow_reader_share = 0.5\n", 16 << 10)] {
        let text = format!("[[request]]\npath = \"/\"\n[client]\nhttp = \"2\"\n{text}");
        let scenario = scenario(&format!("http://{}", server.address), &text);
        assert_eq!(run(&scenario, 10).record.total().count(Ending::Good), 10);
        assert_eq!(server.seen.window.load(Ordering::Relaxed), window_bytes);
    }
}
