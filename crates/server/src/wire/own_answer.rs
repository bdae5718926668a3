//! What hyper answers by itself, without a body, becomes a problem like any other.

use tenfold_context::Context;

use super::{Fault, HeadLimits};
use crate::respond::{Error, Failure};

/// Every answer of hyper's own fits in here; it has three fields.
const HYPERS_BYTES_MAX: usize = 256;

/// How long the begin of one is, up to the first digit of its status.
const START_BYTES: usize = b"HTTP/1.1 4".len();

/// Where in these bytes on their way to the client hyper's own answer to a request that it could
/// not read begins, if it is there: the last thing that hyper says on a connection.
///
/// Every other answer has an `x-request-id`. `refused` says that a fault was found already, so
/// that answers to earlier requests may stand before it.
pub(crate) fn hypers_answer(bytes: &[u8], refused: bool) -> Option<usize> {
    // After a request of HTTP/1.0 hyper goes on in that version.
    let starts = |line: &[u8]| matches!(line, [version @ .., b'0' | b'1', b' ', b'4'] if version == b"HTTP/1.");
    let start = if refused {
        let from = bytes.len().saturating_sub(HYPERS_BYTES_MAX);
        from + bytes[from..].windows(START_BYTES).rposition(starts)?
    } else if bytes.get(..START_BYTES).is_some_and(starts) && bytes.len() <= HYPERS_BYTES_MAX {
        0
    } else {
        return None;
    };
    let answer = &bytes[start..];
    let has = |text: &[u8]| answer.windows(text.len()).any(|window| window == text);
    let whole = answer.ends_with(b"\r\n\r\n") && has(b"\r\ncontent-length: 0\r\n");
    (whole && !has(b"\r\nx-request-id:")).then_some(start)
}

/// What is wrong where only hyper knows it, by the status that it gave.
pub(crate) fn hypers_fault(answer: &[u8], limits: HeadLimits) -> Fault {
    match answer.get(9..12) {
        Some(b"414") => Fault::UriTooLong { bytes_max: limits.uri_bytes_max },
        Some(b"431") => Fault::HeadTooLarge { bytes_max: limits.bytes_max },
        _ => Fault::Unreadable,
    }
}

/// The answer to a fault, ready to be sent. `hypers` is what it stands for: its date is kept.
pub(crate) fn own_answer(fault: Fault, hypers: &[u8]) -> Vec<u8> {
    let context = Context::new();
    let (status, problem) = Error::from(Failure::Fault(fault)).to_wire(Some(&context));
    let reason = status.canonical_reason().unwrap_or("Refused");
    let mut answer = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         connection: close\r\nx-request-id: {}\r\n",
        status.as_u16(),
        problem.len(),
        context.request_id(),
    )
    .into_bytes();
    let date = hypers.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"date:"));
    if let Some(date) = date {
        answer.extend_from_slice(date);
        answer.push(b'\n');
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(&problem);
    answer
}
