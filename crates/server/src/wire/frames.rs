//! Counts the frames of HTTP/2 that ask for nothing and bring nothing, and says when there are
//! too many of them.
//!
//! h2 answers each PING and SETTINGS before it reads the next frame, so a flood of them costs no
//! memory; but it costs a core, and so do frames that nobody answers (PRIORITY, WINDOW_UPDATE,
//! unknown ones). Here only the nine bytes are read with which each frame begins (RFC 9113 §4.1).
//! A client that works has reasons for such frames, so those that go with work are not counted.

use std::time::Duration;

use tenfold_context::Moment;

/// What each frame begins with: length, kind, flags, stream.
const HEAD_BYTES: usize = 9;

/// The time in which a connection may send as many as the setting says.
const WINDOW: Duration = Duration::from_secs(10);

/// Frames that go with each request: its priority, its window, its reset, and some to spare.
const WITH_REQUEST: u64 = 8;

/// Frames that go with each part of an answer: the windows of its stream and its connection.
const WITH_PART: u64 = 2;

/// So many bytes of an answer go with one more. A window that is opened for so few is small.
const ANSWER_BYTES_PER_FRAME: u64 = 256;

/// As many as work can be saved up for.
const CREDIT_MAX: u64 = 100_000;

// RFC 9113 §6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// The control frames that go with a request.
pub(crate) const fn with_request() -> u64 {
    WITH_REQUEST
}

/// The control frames that go with a part of an answer.
pub(crate) const fn with_part(bytes: usize) -> u64 {
    WITH_PART + bytes as u64 / ANSWER_BYTES_PER_FRAME
}

/// How far the frames of one connection have been read.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Beyond those that go with work.
    per_window_max: u32,
    head: [u8; HEAD_BYTES],
    /// How much of it has come.
    head_bytes: usize,
    /// How much of the frame is still to come after it.
    payload_left: usize,
    /// Since when they are counted, and how many there were.
    since: Moment,
    counted: u32,
    /// Those that go with work and have not come.
    credit: u64,
}

impl Frames {
    pub(super) fn new(per_window_max: u32, now: Moment) -> Frames {
        Frames {
            per_window_max,
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            payload_left: 0,
            since: now,
            counted: 0,
            credit: 0,
        }
    }

