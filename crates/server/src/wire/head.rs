//! One head as it comes, line by line: what of it decides where the request ends, and whether
//! it is whole.

use memchr::memchr;

use super::fault::Fault;
use crate::settings::ServerSettings;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// The target of the request.
    pub(crate) uri_bytes_max: usize,
    /// All lines, line ends included.
    pub(crate) bytes_max: usize,
    /// Header fields.
    pub(crate) fields_max: usize,
}

/// The longest method that is not nonsense, two spaces and the version.
const AROUND_URI_BYTES: usize = 32 + 2 + 8;

impl HeadLimits {
    /// Those that the settings ask for.
    pub(crate) fn of(settings: &ServerSettings) -> HeadLimits {
        HeadLimits {
            uri_bytes_max: settings.uri_max.as_usize(),
            bytes_max: settings.header_max.as_usize(),
            fields_max: settings.header_count_max,
        }
    }

    /// As much of a request line as may come without its end.
    pub(super) fn request_line_bytes_max(self) -> usize {
        self.uri_bytes_max + AROUND_URI_BYTES
    }
}

/// What has been read of a head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    bytes: usize,
    fields: usize,
    version: Version,
    hosts: u8,
    length: Option<u64>,
    coding: Coding,
    /// Whether the method is one that sends a body.
    sends: bool,
    /// Whether the client waits for something that we do not know.
    expects_unknown: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Http11,
    Http10,
}

/// What `transfer-encoding` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Coding {
    #[default]
    None,
    Chunked,
    Unknown,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Bytes(u64),
    Chunked,
}

impl Head {
    /// Whether a request line is the begin of what an HTTP/2 client sends first.
    pub(super) fn is_http2(line: &[u8]) -> bool {
        line == b"PRI * HTTP/2.0"
    }

    pub(super) fn begin(line: &[u8], limits: HeadLimits) -> Result<Head, Fault> {
        let mut head = Head::default();
        let Some((request, version)) = line.split_last_chunk::<9>() else {
            return Err(Fault::RequestLine);
        };
        head.version = match version {
            b" HTTP/1.1" => Version::Http11,
            b" HTTP/1.0" => Version::Http10,
            [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Fault::Version);
            }
            _ => return Err(Fault::RequestLine),
        };
        let method = memchr(b' ', request).ok_or(Fault::RequestLine)?;
        let target = &request[method + 1..];
        if target.len() > limits.uri_bytes_max {
            return Err(Fault::UriTooLong { bytes_max: limits.uri_bytes_max });
        }
        // A path, a whole URI, or `*`; an authority is for CONNECT alone (RFC 9112 §3.2).
        match target.first() {
            Some(b'/') => {}
            Some(b'*') if target.len() == 1 => {}
            Some(_) if request.starts_with(b"CONNECT ") || target.contains(&b':') => {}
            _ => return Err(Fault::RequestLine),
        }
        head.sends = request.starts_with(b"P");
        head.count(line);
        Ok(head)
    }

    pub(super) fn field(&mut self, line: &[u8], limits: HeadLimits) -> Result<(), Fault> {
        self.fields += 1;
        if self.fields > limits.fields_max {
            return Err(Fault::TooManyFields { fields_max: limits.fields_max });
        }
        self.count(line);
        match line[0] {
            b' ' | b'\t' => return Err(Fault::FoldedLine),
            b'h' | b'H' => {
                if let Some(host) = value(line, b"host") {
                    self.hosts = self.hosts.saturating_add(1);
                    if !host.iter().all(|byte| HOST_BYTES[usize::from(*byte)]) {
                        return Err(Fault::BadHost);
                    }
                }
            }
            b'c' | b'C' => {
                if let Some(value) = value(line, b"content-length") {
                    self.length(value)?;
                }
            }
            b't' | b'T' => {
                if let Some(value) = value(line, b"transfer-encoding") {
                    self.coding = match self.coding {
                        Coding::None if value.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                        Coding::None => Coding::Unknown,
                        Coding::Chunked | Coding::Unknown => return Err(Fault::TwoCodings),
                    };
                }
            }
            b'e' | b'E' => {
                if let Some(value) = value(line, b"expect") {
                    self.expects_unknown |= !value.eq_ignore_ascii_case(b"100-continue");
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Fault> {
        // 18 digits do not overflow. A list, a sign or a space within is no number to all.
        if !(1..=18).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
            return Err(Fault::BadLength);
        }
        let length = value.iter().fold(0, |length, byte| length * 10 + u64::from(byte - b'0'));
        match self.length.replace(length) {
            None => Ok(()),
            // Equal ones could be taken for one (RFC 9110 §8.6); nobody has a reason to send them.
            Some(_) => Err(Fault::TwoLengths),
        }
    }

    /// The empty line has come: what follows it.
    pub(super) fn end(self) -> Result<Body, Fault> {
        let http10 = self.version == Version::Http10;
        match self.hosts {
            0 if !http10 => return Err(Fault::NoHost),
            0 | 1 => {}
            _ => return Err(Fault::TwoHosts),
        }
        if self.expects_unknown {
            return Err(Fault::Expectation);
        }
        match (self.coding, self.length) {
            (Coding::None, Some(length)) => Ok(Body::Bytes(length)),
            // RFC 1945 §8.3: HTTP/1.0 has no other way to say where the body ends.
            (Coding::None, None) if http10 && self.sends => Err(Fault::NoLength),
            (Coding::None, None) => Ok(Body::Bytes(0)),
            (_, Some(_)) => Err(Fault::LengthAndCoding),
            (_, None) if http10 => Err(Fault::CodingInHttp10),
            (Coding::Chunked, None) => Ok(Body::Chunked),
            (Coding::Unknown, None) => Err(Fault::UnknownCoding),
        }
    }

    /// Counts a line to the size of the head.
    pub(super) fn count(&mut self, line: &[u8]) {
        self.bytes += line.len() + b"\r\n".len();
    }

    /// Whether so many bytes of a line, and the LF at its end, may come.
    pub(super) fn has_room(&self, bytes: usize, limits: HeadLimits) -> Result<(), Fault> {
        if self.bytes + bytes + 1 > limits.bytes_max {
            return Err(Fault::HeadTooLarge { bytes_max: limits.bytes_max });
        }
        Ok(())
    }
}

/// What a host and its port are made of (RFC 3986 §3.2.2): a name, or an address in brackets.
const HOST_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let marks = b"-._~!$&'()*+,;=%:[]";
    let mut mark = 0;
    while mark < marks.len() {
        allowed[marks[mark] as usize] = true;
        mark += 1;
    }
    allowed
};

/// The value of a field if it is the one of that name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (given, rest) = line.split_at_checked(name.len())?;
    if !given.eq_ignore_ascii_case(name) {
        return None;
    }
    Some(rest.strip_prefix(b":")?.trim_ascii())
}
