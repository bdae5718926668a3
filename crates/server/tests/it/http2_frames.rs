//! HTTP/2 as no library would send it: raw frames over a socket. Whoever floods or breaks the
//! protocol loses the connection, the process keeps its size, and others are served.

use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{any, get as on_get};
use tenfold_config::ByteSize;
use tenfold_testkit::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::support::{PATIENCE, Running, limited, start_with};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113 §6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

// RFC 9113 §7.
const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// HPACK: GET, http, of the host `a`; the path is that of static entry 4, `/`.
const GET_ROOT: &[u8] = &[0x82, 0x86, 0x84, 0x41, 0x01, b'a'];
/// The same with the path `/large`.
const GET_LARGE: &[u8] = b"\x82\x86\x04\x06/large\x41\x01a";
/// The same with the path `/small`, whose answer is one piece.
const GET_SMALL: &[u8] = b"\x82\x86\x04\x06/small\x41\x01a";
const SMALL_BYTES: usize = 60_000;
/// POST of the path `/body`.
const POST_BODY: &[u8] = b"\x83\x86\x04\x05/body\x41\x01a";

/// Memory that an attack may cost the process beyond what it has; the attacks send more.
const GROWTH_BYTES_MAX: u64 = 48 << 20;

fn server() -> Running {
    server_with(|_| {})
}

fn server_with(adjust: impl FnOnce(&mut tenfold_server::ServerSettings)) -> Running {
    let router = Router::new()
        .route("/", on_get(|| async { "home" }))
        .route("/large", on_get(|| async { Body::from(vec![b'x'; 4 << 20]) }))
        .route("/small", on_get(|| async { Body::from(vec![b'x'; SMALL_BYTES]) }))
        .route("/body", any(|body: Bytes| async move { body.len().to_string() }));
    start_with(router, adjust)
}

/// The resident memory of this process.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

#[derive(Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// A connection that an HTTP/2 client has begun.
struct Raw {
    read: OwnedReadHalf,
    write: OwnedWriteHalf,
}

impl Raw {
    async fn connect(server: &Running) -> Raw {
        let (read, write) = TcpStream::connect(server.address).await.unwrap().into_split();
        let mut raw = Raw { read, write };
        raw.send(PREFACE).await;
        raw.send(&frame(SETTINGS, 0, 0, &[])).await;
        raw
    }

    /// Sends as much as the server takes: it may end the connection in the middle.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(PATIENCE, self.write.write_all(bytes)).await;
    }

    /// The next frame; nothing at the end of the connection.
    async fn frame(&mut self) -> Option<Frame> {
        let frame = tokio::time::timeout(PATIENCE, next_frame(&mut self.read)).await;
        frame.expect("the server says something, or ends")
    }

    /// The next frame of that kind.
    async fn frame_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.frame().await.expect("the connection goes on");
            if frame.kind == kind && !(kind == SETTINGS && frame.flags == ACK) {
                return frame;
            }
        }
    }

    /// Sends these, and gives the code of the last GOAWAY before the connection ends; nothing
    /// if it ends without.
    async fn ends(mut self, bytes: &[u8]) -> Option<u32> {
        let read = async {
            let mut code = None;
            while let Some(frame) = next_frame(&mut self.read).await {
                if frame.kind == GOAWAY {
                    code = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
                }
            }
            code
        };
        let write = async {
            let _ = self.write.write_all(bytes).await;
            std::future::pending::<()>().await;
        };
        let ended = async {
            tokio::select! {
                code = read => code,
                () = write => None,
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.expect("the server ends the connection")
    }
}

async fn next_frame(read: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    read.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; length as usize];
    read.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind: head[3], flags: head[4], stream, payload })
}

/// Sends an attack that is to end the connection: with that code, counted under that reason,
/// without the process having grown, and without others noticing.
async fn check(server: &Running, attack: &[u8], code: u32, reason: &str) {
    let before = resident_bytes();
    let ended = Raw::connect(server).await.ends(attack).await;
    // A reset may overtake the GOAWAY while the client is still sending.
    assert!(ended.is_none_or(|ended| ended == code), "{ended:?} and not {code}");
    server.until(&limited(reason), 1.0).await;
    server.until("tenfold_http_in_flight", 0.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().text(), "home");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let attack: Vec<u8> = (0..100_000)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            let headers = frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT);
            [headers, frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())].concat()
        })
        .collect();
    check(&server(), &attack, ENHANCE_YOUR_CALM, "flood").await;
}

