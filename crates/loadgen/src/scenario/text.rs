//! Texts with values that differ from request to request: `/products/{{zipf 1 10000 1.1}}`.

use std::sync::Arc;

use super::zipf::Zipf;

mod javascript;

pub(crate) use javascript::quoted;

/// Literal text and values, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Literal(String),
    Value(Value),
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Uniform { from: i64, to: i64 },
    Zipf { offset: u64, zipf: Zipf },
    Sequence { from: u64 },
    List(Arc<[String]>),
    Captured { name: usize, otherwise: String },
    Client,
}

/// What is wrong with a text, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct TextError {
    message: String,
}

/// What values in texts may refer to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    /// Lists by name, each with at least one line.
    pub(crate) lists: Vec<(String, Arc<[String]>)>,
    /// Names of captured values.
    pub(crate) captured: Vec<String>,
}

/// Where values of one request come from.
pub(crate) struct Values<'a> {
    /// Seeded with the request's own number, so that its values do not depend on the others'.
    pub(crate) random: fastrand::Rng,
    pub(crate) index: u64,
    pub(crate) client: u32,
    pub(crate) captured: &'a [Vec<String>],
}

/// What must not stand in a value where it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// In a path all but the unreserved characters of RFC 3986 are written as `%20`.
    Path,
    /// In a header there are no line ends.
    Header,
    /// In a body anything may stand.
    Nothing,
}

const KINDS: [&str; 6] = ["uniform", "zipf", "sequence", "list", "captured", "client"];

impl Text {
    /// A text that is always the same.
    pub fn literal(text: &str) -> Text {
        let parts = if text.is_empty() { vec![] } else { vec![Part::Literal(text.to_owned())] };
        Text { parts }
    }

    /// Reads a text with `{{values}}` in it; if it cannot, all that is wrong with it.
    pub(crate) fn parse(text: &str, source: &Source) -> Result<Text, Vec<TextError>> {
        let (mut parts, mut errors) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("{{") {
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let Some((value, after)) = after.split_once("}}") else {
                errors.push(TextError { message: format!("`{{{{{after}` has no end: `}}}}`") });
                rest = "";
                break;
            };
            match Value::parse(value.trim(), source) {
                Ok(value) => parts.push(Part::Value(value)),
                Err(error) => errors.push(error),
            }
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        if errors.is_empty() { Ok(Text { parts }) } else { Err(errors) }
    }

    /// Whether nothing is written at all.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether it is the same for every request.
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// The literal text of it, with nothing in the place of values.
    pub(crate) fn literals(&self) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.as_str(),
                Part::Value(_) => "",
            })
            .collect()
    }

    pub(crate) fn client() -> Text {
        let client = Part::Literal("client-".to_owned());
        Text { parts: vec![client, Part::Value(Value::Client)] }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>, values: &mut Values<'_>, escape: Escape) {
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(value) => value.write(out, values, escape),
            }
        }
    }
}

impl Value {
    fn parse(text: &str, source: &Source) -> Result<Value, TextError> {
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let wrong = |right: &str| TextError {
            message: format!("`{{{{{text}}}}}` is not understood: {right} is needed"),
        };
        match (kind, words.as_slice()) {
            ("uniform", [from, to]) => match (from.parse(), to.parse()) {
                (Ok(from), Ok(to)) if from <= to => Ok(Value::Uniform { from, to }),
                _ => Err(wrong("{{uniform FROM TO}} with two whole numbers, the smaller first")),
            },
            ("zipf", [from, to, exponent]) => zipf(from, to, exponent).map_err(wrong),
            ("sequence", []) => Ok(Value::Sequence { from: 0 }),
            ("sequence", [from]) => {
                let from = from.parse().ok().filter(|from| *from <= NUMBER_MAX);
                let right = "{{sequence FROM}} with a number up to 4503599627370495";
                Ok(Value::Sequence { from: from.ok_or_else(|| wrong(right))? })
            }
            ("list", [name]) => {
                let names: Vec<&str> = source.lists.iter().map(|(name, _)| name.as_str()).collect();
                let place = place(name, &names, "list", "[lists]")?;
                Ok(Value::List(source.lists[place].1.clone()))
            }
            ("captured", [name, "or", otherwise]) => {
                let names: Vec<&str> = source.captured.iter().map(String::as_str).collect();
                let name = place(name, &names, "captured value", "a request's `capture`")?;
                Ok(Value::Captured { name, otherwise: (*otherwise).to_owned() })
            }
            ("client", []) => Ok(Value::Client),
            ("uniform", _) => Err(wrong("{{uniform FROM TO}}")),
            ("zipf", _) => Err(wrong("{{zipf FROM TO EXPONENT}}")),
            ("sequence", _) => Err(wrong("{{sequence}} or {{sequence FROM}}")),
            ("list", _) => Err(wrong("{{list NAME}}")),
            ("captured", _) => Err(wrong("{{captured NAME or VALUE-UNTIL-THERE-IS-ONE}}")),
            ("client", _) => Err(wrong("{{client}}")),
            _ => Err(match super::fields::nearest(kind, &KINDS) {
                Some(nearest) => {
                    wrong(&format!("perhaps `{nearest}`: one of {}", KINDS.join(", ")))
                }
                None => wrong(&format!("one of {}", KINDS.join(", "))),
            }),
        }
    }

