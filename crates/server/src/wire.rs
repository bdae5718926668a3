//! Reads along with hyper on HTTP/1.1, and refuses what two readers could understand in two
//! ways before hyper has understood it in one.
//!
//! hyper takes a bare LF for the end of a line, lets `transfer-encoding` override
//! `content-length`, and answers what it refuses without a body. Behind or in front of a proxy
//! that reads the same bytes differently, the first two are how one client's request becomes
//! another's (RFC 9112 §11.2). So the shape of each head and of each chunk is checked here, as it
//! comes from the socket; names and values stay hyper's business. It costs one search for the
//! end of each line, and a look at the first letter of each field.
//!
//! Of HTTP/2, which hyper reads as it should be read, only the frames are counted that cost
//! something and ask for nothing (`wire/frames.rs`).

mod fault;
mod frames;
mod head;
mod own_answer;

use memchr::memchr;
use tenfold_context::Moment;

pub(crate) use fault::Fault;
use frames::Frames;
pub(crate) use frames::{with_part, with_request};
use head::Head;
pub(crate) use head::HeadLimits;
pub(crate) use own_answer::{hypers_answer, hypers_fault, own_answer};

use crate::settings::ServerSettings;

/// A line with the size of a chunk, extensions included. Nobody uses them.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// The lines after the first one of what an HTTP/2 client sends first (RFC 9113 §3.4).
const HTTP2_PREFACE: [&[u8]; 3] = [b"", b"SM", b""];

/// What the bytes of one connection are held to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireLimits {
    pub(crate) head: HeadLimits,
    /// Frames of HTTP/2 in ten seconds that go with no work.
    pub(crate) control_frames_max: u32,
}

impl WireLimits {
    /// Those that the settings ask for.
    pub(crate) fn of(settings: &ServerSettings) -> WireLimits {
        WireLimits {
            head: HeadLimits::of(settings),
            control_frames_max: settings.http2_control_frames_max,
        }
    }
}

/// How far the bytes of one connection have been read.
#[derive(Debug)]
pub(crate) struct Wire {
    limits: HeadLimits,
    expects: Expects,
    head: Head,
    /// Heads that have come whole.
    heads: u32,
    /// The begin of a line whose end has not come; no longer than a head may be.
    begun: Vec<u8>,
    /// What comes after the preface of HTTP/2.
    frames: Frames,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    RequestLine,
    Field,
    Body {
        left: u64,
    },
    ChunkSize,
    Chunk {
        left: u64,
    },
    ChunkEnd,
    Trailer,
    /// The rest of what an HTTP/2 client sends first, so many lines of it.
    Preface {
        left: usize,
    },
    /// HTTP/2, of which only the frames are counted.
    Frames,
    /// Bytes that are not ours to judge: another protocol after an upgrade.
    Anything,
}

/// A fault, and the byte with which it became one.
pub(crate) type At = (usize, Fault);

impl Wire {
    pub(crate) fn new(limits: WireLimits, now: Moment) -> Wire {
        Wire {
            limits: limits.head,
            expects: Expects::RequestLine,
            head: Head::default(),
            heads: 0,
            begun: Vec::new(),
            frames: Frames::new(limits.control_frames_max, now),
        }
    }

    /// The connection speaks another protocol from now on.
    pub(crate) fn let_through(&mut self) {
        self.expects = Expects::Anything;
        self.begun = Vec::new();
    }

    /// Whether these bytes are HTTP/1.1.
    pub(crate) fn is_http1(&self) -> bool {
        !matches!(self.expects, Expects::Frames | Expects::Anything)
    }

    /// Whether they are HTTP/2.
    pub(crate) fn is_http2(&self) -> bool {
        self.expects == Expects::Frames
    }

    /// Whether a part of a head has come and not the whole.
    pub(crate) fn is_within_head(&self) -> bool {
        match self.expects {
            Expects::Field | Expects::Preface { .. } => true,
            Expects::RequestLine => !self.begun.is_empty(),
            _ => false,
        }
    }

    /// How many heads have come whole.
    pub(crate) fn heads(&self) -> u32 {
        self.heads
    }

    /// Whether a part of a request has come and not the whole.
    pub(crate) fn is_within_request(&self) -> bool {
        match self.expects {
            Expects::Frames | Expects::Anything => false,
            Expects::RequestLine => !self.begun.is_empty(),
            _ => true,
        }
    }

