//! What is refused, where, and that it does not matter in which pieces it comes.

use proptest::prelude::*;

use super::*;

const LIMITS: WireLimits = WireLimits {
    head: HeadLimits { uri_bytes_max: 20, bytes_max: 200, fields_max: 5 },
    control_frames_max: 3,
};

fn wire() -> Wire {
    Wire::new(LIMITS, Moment::from_nanos(1))
}

/// Reads in pieces of that size: where it was refused, if it was.
fn read(bytes: &[u8], piece: usize) -> (Option<At>, Wire) {
    let mut wire = wire();
    for (number, part) in bytes.chunks(piece).enumerate() {
        if let Err((at, fault)) = wire.look(part) {
            return (Some((number * piece + at, fault)), wire);
        }
    }
    (None, wire)
}

fn check(text: &str) -> Option<Fault> {
    let whole = read(text.as_bytes(), text.len().max(1)).0.map(|(_, fault)| fault);
    for piece in [1, 2, 7] {
        let (in_pieces, _) = read(text.as_bytes(), piece);
        assert_eq!(in_pieces.map(|(_, fault)| fault), whole, "{text:?} in pieces of {piece}");
    }
    whole
}

#[test]
fn what_follows_a_request_is_the_next_one() {
    let heads = |text: &str| {
        let (refused, wire) = read(text.as_bytes(), 3);
        assert_eq!(refused, None, "{text}");
        (wire.heads(), wire.is_within_request(), wire.is_within_head())
    };
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    assert_eq!(heads(&get.repeat(3)), (3, false, false));
    let post = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\n\n\n\n";
    assert_eq!(heads(&[post, get].concat()), (2, false, false));
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n\
                   4;a=b\r\n\n\n\n\n\r\n0\r\nx: y\r\n\r\n";
    assert_eq!(heads(&[chunked, get].concat()), (2, false, false));
    assert_eq!(heads("GET / HT"), (0, true, true));
    assert_eq!(heads("GET / HTTP/1.1\r\n"), (0, true, true));
    assert_eq!(heads(&post[..post.len() - 4]), (1, true, false));
    assert_eq!(heads(&chunked[..chunked.len() - 2]), (1, true, false));
}

#[test]
fn other_protocols_are_left_alone() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\n\n\0\0";
    let (refused, wire) = read(preface.as_bytes(), 5);
    assert!(refused.is_none() && wire.is_http2() && !wire.is_within_request());
    let mut whole = self::wire();
    assert_eq!(whole.look(preface.as_bytes()), Ok(preface.len() - 4));
    let mut upgraded = self::wire();
    upgraded.let_through();
    assert_eq!(upgraded.look(b"\n\n\n"), Ok(0));
    assert!(!upgraded.is_http1() && !upgraded.is_http2());
}

#[test]
fn a_limit_is_what_is_still_allowed() {
    let target =
        |length: usize| format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(check(&target(20)), None);
    assert_eq!(check(&target(21)), Some(Fault::UriTooLong { bytes_max: 20 }));
    assert_eq!(check(&target(150)), Some(Fault::UriTooLong { bytes_max: 20 }));
    let fields =
        |count: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(count - 1));
    assert_eq!(check(&fields(5)), None);
    assert_eq!(check(&fields(6)), Some(Fault::TooManyFields { fields_max: 5 }));
    let head = |bytes: usize| {
        let head = "GET / HTTP/1.1\r\nhost: a\r\nx: ";
        format!("{head}{}\r\n\r\n", "x".repeat(bytes - head.len() - 4))
    };
    assert_eq!(check(&head(200)), None);
    assert_eq!(check(&head(201)), Some(Fault::HeadTooLarge { bytes_max: 200 }));
}

#[test]
fn what_is_refused_is_refused_at_a_byte_that_has_come() {
    let text = b"GET / HTTP/1.1\r\nhost: a\r\nx: y\n\r\n";
    let lf = text.len() - 3;
    for piece in 1..text.len() {
        assert_eq!(read(text, piece).0, Some((lf, Fault::BareLineFeed)));
    }
}

#[test]
fn chunk_sizes() {
    let sizes = [
        ("0", Some(0)),
        ("ff", Some(255)),
        ("00000000000000A", Some(10)),
        ("5;a", Some(5)),
        ("5 ;a=b", Some(5)),
        ("5 ", None),
        ("", None),
        (";a", None),
        ("5 5", None),
        ("0x5", None),
        ("+5", None),
        ("5;a\rb", None),
        ("0000000000000000", None),
    ];
    for (line, size) in sizes {
        assert_eq!(chunk_size(line.as_bytes()).ok(), size, "{line:?}");
    }
}

proptest! {
    /// Whatever comes, in whatever pieces: it does not panic, keeps no more than a head, and the
    /// pieces make no difference to what it is.
    #[test]
    fn pieces_make_no_difference(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "GET / HTTP/1.1\r\n", "POST / HTTP/1.1\r\n", "host: a\r\n", "\r\n", "\n", "\r",
                "content-length: 3\r\n", "transfer-encoding: chunked\r\n", "abc", "3\r\n",
                "0\r\n", "x: y\r\n", " ", "\0", "PRI * HTTP/2.0\r\n", "xxxxxxxxxxxxxxxxxxxxxxxxx",
            ]),
            0..12,
        ),
        piece in 1_usize..9,
    ) {
        let text = parts.concat();
        let (whole, one) = read(text.as_bytes(), text.len().max(1));
        let (pieces, many) = read(text.as_bytes(), piece);
        prop_assert_eq!(whole.map(|(_, fault)| fault), pieces.map(|(_, fault)| fault));
        prop_assert_eq!(one.heads(), many.heads());
        prop_assert!(many.begun.len() <= LIMITS.head.bytes_max.max(CHUNK_LINE_BYTES_MAX) + 1);
    }
}