    fn write(&self, out: &mut Vec<u8>, values: &mut Values<'_>, escape: Escape) {
        match self {
            Value::Uniform { from, to } => number(out, values.random.i64(from..=to)),
            Value::Zipf { offset, zipf } => {
                number(out, offset.wrapping_add(zipf.draw(&mut values.random)));
            }
            Value::Sequence { from } => number(out, from + values.index),
            Value::List(list) => escaped(out, &list[values.random.usize(..list.len())], escape),
            Value::Captured { name, otherwise } => match values.captured[*name].as_slice() {
                [] => escaped(out, otherwise, escape),
                known => escaped(out, &known[values.random.usize(..known.len())], escape),
            },
            Value::Client => number(out, values.client),
        }
    }
}

/// The largest exponent: with it, all but one of a thousand are the first number already.
const EXPONENT_MAX: f64 = 10.0;

/// Beyond the mantissa of a double numbers would be skipped; and a sequence that begins here does
/// not come to its end.
const NUMBER_MAX: u64 = (1 << 52) - 1;

fn zipf(from: &str, to: &str, exponent: &str) -> Result<Value, &'static str> {
    let (Ok(from), Ok(to), Ok(exponent)) =
        (from.parse::<u64>(), to.parse::<u64>(), exponent.parse::<f64>())
    else {
        return Err("{{zipf FROM TO EXPONENT}}, such as {{zipf 1 10000 1.1}},");
    };
    if from > to {
        return Err("{{zipf FROM TO EXPONENT}} with the smaller number first");
    }
    if to > NUMBER_MAX {
        return Err("{{zipf FROM TO EXPONENT}} with TO up to 4503599627370495");
    }
    if !(0.0..=EXPONENT_MAX).contains(&exponent) {
        return Err("{{zipf FROM TO EXPONENT}} with an EXPONENT from 0 to 10");
    }
    Ok(Value::Zipf {
        // The first number of the distribution itself is 1.
        offset: from.wrapping_sub(1),
        zipf: Zipf::new(to - from + 1, exponent),
    })
}

fn place(name: &str, names: &[&str], what: &str, from: &str) -> Result<usize, TextError> {
    if let Some(place) = names.iter().position(|other| *other == name) {
        return Ok(place);
    }
    let message = match super::fields::nearest(name, names) {
        Some(nearest) => format!("there is no {what} `{name}`: did you mean `{nearest}`?"),
        None => format!("there is no {what} `{name}`: name it in {from}"),
    };
    Err(TextError { message })
}

fn number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    use std::io::Write;
    write!(out, "{number}").expect("a vector takes what is written to it");
}