#[tokio::test]
async fn a_flood_of_continuations_ends_the_connection() {
    // A field of 4,000 bytes, never indexed, in each.
    let name_and_length = b"\x10\x01x\x7f\xa1\x1e";
    let field = [name_and_length.as_slice(), &[b'x'; 4000]].concat();
    let mut attack = frame(HEADERS, END_STREAM, 1, GET_ROOT);
    for _ in 0..20_000 {
        attack.extend(frame(CONTINUATION, 0, 1, &field));
    }
    check(&server(), &attack, ENHANCE_YOUR_CALM, "flood").await;
}

#[tokio::test]
async fn a_flood_of_empty_continuations_ends_the_connection() {
    let mut attack = frame(HEADERS, END_STREAM, 1, GET_ROOT);
    for _ in 0..1_000_000 {
        attack.extend(frame(CONTINUATION, 0, 1, b""));
    }
    check(&server(), &attack, ENHANCE_YOUR_CALM, "flood").await;
}

#[tokio::test]
async fn a_flood_of_small_data_frames_ends_the_connection() {
    let mut attack = frame(HEADERS, END_HEADERS, 1, POST_BODY);
    for _ in 0..1_000_000 {
        attack.extend(frame(DATA, 0, 1, b"x"));
    }
    check(&server(), &attack, ENHANCE_YOUR_CALM, "flood").await;
}

/// None of these is a fault of the protocol, and none costs memory.
#[tokio::test]
async fn floods_of_frames_that_ask_for_nothing_end_the_connection() {
    let body_begins = frame(HEADERS, END_HEADERS, 1, POST_BODY);
    let floods = [
        ("settings", Vec::new(), frame(SETTINGS, 0, 0, b"")),
        ("pings", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("answers to pings", Vec::new(), frame(PING, ACK, 0, &[0; 8])),
        ("priorities", Vec::new(), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])),
        ("windows", Vec::new(), frame(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes())),
        ("data without data", body_begins, frame(DATA, 0, 1, b"")),
        ("frames of a kind that is not known", Vec::new(), frame(0xfa, 0, 0, b"what?")),
    ];
    for (what, begin, flood) in floods {
        // h2's own bound, which ends it in our name, depends on how large a head may be.
        for header_max in [ByteSize::kib(8), ByteSize::mib(1)] {
            let server = server_with(|settings| {
                settings.header_max = header_max;
                // Sooner than h2's budget for DATA frames ends.
                settings.http2_control_frames_max = 100;
            });
            let attack = [begin.clone(), flood.repeat(500_000)].concat();
            println!("{what}, {header_max:?}");
            check(&server, &attack, ENHANCE_YOUR_CALM, "http2_control_frames_max").await;
            assert_eq!(server.metric(&limited("flood")), 0.0);
        }
    }
}

#[tokio::test]
async fn a_flood_of_pings_whose_answers_nobody_reads_ends_the_connection() {
    let server = server();
    let attack = frame(PING, 0, 0, &[0; 8]).repeat(2_000_000);
    let before = resident_bytes();
    let Raw { read, mut write } = Raw::connect(&server).await;
    let sent = tokio::time::timeout(PATIENCE, write.write_all(&attack)).await;
    assert!(sent.expect("the server ends the connection").is_err());
    server.until(&limited("http2_control_frames_max"), 1.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().text(), "home");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more");
    drop(read);
}

/// A careful client opens both windows again for each kilobyte.
#[tokio::test]
async fn windows_that_are_opened_for_an_answer_are_no_flood() {
    let server = server_with(|settings| settings.http2_control_frames_max = 10);
    let mut raw = Raw::connect(&server).await;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_LARGE)).await;
    let (mut received, mut opened) = (0, 0);
    loop {
        let data = raw.frame_of(DATA).await;
        received += data.payload.len();
        if data.flags & END_STREAM != 0 {
            break;
        }
        while opened + 1024 <= received {
            for stream in [0, 1] {
                raw.send(&frame(WINDOW_UPDATE, 0, stream, &1024_u32.to_be_bytes())).await;
            }
            opened += 1024;
        }
    }
    assert_eq!(received, 4 << 20);
    assert_eq!(server.metric(&limited("http2_control_frames_max")), 0.0);
    // Without work, ten are too many already.
    let flood = frame(PING, 0, 0, &[0; 8]).repeat(200_000);
    assert_eq!(raw.ends(&flood).await.unwrap_or(ENHANCE_YOUR_CALM), ENHANCE_YOUR_CALM);
    server.until(&limited("http2_control_frames_max"), 1.0).await;
}

