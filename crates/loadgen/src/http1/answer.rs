//! Reads an answer of HTTP/1.1 as its bytes come, in pieces of any size.

use std::mem::MaybeUninit;
use std::time::{Duration, SystemTime};

use crate::ANSWER_BYTES_MAX;
use crate::ending::Failure;

/// Larger heads are no heads.
const HEAD_BYTES_MAX: usize = 64 * 1024;

const HEADERS_MAX: usize = 100;

/// One answer after the other, on the same connection.
#[derive(Default)]
pub(crate) struct Answer {
    state: State,
    /// The beginning of a head whose end has not come yet.
    head: Vec<u8>,
    begun: bool,
    status: u16,
    keep: bool,
    retry_after: Option<Duration>,
    bodiless: bool,
    keeps_body: bool,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
enum State {
    #[default]
    Head,
    /// So many bytes of body are to come.
    Length(u64),
    Chunks(Chunks),
    /// The body ends with the connection.
    UntilClosed,
    Whole,
}

/// Where in a chunked body.
#[derive(Clone, Copy)]
enum Chunks {
    /// In a line with a size, of which so many digits have come.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind the size, before the end of its line.
    Extension {
        size: u64,
    },
    Data {
        left: u64,
    },
    /// Before the end of the line behind data.
    DataEnd,
    /// In the lines behind the last chunk; whether this one has anything in it.
    Trailer {
        empty: bool,
    },
}

impl Answer {
    /// Makes ready for an answer.
    pub(crate) fn begin(&mut self, bodiless: bool, keeps_body: bool) {
        self.state = State::Head;
        self.head.clear();
        self.begun = false;
        self.retry_after = None;
        self.bodiless = bodiless;
        self.keeps_body = keeps_body;
        self.body.clear();
    }

