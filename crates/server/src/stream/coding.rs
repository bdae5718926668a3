//! Which content coding a client is given, and the encoder of each.
//!
//! The encoders are used directly and not through a layer for all answers, for two reasons: the
//! memory that one takes for each reader has to be small and known, because many read at once
//! (as they come, brotli and zstd look back over megabytes); and what there is has to go out
//! before a pause between rows.

use std::io::{self, Write};

use bytes::buf::Writer;
use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;
use zstd::stream::raw::CParameter;

/// How far back repetitions are looked for, as a power of two: 128 KiB hold hundreds of rows.
const WINDOW_BITS: u32 = 17;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

impl Coding {
    /// The best first: what takes the least of the processor for the same size.
    const ALL: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    /// The coding that a client prefers, by its `accept-encoding` (RFC 9110 §12.5.3); among
    /// those that it likes as much, ours. `None` is as it is.
    pub(super) fn accepted(header: &HeaderValue) -> Option<Coding> {
        let header = header.to_str().ok()?;
        let weight = |name: &str| header.split(',').find_map(|item| weight_of(item, name));
        let any = weight("*").unwrap_or(0);
        let identity = weight("identity");
        Coding::ALL
            .into_iter()
            .map(|coding| (coding, weight(coding.name()).unwrap_or(any)))
            .filter(|(_, weight)| *weight > 0 && identity.is_none_or(|it| it <= *weight))
            // The first of the largest.
            .reduce(|best, other| if other.1 > best.1 { other } else { best })
            .map(|(coding, _)| coding)
    }

    /// Its name in headers.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Coding::Zstd => "zstd",
            Coding::Brotli => "br",
            Coding::Gzip => "gzip",
        }
    }
}

/// In thousandths, if the item is about that coding. What cannot be read is not wanted.
fn weight_of(item: &str, name: &str) -> Option<u32> {
    let mut parts = item.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(name) {
        return None;
    }
    let Some(weight) = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")))
    else {
        return Some(1_000);
    };
    let weight = weight.parse::<f32>().unwrap_or(0.0).clamp(0.0, 1.0);
    Some((weight * 1_000.0) as u32)
}

type Out = Writer<BytesMut>;

/// A coding at work.
pub(super) enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Out>),
    Brotli(Box<brotli::CompressorWriter<Out>>),
    Gzip(flate2::write::GzEncoder<Out>),
}

impl Encoder {
    pub(super) fn new(coding: Coding) -> io::Result<Encoder> {
        let out = BytesMut::new().writer();
        Ok(match coding {
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, 1)?;
                encoder.set_parameter(CParameter::WindowLog(WINDOW_BITS))?;
                Encoder::Zstd(encoder)
            }
            Coding::Brotli => {
                let quality = 2;
                let buffer_bytes = 4096;
                let encoder =
                    brotli::CompressorWriter::new(out, buffer_bytes, quality, WINDOW_BITS);
                Encoder::Brotli(Box::new(encoder))
            }
            Coding::Gzip => {
                Encoder::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::fast()))
            }
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
            Encoder::Brotli(encoder) => encoder.write_all(bytes),
            Encoder::Gzip(encoder) => encoder.write_all(bytes),
        }
    }

    /// Makes all that was written readable, which costs a little of the compression.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Encoder::Zstd(encoder) => encoder.flush(),
            Encoder::Brotli(encoder) => encoder.flush(),
            Encoder::Gzip(encoder) => encoder.flush(),
        }
    }

    /// What is ready to be sent.
    pub(super) fn take(&mut self) -> Bytes {
        let out = match self {
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Brotli(encoder) => encoder.get_mut(),
            Encoder::Gzip(encoder) => encoder.get_mut(),
        };
        out.get_mut().split().freeze()
    }

    /// The end of it all.
    pub(super) fn finish(self) -> io::Result<Bytes> {
        let out = match self {
            Encoder::Zstd(encoder) => encoder.finish()?,
            Encoder::Brotli(encoder) => encoder.into_inner(),
            Encoder::Gzip(encoder) => encoder.finish()?,
        };
        Ok(out.into_inner().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(header: &str) -> Option<&'static str> {
        Coding::accepted(&HeaderValue::from_str(header).unwrap()).map(Coding::name)
    }

    #[test]
    fn the_client_decides_and_among_equals_we_do() {
        for (header, expected) in [
            ("gzip", Some("gzip")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("gzip, deflate, br", Some("br")),
            ("zstd;q=0.5, GZIP;q=0.8", Some("gzip")),
            ("br ; q=0.9 , gzip;q=0.9", Some("br")),
            ("*", Some("zstd")),
            ("*;q=0.1, zstd;q=0", Some("br")),
            ("identity;q=0.5, gzip;q=0.4", None),
            ("identity;q=0.5, gzip", Some("gzip")),
            ("", None),
            ("deflate", None),
            ("identity", None),
            ("gzip;q=0", None),
            ("gzip;q=a lot", None),
            ("gzipped, x-zstd", None),
        ] {
            assert_eq!(accepted(header), expected, "{header:?}");
        }
    }

    #[test]
    fn each_coding_is_what_its_name_says_and_can_be_read_after_a_flush() {
        let text = "row after row after row\n".repeat(10_000);
        for coding in Coding::ALL {
            let mut encoder = Encoder::new(coding).unwrap();
            encoder.write(text.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let mut coded = encoder.take().to_vec();
            assert_eq!(decoded(coding, &coded), text.as_bytes(), "{coding:?} before its end");
            encoder.write(b"the end").unwrap();
            coded.extend(encoder.finish().unwrap());
            assert!(coded.len() < text.len() / 20, "{coding:?} is {} bytes", coded.len());
            assert_eq!(decoded(coding, &coded), [text.as_bytes(), b"the end"].concat());
        }
    }

    /// As far as it can be read.
    fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
        use std::io::Read;
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
            Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
        };
        let mut decoded = Vec::new();
        let mut some = [0; 512];
        while let Ok(count @ 1..) = reader.read(&mut some) {
            decoded.extend_from_slice(&some[..count]);
        }
        decoded
    }
}