    /// Looks at the next bytes of HTTP/1.1, and says how many are that: all of them, unless they
    /// become HTTP/2 on the way.
    pub(crate) fn look(&mut self, bytes: &[u8]) -> Result<usize, At> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let skipped = match &mut self.expects {
                Expects::Frames | Expects::Anything => return Ok(at),
                Expects::Body { left } | Expects::Chunk { left } => {
                    let skipped = (*left).min(rest.len() as u64);
                    *left -= skipped;
                    skipped as usize
                }
                _ => {
                    let Some(end) = memchr(b'\n', rest) else {
                        let last = bytes.len() - 1;
                        self.begin_line(rest).map_err(|fault| (last, fault))?;
                        return Ok(bytes.len());
                    };
                    self.end_line(&rest[..end]).map_err(|fault| (at + end, fault))?;
                    end + 1
                }
            };
            at += skipped;
            match self.expects {
                Expects::Body { left: 0 } => self.expects = Expects::RequestLine,
                Expects::Chunk { left: 0 } => self.expects = Expects::ChunkEnd,
                _ => {}
            }
        }
        Ok(at)
    }

    /// Looks at the next bytes of HTTP/2; so many frames go with the work since the last ones.
    /// Where there was one frame too many, says how many bytes it took until that was whole.
    pub(crate) fn look_at_frames(
        &mut self,
        bytes: &[u8],
        with_work: u64,
        now: Moment,
    ) -> Result<(), usize> {
        self.frames.look(bytes, with_work, now)
    }

    fn begin_line(&mut self, part: &[u8]) -> Result<(), Fault> {
        self.begun.extend_from_slice(part);
        self.has_room(self.begun.len())
    }

    fn end_line(&mut self, part: &[u8]) -> Result<(), Fault> {
        if self.begun.is_empty() {
            self.has_room(part.len())?;
            return self.line(part);
        }
        let mut begun = std::mem::take(&mut self.begun);
        begun.extend_from_slice(part);
        self.has_room(begun.len())?;
        self.line(&begun)
    }

    /// Whether a line may be so long.
    fn has_room(&self, length: usize) -> Result<(), Fault> {
        match self.expects {
            Expects::RequestLine if length > self.limits.request_line_bytes_max() => {
                Err(Fault::UriTooLong { bytes_max: self.limits.uri_bytes_max })
            }
            Expects::ChunkSize | Expects::ChunkEnd if length > CHUNK_LINE_BYTES_MAX => {
                Err(Fault::BadChunk)
            }
            _ => self.head.has_room(length, self.limits),
        }
    }

    /// A whole line, without its LF.
    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some((b'\r', line)) = line.split_last() else { return Err(Fault::BareLineFeed) };
        self.expects = match self.expects {
            // RFC 9112 §2.2: an empty line before a request is to be ignored.
            Expects::RequestLine if line.is_empty() => {
                self.head.count(line);
                Expects::RequestLine
            }
            Expects::RequestLine if Head::is_http2(line) => {
                Expects::Preface { left: HTTP2_PREFACE.len() }
            }
            Expects::Preface { left } if *line != *HTTP2_PREFACE[HTTP2_PREFACE.len() - left] => {
                return Err(Fault::RequestLine);
            }
            Expects::Preface { left: 1 } => Expects::Frames,
            Expects::Preface { left } => Expects::Preface { left: left - 1 },
            Expects::RequestLine => {
                self.head = Head::begin(line, self.limits)?;
                Expects::Field
            }
            Expects::Field if line.is_empty() => {
                let head = std::mem::take(&mut self.head);
                self.heads = self.heads.wrapping_add(1);
                match head.end()? {
                    head::Body::Chunked => Expects::ChunkSize,
                    head::Body::Bytes(0) => Expects::RequestLine,
                    head::Body::Bytes(left) => Expects::Body { left },
                }
            }
            Expects::Field => {
                self.head.field(line, self.limits)?;
                Expects::Field
            }
            Expects::ChunkSize => match chunk_size(line)? {
                0 => Expects::Trailer,
                left => Expects::Chunk { left },
            },
            Expects::ChunkEnd if line.is_empty() => Expects::ChunkSize,
            Expects::ChunkEnd => return Err(Fault::BadChunk),
            Expects::Trailer if line.is_empty() => {
                self.head = Head::default();
                Expects::RequestLine
            }
            Expects::Trailer => {
                self.head.count(line);
                Expects::Trailer
            }
            other @ (Expects::Body { .. }
            | Expects::Chunk { .. }
            | Expects::Frames
            | Expects::Anything) => other,
        };
        Ok(())
    }
}

/// RFC 9112 §7.1: hexadecimal digits, then perhaps extensions, which mean nothing to us.
fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    // 15 digits do not overflow, and no body is that large.
    if !(1..=15).contains(&digits) {
        return Err(Fault::BadChunk);
    }
    let (digits, extension) = line.split_at(digits);
    let sound = match extension.trim_ascii_start().first() {
        None => extension.is_empty(),
        Some(first) => *first == b';' && !extension.contains(&b'\r'),
    };
    if !sound {
        return Err(Fault::BadChunk);
    }
    let digit = |byte: &u8| u64::from(char::from(*byte).to_digit(16).unwrap_or_default());
    Ok(digits.iter().fold(0, |size, byte| size * 16 + digit(byte)))
}

#[cfg(test)]
mod tests;
