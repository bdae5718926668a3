//! Answers are read the same in one piece and byte by byte, and what is none is told.

use super::*;

/// What came of these bytes, when they come in one piece, and byte by byte: it must be the same.
fn read(text: &str) -> Result<(u16, bool, String, usize), Failure> {
    let whole = read_in_pieces(text, text.len().max(1));
    assert_eq!(whole, read_in_pieces(text, 1), "in pieces: {text}");
    whole
}

fn read_in_pieces(text: &str, size: usize) -> Result<(u16, bool, String, usize), Failure> {
    let mut answer = Answer::default();
    answer.begin(false, true);
    let mut rest = 0;
    for piece in text.as_bytes().chunks(size) {
        if answer.is_whole() {
            rest += piece.len();
        } else {
            rest += answer.feed(piece)?;
        }
    }
    if !answer.is_whole() {
        answer.close()?;
    }
    let body = String::from_utf8(answer.body().to_vec()).unwrap();
    Ok((answer.status(), answer.keeps_connection(), body, rest))
}

#[test]
fn bodies_end_in_every_way_they_can() {
    let cases = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", (200, true, "hi", 0)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", (200, true, "", 0)),
        ("HTTP/1.1 204 No Content\r\n\r\nXY", (204, true, "", 2)),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", (304, true, "", 0)),
        ("HTTP/1.1 200 OK\r\n\r\nto the end", (200, false, "to the end", 0)),
        ("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", (200, false, "x", 0)),
        (
            "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 1\r\n\r\nx",
            (200, true, "x", 0),
        ),
        (
            "HTTP/1.1 503 Busy\r\nConnection: foo, Close\r\ncontent-length: 1\r\n\r\nx",
            (503, false, "x", 0),
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n\
             HTTP/1.1 201 Created\r\ncontent-length: 1\r\n\r\nx",
            (201, true, "x", 0),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\nA;name=value\r\n, chunks !\r\n0\r\ntrailer: yes\r\n\r\nREST",
            (200, true, "hello, chunks !", 4),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", (200, true, "", 0)),
    ];
    for (text, (status, keep, body, rest)) in cases {
        assert_eq!(read(text), Ok((status, keep, body.to_owned(), rest)), "{text}");
    }
}

#[test]
fn what_is_no_answer_is_told_from_half_of_one() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let cases = [
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), Failure::Garbage),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(), Failure::Garbage),
        ("HTTP/1.1 000 Odd\r\n\r\n".to_owned(), Failure::Garbage),
        ("HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nhi".to_owned(), Failure::Garbage),
        ("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nhi".to_owned(), Failure::Garbage),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nhi".to_owned(),
            Failure::Garbage,
        ),
        (format!("{chunked}\r\n"), Failure::Garbage),
        (format!("{chunked}xyz\r\n"), Failure::Garbage),
        (format!("{chunked}2\r\nhi!\r\n0\r\n\r\n"), Failure::Garbage),
        (format!("{chunked}ffffffffffffffff\r\n"), Failure::Garbage),
        (format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(101)), Failure::Garbage),
        (String::new(), Failure::NoAnswer),
        ("HTTP/1.1 200 O".to_owned(), Failure::HalfAnswer),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi".to_owned(), Failure::HalfAnswer),
        (format!("{chunked}5\r\nhel"), Failure::HalfAnswer),
        (format!("{chunked}1\r\nh\r\n"), Failure::HalfAnswer),
    ];
    for (text, failure) in cases {
        assert_eq!(read(&text), Err(failure), "{text}");
    }
}

#[test]
fn sizes_are_bounded() {
    let mut answer = Answer::default();
    answer.begin(false, false);
    answer.feed(b"HTTP/1.1 200 OK\r\na: ").unwrap();
    let mut fed = Ok(0);
    for _ in 0..100 {
        fed = answer.feed(&[b'x'; 1024]);
        if fed.is_err() {
            break;
        }
    }
    assert_eq!(fed, Err(Failure::TooLarge), "a head without end");

    let large = ANSWER_BYTES_MAX + 1;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {large}\r\n\r\n");
    for (keeps_body, outcome) in [(false, Ok(0)), (true, Err(Failure::TooLarge))] {
        answer.begin(false, keeps_body);
        answer.feed(head.as_bytes()).unwrap();
        assert_eq!(answer.feed(&vec![b'x'; large]), outcome, "only what is kept is bounded");
    }
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let mut answer = Answer::default();
    answer.begin(true, false);
    let rest = answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n");
    assert_eq!((rest, answer.is_whole()), (Ok(0), true));
}

#[test]
fn a_second_answer_begins_anew() {
    let mut answer = Answer::default();
    answer.begin(false, true);
    answer.feed(b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 2\r\n\r\nhi").unwrap();
    assert_eq!(answer.retry_after(), Some(Duration::from_secs(7)));
    answer.begin(false, true);
    assert!(!answer.has_begun());
    answer.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nyo").unwrap();
    assert_eq!((answer.status(), answer.body(), answer.retry_after()), (200, &b"yo"[..], None));
}

#[test]
fn a_retry_after_is_seconds_or_a_date() {
    assert_eq!(wait_of(b" 120 "), Some(Duration::from_secs(120)));
    assert_eq!(wait_of(b"Fri, 31 Dec 1999 23:59:59 GMT"), Some(Duration::ZERO), "long ago");
    let wait = wait_of(b"Fri, 31 Dec 9999 23:59:59 GMT").unwrap();
    assert!(wait > Duration::from_secs(1 << 30), "{wait:?}");
    for value in ["1000000000000000000", "18446744073709551615", "99999999999999999999"] {
        let wait = wait_of(value.as_bytes()).unwrap();
        assert!(wait > Duration::from_secs(1 << 59), "{value}: longer than anybody waits");
    }
    for value in ["", "-1", "1.5", "Fri, 32 Dec 1999 23:59:59 GMT", "\u{e9}"] {
        assert_eq!(wait_of(value.as_bytes()), None, "{value}");
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_770_500);
    for date in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        " Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(wait_until(date.as_bytes(), now), Some(Duration::from_millis(6500)), "{date}");
    }
}