#[tokio::test]
async fn a_stream_whose_window_stays_shut_is_ended_alone() {
    let server = server_with(|settings| {
        settings.write_stall_timeout = Duration::from_millis(200);
    });
    let mut raw = Raw::connect(&server).await;
    // SETTINGS_INITIAL_WINDOW_SIZE of 0.
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_LARGE)).await;
    let reset = raw.frame_of(RST_STREAM).await;
    assert_eq!((reset.stream, &*reset.payload), (1, &CANCEL.to_be_bytes()[..]));
    server.until(&limited("stalled"), 1.0).await;
    server.until("tenfold_http_in_flight", 0.0).await;
    // The connection goes on.
    let headers = frame(HEADERS, END_HEADERS | END_STREAM, 3, GET_ROOT);
    raw.send(&[headers, frame(WINDOW_UPDATE, 0, 3, &1000_u32.to_be_bytes())].concat()).await;
    let home = raw.frame_of(DATA).await;
    assert_eq!((home.stream, &*home.payload), (3, &b"home"[..]));
}

/// h2 takes a whole piece when one byte of it may go, so an answer of one piece has been given out
/// and not been sent. A hundred streams on each of thousands of connections would be gigabytes
/// that nobody counts and nobody ends.
#[tokio::test]
async fn an_answer_of_which_one_byte_may_go_is_counted_and_ended_alone() {
    let server = server_with(|settings| {
        settings.write_stall_timeout = Duration::from_secs(1);
    });
    let mut raw = Raw::connect(&server).await;
    // SETTINGS_INITIAL_WINDOW_SIZE of 1.
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1])).await;
    for stream in [1, 3] {
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_SMALL)).await;
        assert_eq!(raw.frame_of(DATA).await.payload, b"x");
    }
    assert_eq!(server.metric("tenfold_http_in_flight"), 2.0);
    assert!(server.metric("tenfold_http_bytes_in_flight") >= 2.0 * SMALL_BYTES as f64);
    // One of them is read after all.
    raw.send(&frame(WINDOW_UPDATE, 0, 3, &(1_u32 << 20).to_be_bytes())).await;
    let (mut read, mut ended) = (1, false);
    while !ended {
        let data = raw.frame_of(DATA).await;
        read += data.payload.len();
        ended = data.flags & END_STREAM != 0;
    }
    assert_eq!(read, SMALL_BYTES);
    let reset = raw.frame_of(RST_STREAM).await;
    assert_eq!((reset.stream, &*reset.payload), (1, &CANCEL.to_be_bytes()[..]));
    server.until(&limited("stalled"), 1.0).await;
    server.until("tenfold_http_in_flight", 0.0).await;
    server.until("tenfold_http_bytes_in_flight", 0.0).await;
}

/// It is told to leave, does not answer, and is cut after a while: that is one reason, counted once.
#[tokio::test]
async fn an_idle_connection_that_does_not_leave_is_cut_and_counted_once() {
    let server = server_with(|settings| settings.idle_timeout = Duration::from_millis(100));
    let mut raw = Raw::connect(&server).await;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, GET_ROOT)).await;
    raw.frame_of(GOAWAY).await;
    while raw.frame().await.is_some() {}
    server.until("tenfold_http_connections", 0.0).await;
    assert_eq!(server.metric(&limited("idle")), 1.0);
}

