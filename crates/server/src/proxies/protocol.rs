//! The PROXY protocol, version 2: a short binary header in which a load balancer tells from where
//! the connection that it passes on has come
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
//!
//! Parsed here, because it is four fields of fixed size. Version 1, which is text of unknown
//! length, is not spoken. Of what follows the addresses (TLVs) the checksum is checked, where there
//! is one, and the rest is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::crc32c;

/// How every header begins; no HTTP and no TLS does.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The part whose length is known: signature, version and command, family, length of the rest.
pub(super) const FIXED_BYTES: usize = 16;

/// The longest rest that is taken. Senders are told to stay under 536 bytes; a client's
/// certificate among the TLVs needs more.
const REST_BYTES_MAX: usize = 4096;

/// The kind of a TLV with the checksum of the whole header, and how long that is (2.2.3 of the
/// text).
const CHECKSUM: u8 = 0x03;
const CHECKSUM_BYTES: usize = 4;

/// What the fixed part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// Itself, for the checksum.
    bytes: [u8; FIXED_BYTES],
    command: Command,
    /// Which kind of addresses follows.
    family: u8,
    /// How many bytes follow.
    pub(super) rest_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// The load balancer speaks for itself: a health check.
    Local,
    /// It speaks for somebody.
    Proxy,
}

/// Why something is no header that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("does not begin with a PROXY header of version 2")]
    Signature,
    #[error("version and command are {0:#04x}: 0x20 (local) or 0x21 (proxy) is right")]
    Command(u8),
    #[error(
        "the family is {0:#04x}: 0x00 (unknown), 0x11 (TCP over IPv4) or 0x21 (over IPv6) is right"
    )]
    Family(u8),
    #[error("{0} bytes follow: at most {REST_BYTES_MAX} are taken")]
    Length(usize),
    #[error("{0} bytes are too few for the addresses")]
    Short(usize),
    #[error("what follows the addresses does not end where the header does")]
    Tail,
    #[error("the checksum is wrong")]
    Checksum,
}

/// Reads the part whose length is known.
pub(super) fn fixed(bytes: &[u8; FIXED_BYTES]) -> Result<Fixed, HeaderError> {
    if bytes[..12] != SIGNATURE {
        return Err(HeaderError::Signature);
    }
    let command = match bytes[12] {
        0x20 => Command::Local,
        0x21 => Command::Proxy,
        other => return Err(HeaderError::Command(other)),
    };
    let rest_bytes = usize::from(u16::from_be_bytes([bytes[14], bytes[15]]));
    if rest_bytes > REST_BYTES_MAX {
        return Err(HeaderError::Length(rest_bytes));
    }
    Ok(Fixed { bytes: *bytes, command, family: bytes[13], rest_bytes })
}

impl Fixed {
    /// Who is spoken for, from what follows; nobody, if it speaks for itself or does not know.
    pub(super) fn source(self, rest: &[u8]) -> Result<Option<IpAddr>, HeaderError> {
        // A sender that speaks for itself may say anything after that: 2.2 of the text.
        if self.command == Command::Local {
            return Ok(None);
        }
        let short = HeaderError::Short(rest.len());
        // Two addresses and two ports.
        let (source, addresses_bytes) = match self.family {
            // How long the addresses are that nobody knows, nobody knows.
            0x00 => return Ok(None),
            0x11 => match rest.first_chunk::<12>() {
                Some([a, b, c, d, ..]) => (IpAddr::from(Ipv4Addr::new(*a, *b, *c, *d)), 12),
                None => return Err(short),
            },
            0x21 => match (rest.first_chunk::<36>(), rest.first_chunk::<16>()) {
                (Some(_both), Some(source)) => {
                    (IpAddr::from(Ipv6Addr::from(*source)).to_canonical(), 36)
                }
                _ => return Err(short),
            },
            other => return Err(HeaderError::Family(other)),
        };
        self.check_tail(rest, addresses_bytes)?;
        Ok(Some(source))
    }

    /// Walks through the TLVs, which follow the addresses, and checks the checksum among them.
    fn check_tail(self, rest: &[u8], addresses_bytes: usize) -> Result<(), HeaderError> {
        let mut tail = &rest[addresses_bytes..];
        while let [kind, high, low, after @ ..] = tail {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some((value, next)) = after.split_at_checked(length) else {
                return Err(HeaderError::Tail);
            };
            if *kind == CHECKSUM {
                let before = &rest[..rest.len() - after.len()];
                let sum = crc32c([&self.bytes[..], before, &[0; CHECKSUM_BYTES], next]);
                if value != sum.to_be_bytes() {
                    return Err(HeaderError::Checksum);
                }
            }
            tail = next;
        }
        if tail.is_empty() { Ok(()) } else { Err(HeaderError::Tail) }
    }
}

/// A whole header at the beginning of some bytes: who is spoken for, and how long it is; nothing
/// while it is incomplete. What a reader of a socket does in two steps, for tests.
#[cfg(test)]
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Option<IpAddr>, usize)>, HeaderError> {
    let Some(head) = bytes.first_chunk::<FIXED_BYTES>() else {
        let begins = SIGNATURE.iter().zip(bytes).all(|(wanted, byte)| wanted == byte);
        return if begins { Ok(None) } else { Err(HeaderError::Signature) };
    };
    let fixed = fixed(head)?;
    let Some(rest) = bytes[FIXED_BYTES..].get(..fixed.rest_bytes) else { return Ok(None) };
    Ok(Some((fixed.source(rest)?, FIXED_BYTES + fixed.rest_bytes)))
}
