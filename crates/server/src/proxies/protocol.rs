//! The PROXY protocol, version 2: a short binary header in which a load balancer tells from where
//! the connection that it passes on has come
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).
//!
//! Parsed here, because it is four fields of fixed size. Version 1, which is text of unknown
//! length, is not spoken. What follows the addresses (TLVs) is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How every header begins; no HTTP and no TLS does.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The part whose length is known: signature, version and command, family, length of the rest.
pub(super) const FIXED_BYTES: usize = 16;

/// The longest rest that is taken. Senders are told to stay under 536 bytes; a client's
/// certificate among the TLVs needs more.
const REST_BYTES_MAX: usize = 4096;

/// What the fixed part says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fixed {
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
    Ok(Fixed { command, family: bytes[13], rest_bytes })
}

impl Fixed {
    /// Who is spoken for, from what follows; nobody, if it speaks for itself or does not know.
    pub(super) fn source(self, rest: &[u8]) -> Result<Option<IpAddr>, HeaderError> {
        // A sender that speaks for itself may say anything after that: 2.2 of the text.
        if self.command == Command::Local {
            return Ok(None);
        }
        let short = HeaderError::Short(rest.len());
        match self.family {
            0x00 => Ok(None),
            // Two addresses and two ports.
            0x11 => match rest.first_chunk::<12>() {
                Some([a, b, c, d, ..]) => Ok(Some(Ipv4Addr::new(*a, *b, *c, *d).into())),
                None => Err(short),
            },
            0x21 => match (rest.first_chunk::<36>(), rest.first_chunk::<16>()) {
                (Some(_both), Some(source)) => {
                    Ok(Some(IpAddr::from(Ipv6Addr::from(*source)).to_canonical()))
                }
                _ => Err(short),
            },
            other => Err(HeaderError::Family(other)),
        }
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