#[tokio::test]
async fn the_streams_of_one_connection_have_a_limit() {
    let server = server_with(|settings| settings.http2_streams_max = 2);
    let mut raw = Raw::connect(&server).await;
    let settings = raw.frame_of(SETTINGS).await.payload;
    let told = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).unwrap();
    assert_eq!(told[2..], 2_u32.to_be_bytes());
    for stream in [1, 3, 5] {
        raw.send(&frame(HEADERS, END_HEADERS, stream, POST_BODY)).await;
    }
    let refused = raw.frame_of(RST_STREAM).await;
    let refused_stream = 7_u32;
    assert_eq!((refused.stream, &*refused.payload), (5, &refused_stream.to_be_bytes()[..]));
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection() {
    let settings = |id: u16, value: u32| {
        frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
    };
    let get_root = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT);
    // h2 says PROTOCOL_ERROR where RFC 9113 has a code of its own for some of them: half a
    // setting and a short ping (FRAME_SIZE_ERROR), a large window (FLOW_CONTROL_ERROR), and what
    // is no HPACK (COMPRESSION_ERROR). The connection ends all the same.
    let cases = [
        ("a frame that is too large", frame(DATA, 0, 1, &[0; 16_385]), FRAME_SIZE_ERROR),
        ("data on a stream that nobody opened", frame(DATA, 0, 1, b"x"), PROTOCOL_ERROR),
        ("a stream of the server's", get_root(2), PROTOCOL_ERROR),
        ("a stream that is no more", [get_root(5), get_root(3)].concat(), PROTOCOL_ERROR),
        ("settings of a stream", frame(SETTINGS, 0, 1, b""), PROTOCOL_ERROR),
        ("settings of half a setting", frame(SETTINGS, 0, 0, b"\0\x04\0"), PROTOCOL_ERROR),
        ("a window that is too large", settings(4, 1 << 31), PROTOCOL_ERROR),
        ("a frame size that is too small", settings(5, 1), PROTOCOL_ERROR),
        ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7]), PROTOCOL_ERROR),
        (
            "a window that overflows",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]),
            FLOW_CONTROL_ERROR,
        ),
        ("a window update of nothing", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        ("a continuation of nothing", frame(CONTINUATION, END_HEADERS, 1, b""), PROTOCOL_ERROR),
        (
            "something else within a head",
            [frame(HEADERS, 0, 1, GET_ROOT), frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        (
            "a head that is no HPACK",
            frame(HEADERS, END_HEADERS, 1, &[0xff, 0xff, 0xff, 0xff, 0xff]),
            PROTOCOL_ERROR,
        ),
    ];
    let server = server();
    let mut unexpected = String::new();
    for (what, attack, code) in cases {
        let ended = Raw::connect(&server).await.ends(&attack).await;
        if ended != Some(code) {
            unexpected += &format!("{what}: {ended:?} and not {code}\n");
        }
    }
    assert!(unexpected.is_empty(), "{unexpected}");
    server.until(&limited("protocol"), 14.0).await;
    assert_eq!(get(server.address, "/").await.unwrap().text(), "home");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_on_its_stream() {
    let server = server();
    let mut raw = Raw::connect(&server).await;
    let field = [b"\x10\x01x\x7f\xa1\x1e".as_slice(), &[b'x'; 4000]].concat();
    let fields: Vec<u8> = [GET_ROOT, &field.repeat(9)].concat();
    let mut parts = fields.chunks(16_000);
    let mut attack = frame(HEADERS, END_STREAM, 1, parts.next().unwrap());
    attack.extend(frame(CONTINUATION, 0, 1, parts.next().unwrap()));
    attack.extend(frame(CONTINUATION, END_HEADERS, 1, parts.next().unwrap()));
    raw.send(&attack).await;
    let answer = raw.frame_of(HEADERS).await;
    // HPACK: the name of static entry 8, and "431" in Huffman's code.
    assert_eq!((answer.stream, &*answer.payload), (1, &b"\x48\x83\x69\x90\xff"[..]));
}

#[tokio::test]
async fn bodies_on_many_streams_share_one_budget() {
    let server = server_with(|settings| {
        settings.bytes_in_flight_max = ByteSize::kib(128);
        settings.http2_stream_window = ByteSize::kib(64);
        settings.body_timeout = Duration::from_secs(60);
        settings.request_timeout = Duration::from_secs(60);
    });
    let mut raw = Raw::connect(&server).await;
    for stream in [1, 3, 5] {
        raw.send(&frame(HEADERS, END_HEADERS, stream, POST_BODY)).await;
    }
    // Two may fill their windows, and the third could not.
    let refused = raw.frame_of(HEADERS).await;
    assert_eq!(refused.stream, 5);
    server.until(&limited("bytes_in_flight_max"), 1.0).await;
    server.until("tenfold_http_bytes_in_flight", 131_072.0).await;
    for stream in [1, 3] {
        raw.send(&frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())).await;
    }
    server.until("tenfold_http_bytes_in_flight", 0.0).await;
    raw.send(&frame(HEADERS, END_HEADERS, 7, POST_BODY)).await;
    raw.send(&frame(DATA, END_STREAM, 7, b"hello")).await;
    let mut answer = raw.frame_of(DATA).await;
    while answer.stream != 7 {
        answer = raw.frame_of(DATA).await;
    }
    assert_eq!(answer.payload, b"5");
}
