//! Text inside of a JSON string: escaped as it is written, and cut where it would be too long.

use std::fmt;

/// Writes into a JSON string, whose quotes are the caller's, until `end` is reached; then only
/// counts.
pub(crate) struct Text<'a> {
    bytes: &'a mut Vec<u8>,
    end: usize,
    cut_bytes: usize,
}

impl<'a> Text<'a> {
    /// The most that [`Text::finish`] adds behind `end`.
    pub(crate) const MARK_BYTES_MAX: usize = 48;

    /// Writes at the end of `bytes`, which will not grow beyond `end` but for the mark.
    pub(crate) fn new(bytes: &'a mut Vec<u8>, end: usize) -> Text<'a> {
        Text { bytes, end, cut_bytes: 0 }
    }

    pub(crate) fn write(&mut self, text: &str) {
        if self.cut_bytes > 0 {
            self.cut_bytes += text.len();
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let plain = plain_bytes(rest.as_bytes());
            let room = self.end.saturating_sub(self.bytes.len());
            if plain > room {
                let fits = rest.floor_char_boundary(room);
                self.bytes.extend_from_slice(&rest.as_bytes()[..fits]);
                self.cut_bytes += rest.len() - fits;
                return;
            }
            self.bytes.extend_from_slice(&rest.as_bytes()[..plain]);
            let Some(&special) = rest.as_bytes().get(plain) else { return };
            if room - plain < r"\u0000".len() {
                self.cut_bytes += rest.len() - plain;
                return;
            }
            self.escape(special);
            // What is escaped is ASCII, so the next character begins one byte later.
            rest = &rest[plain + 1..];
        }
    }

    /// Says how much was cut, if anything was.
    pub(crate) fn finish(self) {
        if self.cut_bytes > 0 {
            self.bytes.extend_from_slice("… (".as_bytes());
            self.bytes.extend_from_slice(itoa::Buffer::new().format(self.cut_bytes).as_bytes());
            self.bytes.extend_from_slice(b" bytes cut)");
        }
    }

    fn escape(&mut self, special: u8) {
        match ESCAPES[usize::from(special)] {
            b'u' => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                self.bytes.extend_from_slice(br"\u00");
                self.bytes.push(DIGITS[usize::from(special >> 4)]);
                self.bytes.push(DIGITS[usize::from(special & 15)]);
            }
            letter => self.bytes.extend_from_slice(&[b'\\', letter]),
        }
    }
}

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text);
        Ok(())
    }
}

/// How many bytes at the beginning stand for themselves. Eight are looked at in one step, as in
/// "Determine if a word has a byte less than n" and "equal to n" (Anderson, Bit Twiddling Hacks):
/// nearly all of a log is text in which nothing is escaped.
fn plain_bytes(text: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut plain = 0;
    for &eight in text.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(eight);
        // The lowest mark is right; those above it may be of a byte that borrowed.
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quote = has_zero(word ^ (ONES * u64::from(b'"')));
        let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
        let marks = control | quote | backslash;
        if marks != 0 {
            return plain + marks.trailing_zeros() as usize / 8;
        }
        plain += eight.len();
    }
    let rest = text[plain..].iter().position(|byte| ESCAPES[usize::from(*byte)] != 0);
    rest.map_or(text.len(), |more| plain + more)
}

/// What follows the backslash for each byte, `u` for four digits; 0 where nothing is escaped.
static ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0a] = b'n';
    escapes[0x0c] = b'f';
    escapes[0x0d] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(pieces: &[&str], end: usize) -> String {
        let mut bytes = Vec::new();
        let mut text = Text::new(&mut bytes, end);
        pieces.iter().for_each(|piece| text.write(piece));
        text.finish();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_json_reserves_is_escaped() {
        let all = "a\"b\\c\n\r\t\u{8}\u{c}\u{0}\u{1b}\u{7f}é";
        assert_eq!(written(&[all], 100), "a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001b\u{7f}é");
    }

    #[test]
    fn it_is_cut_between_characters_and_says_so() {
        assert_eq!(written(&["abcdef"], 6), "abcdef");
        assert_eq!(written(&["abcdefg"], 6), "abcdef… (1 bytes cut)");
        assert_eq!(written(&["aé"], 2), "a… (2 bytes cut)");
        assert_eq!(written(&["abc\n"], 8), "abc… (1 bytes cut)");
        assert_eq!(written(&["abcd", "efg", "h"], 6), "abcdef… (2 bytes cut)");
        assert_eq!(written(&["a"], 0), "… (1 bytes cut)");
    }

    #[test]
    fn each_byte_is_found_at_each_place() {
        for length in 0..20 {
            let plain = vec![b'a'; length];
            assert_eq!(plain_bytes(&plain), length);
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = plain.clone();
                    text[place] = byte;
                    // Behind it there is another one, which must not be taken for the first.
                    text.push(b'\n');
                    let escaped = ESCAPES[usize::from(byte)] != 0;
                    assert_eq!(plain_bytes(&text), if escaped { place } else { length });
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_json(pieces: Vec<String>) {
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let json = format!("\"{}\"", written(&pieces, usize::MAX));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), pieces.concat());
        }

        #[test]
        fn any_cut_is_json_and_keeps_the_bound(text: String, end in 0_usize..64) {
            let written = written(&[&text], end);
            prop_assert!(written.len() <= end + Text::MARK_BYTES_MAX);
            let back: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
            let kept = back.split("… (").next().unwrap();
            prop_assert!(back == text || text.starts_with(kept));
        }
    }
}