fn escaped(out: &mut Vec<u8>, text: &str, escape: Escape) {
    match escape {
        Escape::Nothing => out.extend_from_slice(text.as_bytes()),
        Escape::Header => out.extend(text.bytes().filter(|byte| *byte >= b' ' && *byte != 0x7f)),
        Escape::Path => {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            for byte in text.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    out.push(byte);
                } else {
                    let (high, low) = (byte >> 4, byte & 15);
                    out.extend([b'%', DIGITS[usize::from(high)], DIGITS[usize::from(low)]]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        let words = vec!["red shoe".to_owned()];
        Source {
            lists: vec![("words".to_owned(), words.into())],
            captured: vec!["order".to_owned()],
        }
    }

    fn written(text: &str, escape: Escape, captured: &[Vec<String>]) -> String {
        let text = Text::parse(text, &source()).unwrap();
        let mut values =
            Values { random: fastrand::Rng::with_seed(5), index: 41, client: 3, captured };
        let mut out = Vec::new();
        text.write(&mut out, &mut values, escape);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_put_in() {
        let nothing = vec![vec![]];
        let some = vec![vec!["a/9\r\n".to_owned()]];
        assert_eq!(written("plain } { text", Escape::Path, &nothing), "plain } { text");
        assert_eq!(written("/{{uniform 7 7}}/{{zipf 5 5 1}}", Escape::Path, &nothing), "/7/5");
        assert_eq!(written("{{zipf 0 0 1.1}}", Escape::Path, &nothing), "0");
        assert_eq!(written("{{ uniform -3 -3 }}", Escape::Path, &nothing), "-3");
        assert_eq!(written("{{sequence}} {{sequence 100}}", Escape::Path, &nothing), "41 141");
        assert_eq!(written("?q={{list words}}", Escape::Path, &nothing), "?q=red%20shoe");
        assert_eq!(written("{{list words}}", Escape::Nothing, &nothing), "red shoe");
        assert_eq!(written("{{captured order or 1}}", Escape::Path, &nothing), "1");
        assert_eq!(written("{{captured order or 1}}", Escape::Path, &some), "a%2F9%0D%0A");
        assert_eq!(written("{{captured order or 1}}", Escape::Header, &some), "a/9");
        assert_eq!(written("c{{client}}", Escape::Header, &nothing), "c3");
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        let cases = [
            ("{{unifrom 1 2}}", "perhaps `uniform`"),
            ("{{uniform 2 1}}", "the smaller first"),
            ("{{uniform 1}}", "{{uniform FROM TO}}"),
            ("{{zipf 1 10}}", "{{zipf FROM TO EXPONENT}}"),
            ("{{zipf 1 10 x}}", "{{zipf 1 10000 1.1}}"),
            ("{{zipf 10 1 1}}", "the smaller number first"),
            ("{{zipf 1 10 -1}}", "EXPONENT from 0 to 10"),
            ("{{zipf 1 10 100}}", "EXPONENT from 0 to 10"),
            ("{{zipf 1 10 NaN}}", "EXPONENT from 0 to 10"),
            ("{{zipf 1 9000000000000000000 1}}", "TO up to 4503599627370495"),
            ("{{list word}}", "did you mean `words`?"),
            ("{{captured basket or 1}}", "name it in a request's `capture`"),
            ("{{captured order}}", "VALUE-UNTIL-THERE-IS-ONE"),
            ("{{sequence x}}", "{{sequence FROM}}"),
            ("{{sequence 18446744073709551615}}", "a number up to 4503599627370495"),
            ("{{}}", "one of uniform, zipf, sequence, list, captured, client"),
            ("{{uniform 1 2", "has no end"),
        ];
        for (text, right) in cases {
            let errors = Text::parse(text, &source()).unwrap_err();
            let [error] = errors.as_slice() else { panic!("{text}: {errors:?}") };
            assert!(error.to_string().contains(right), "{text}: {error}");
        }
        assert_eq!(NUMBER_MAX, 4_503_599_627_370_495, "as the message says");
    }

    #[test]
    fn all_that_is_wrong_with_a_text_is_told_at_once() {
        let errors = Text::parse("/{{unifrom 1 2}}/{{client}}/{{list word}}/{{zipf", &source());
        let errors: Vec<String> = errors.unwrap_err().iter().map(ToString::to_string).collect();
        let [kind, list, end] = errors.as_slice() else { panic!("three: {errors:?}") };
        assert!(kind.contains("`uniform`") && list.contains("`words`"), "{errors:?}");
        assert!(end.contains("`{{zipf` has no end"), "{end}");
    }
}
