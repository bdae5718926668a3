//! CRC-32C, the checksum that a PROXY header may carry (RFC 3309 has the polynomial, and what it is
//! of no words). A table and a line: not worth a crate.

/// Castagnoli's polynomial, its bits in reverse order.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each byte does to the remainder.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            let divides = remainder & 1 == 1;
            remainder >>= 1;
            if divides {
                remainder ^= POLYNOMIAL;
            }
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

/// The checksum of all parts together.
pub(super) fn crc32c<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let all = parts.into_iter().flatten();
    !all.fold(!0, |remainder, byte| {
        TABLE[usize::from(remainder.to_le_bytes()[0] ^ byte)] ^ (remainder >> 8)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720 §B.4, and the check value that every catalogue of checksums has.
    #[test]
    fn it_is_what_others_say_it_is() {
        assert_eq!(crc32c([&[0; 32][..]]), 0x8a91_36aa);
        assert_eq!(crc32c([&[0xff; 32][..]]), 0x62a8_ab43);
        let up: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c([&up[..]]), 0x46dd_794e);
        assert_eq!(crc32c([&b"1234"[..], b"", b"56789"]), 0xe306_9283);
        assert_eq!(crc32c([]), 0);
    }
}