    /// Takes the next bytes; returns how many were left over behind the end of the answer.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        self.begun |= !bytes.is_empty();
        if self.head.is_empty() {
            return self.take(bytes);
        }
        let mut whole = std::mem::take(&mut self.head);
        whole.extend_from_slice(bytes);
        self.take(&whole)
    }

    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.state, State::Whole)
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn keeps_connection(&self) -> bool {
        self.keep
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The body, if somebody wanted it.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The connection has been closed.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        match self.state {
            State::UntilClosed | State::Whole => {
                self.state = State::Whole;
                Ok(())
            }
            _ if self.begun => Err(Failure::HalfAnswer),
            _ => Err(Failure::NoAnswer),
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<usize, Failure> {
        loop {
            match self.state {
                State::Whole => return Ok(bytes.len()),
                _ if bytes.is_empty() => return Ok(0),
                State::Head => match self.take_head(bytes)? {
                    Some(length) => bytes = &bytes[length..],
                    None => return Ok(0),
                },
                State::Length(left) => {
                    let (data, rest) = split(bytes, left);
                    self.keep_body(data)?;
                    bytes = rest;
                    self.state = match left - data.len() as u64 {
                        0 => State::Whole,
                        left => State::Length(left),
                    };
                }
                State::UntilClosed => {
                    self.keep_body(bytes)?;
                    bytes = &[];
                }
                State::Chunks(chunks) => bytes = self.take_chunks(chunks, bytes)?,
            }
        }
    }

    /// The length of the head, once it is whole.
    fn take_head(&mut self, bytes: &[u8]) -> Result<Option<usize>, Failure> {
        let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
            .map_err(|_| Failure::Garbage)?;
        let httparse::Status::Complete(length) = parsed else {
            if bytes.len() > HEAD_BYTES_MAX {
                return Err(Failure::TooLarge);
            }
            self.head = bytes.to_vec();
            return Ok(None);
        };
        let status = response.code.unwrap_or_default();
        // 100 and 103 announce the answer; 101 would be one that nobody asked for, and less is none
        // (RFC 9110, 15).
        if status == 101 || status < 100 {
            return Err(Failure::Garbage);
        }
        if status >= 200 {
            self.status = status;
            self.keep = response.version == Some(1);
            self.read_headers(response.headers)?;
        }
        Ok(Some(length))
    }

    fn read_headers(&mut self, headers: &[httparse::Header<'_>]) -> Result<(), Failure> {
        let mut length = None;
        let mut chunked = false;
        for header in headers {
            let name = header.name;
            // Lengths first: most headers are none of these, and are not compared letter by letter.
            match name.len() {
                10 if name.eq_ignore_ascii_case("connection") => {
                    if contains(header.value, b"close") {
                        self.keep = false;
                    } else if contains(header.value, b"keep-alive") {
                        self.keep = true;
                    }
                }
                11 if name.eq_ignore_ascii_case("retry-after") => {
                    self.retry_after = wait_of(header.value);
                }
                14 if name.eq_ignore_ascii_case("content-length") => {
                    let found = decimal(header.value).ok_or(Failure::Garbage)?;
                    if length.is_some_and(|length| length != found) {
                        return Err(Failure::Garbage);
                    }
                    length = Some(found);
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    chunked = contains(header.value, b"chunked");
                }
                _ => {}
            }
        }
        let bodiless = self.bodiless || self.status == 204 || self.status == 304;
        self.state = match (bodiless, chunked, length) {
            (true, _, _) | (false, false, Some(0)) => State::Whole,
            (false, true, _) => State::Chunks(Chunks::Size { size: 0, digits: 0 }),
            (false, false, Some(length)) => State::Length(length),
            (false, false, None) => {
                self.keep = false;
                State::UntilClosed
            }
        };
        Ok(())
    }

    fn take_chunks<'a>(&mut self, chunks: Chunks, bytes: &'a [u8]) -> Result<&'a [u8], Failure> {
        if let Chunks::Data { left } = chunks {
            let (data, rest) = split(bytes, left);
            self.keep_body(data)?;
            let left = left - data.len() as u64;
            let next = if left == 0 { Chunks::DataEnd } else { Chunks::Data { left } };
            self.state = State::Chunks(next);
            return Ok(rest);
        }
        let next = match (chunks, bytes[0]) {
            (Chunks::Size { digits: 0, .. }, b'\r' | b'\n' | b';') => return Err(Failure::Garbage),
            (Chunks::Size { size, .. } | Chunks::Extension { size }, b'\n') => match size {
                0 => Chunks::Trailer { empty: true },
                left => Chunks::Data { left },
            },
            (Chunks::Size { size, .. }, b';' | b'\r' | b' ') | (Chunks::Extension { size }, _) => {
                Chunks::Extension { size }
            }
            // Sixteen digits would be more bytes than there are.
            (Chunks::Size { size, digits: digits @ 0..15 }, byte) => {
                let digit = char::from(byte).to_digit(16).ok_or(Failure::Garbage)?;
                Chunks::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Chunks::DataEnd, b'\r') => Chunks::DataEnd,
            (Chunks::DataEnd, b'\n') => Chunks::Size { size: 0, digits: 0 },
            (Chunks::Trailer { empty: true }, b'\n') => {
                self.state = State::Whole;
                return Ok(&bytes[1..]);
            }
            (Chunks::Trailer { .. }, b'\n') => Chunks::Trailer { empty: true },
            (Chunks::Trailer { empty }, b'\r') => Chunks::Trailer { empty },
            (Chunks::Trailer { .. }, _) => Chunks::Trailer { empty: false },
            _ => return Err(Failure::Garbage),
        };
        self.state = State::Chunks(next);
        Ok(&bytes[1..])
    }

    fn keep_body(&mut self, data: &[u8]) -> Result<(), Failure> {
        if !self.keeps_body {
            return Ok(());
        }
        if self.body.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(Failure::TooLarge);
        }
        self.body.extend_from_slice(data);
        Ok(())
    }
}

/// How long a `retry-after` asks to wait: so many seconds, or until a date (RFC 9110, 10.2.3).
/// Until a date that has passed it is no time at all, and more seconds than can be counted are the
/// most that can. What is neither, such as `1.5`, asks for nothing.
pub(crate) fn wait_of(value: &[u8]) -> Option<Duration> {
    seconds(value).or_else(|| wait_until(value, SystemTime::now()))
}

fn seconds(value: &[u8]) -> Option<Duration> {
    let digits = value.trim_ascii();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| decimal(digits).map_or(Duration::MAX, Duration::from_secs))
}

fn wait_until(date: &[u8], now: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(str::from_utf8(date).ok()?.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn decimal(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn contains(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(word))
}

fn split(bytes: &[u8], left: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()))
}

#[cfg(test)]
mod tests;