    /// Looks at the next bytes; so many frames go with the work since the last ones. Where there
    /// was one frame too many, says how many bytes it took until that had come whole.
    pub(super) fn look(&mut self, bytes: &[u8], with_work: u64, now: Moment) -> Result<(), usize> {
        self.credit = self.credit.saturating_add(with_work).min(CREDIT_MAX);
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += if self.head_bytes < HEAD_BYTES {
                self.take_head(rest)
            } else {
                let skipped = self.payload_left.min(rest.len());
                self.payload_left -= skipped;
                skipped
            };
            if self.head_bytes == HEAD_BYTES && self.payload_left == 0 {
                self.head_bytes = 0;
                if self.is_control() && !self.may_come(now) {
                    return Err(at);
                }
            }
        }
        Ok(())
    }

    /// Takes as much of the head as there is, and says how much that was.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let taken = (HEAD_BYTES - self.head_bytes).min(bytes.len());
        self.head[self.head_bytes..][..taken].copy_from_slice(&bytes[..taken]);
        self.head_bytes += taken;
        if self.head_bytes == HEAD_BYTES {
            self.payload_left = self.length();
        }
        taken
    }

    fn length(&self) -> usize {
        let [high, middle, low, ..] = self.head;
        u32::from_be_bytes([0, high, middle, low]) as usize
    }

    /// Whether the frame whose head has come asks for nothing and brings nothing. DATA that bring
    /// little have a budget in h2, and CONTINUATION belongs to a head, which is bounded.
    fn is_control(&self) -> bool {
        let [_, _, _, kind, flags, ..] = self.head;
        match kind {
            DATA => self.length() == 0 && flags & END_STREAM == 0,
            HEADERS | CONTINUATION => false,
            _ => true,
        }
    }

    fn may_come(&mut self, now: Moment) -> bool {
        if self.credit > 0 {
            self.credit -= 1;
            return true;
        }
        if now >= self.since + WINDOW {
            self.since = now;
            self.counted = 0;
        }
        self.counted += 1;
        self.counted <= self.per_window_max
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;
    const MAX: u32 = 3;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.extend(payload);
        frame
    }

    fn ping() -> Vec<u8> {
        frame(PING, 0, &[0; 8])
    }

    fn begin() -> Moment {
        Moment::from_nanos(1)
    }

    /// Reads in pieces of that size: how many bytes it took until there were too many.
    fn read(bytes: &[u8], piece: usize) -> Option<usize> {
        let mut frames = Frames::new(MAX, begin());
        let mut parts = bytes.chunks(piece).enumerate();
        parts.find_map(|(number, part)| {
            let at = frames.look(part, 0, begin()).err()?;
            Some(number * piece + at)
        })
    }

    #[test]
    fn the_one_that_is_too_many_is_found_at_its_end() {
        let bytes = ping().repeat(10);
        for piece in [1, 2, 7, 17, 100, bytes.len()] {
            assert_eq!(read(&bytes, piece), Some(4 * ping().len()), "pieces of {piece}");
        }
    }

    #[test]
    fn what_brings_or_asks_for_something_is_not_counted() {
        let work = [
            frame(HEADERS, 4, b"head"),
            frame(CONTINUATION, 4, b"more"),
            frame(DATA, 0, b"x"),
            frame(DATA, END_STREAM, b""),
        ];
        assert_eq!(read(&work.concat().repeat(100), 5), None);
        for kind in 2..=255 {
            let counted = if kind == CONTINUATION { None } else { Some(36) };
            assert_eq!(read(&frame(kind, 0, b"").repeat(100), 11), counted, "{kind}");
        }
        assert_eq!(read(&frame(DATA, 0, b"").repeat(100), 11), Some(36));
    }

    #[test]
    fn a_window_of_time_later_as_many_may_come_again() {
        let mut frames = Frames::new(MAX, begin());
        let as_many = ping().repeat(3);
        assert_eq!(frames.look(&as_many, 0, begin()), Ok(()));
        assert_eq!(frames.look(&as_many, 0, begin() + WINDOW), Ok(()));
        let sooner = begin() + WINDOW + WINDOW - Duration::from_nanos(1);
        assert_eq!(frames.look(&as_many, 0, sooner), Err(ping().len()));
    }

    #[test]
    fn those_that_go_with_work_are_not_counted() {
        let mut frames = Frames::new(MAX, begin());
        assert_eq!(frames.look(&ping().repeat(8), with_request(), begin()), Ok(()));
        assert_eq!(frames.look(&ping().repeat(66), with_part(16 * 1024), begin()), Ok(()));
        assert_eq!(frames.look(&ping().repeat(4), 0, begin()), Err(4 * ping().len()));
        let mut saved = Frames::new(MAX, begin());
        assert_eq!(saved.look(&[], u64::MAX / 2, begin()), Ok(()));
        let most = ping().repeat(CREDIT_MAX as usize + MAX as usize);
        assert_eq!(saved.look(&most, 0, begin()), Ok(()));
        assert_eq!(saved.look(&ping(), 0, begin()), Err(ping().len()));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_they_come(
            kinds in prop::collection::vec((0_u8..12, 0_u8..2, 0_usize..40), 0..40),
            piece in 1_usize..64,
        ) {
            let bytes: Vec<u8> = kinds
                .into_iter()
                .flat_map(|(kind, flags, length)| frame(kind, flags, &vec![0; length]))
                .collect();
            prop_assert_eq!(read(&bytes, piece), read(&bytes, bytes.len().max(1)));
        }
    }
}
