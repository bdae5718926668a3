//! Reads one line of Prometheus' text format
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use super::Series;

/// Name, labels and value; none for comments, empty lines, and what is no sample.
pub(super) fn line(line: &str) -> Option<(&str, Series)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let name_ends = line.find(['{', ' ', '\t'])?;
    let (name, rest) = line.split_at(name_ends);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Vec::new(), rest),
    };
    // After the value a timestamp may follow.
    let value = rest.split_whitespace().next()?;
    let value = match value {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        value => value.parse().ok()?,
    };
    is_name(name).then_some((name, Series { labels, value }))
}

/// What no other kind of text has at the beginning of many lines.
fn is_name(name: &str) -> bool {
    let first = name.chars().next();
    first.is_some_and(|first| !first.is_ascii_digit())
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "_:".contains(character))
}

/// The labels, and what follows their closing brace.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push((name.trim().to_owned(), value));
        rest = after;
    }
}

/// What stands before the closing quote, its escapes undone, and what follows.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = rest.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return Some((value, &rest[position + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, name: &str, labels: &[(&str, &str)], value: f64) {
        let (found, series) = line(text).unwrap();
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        assert_eq!((found, series.labels, series.value), (name, labels, value), "{text}");
    }

    #[test]
    fn samples_are_read_whatever_their_spaces_and_escapes() {
        check("up 1", "up", &[], 1.0);
        check("up{} 1 1700000000000", "up", &[], 1.0);
        check("a_bucket{le=\"+Inf\"} 7", "a_bucket", &[("le", "+Inf")], 7.0);
        check(
            "a{x=\"1\", y=\"b } \\\" \\\\ \\n\",} +Inf",
            "a",
            &[("x", "1"), ("y", "b } \" \\ \n")],
            f64::INFINITY,
        );
        check("a\t2.5e-3", "a", &[], 0.0025);
    }

    #[test]
    fn what_is_no_sample_is_left_out() {
        for text in [
            "",
            "# HELP up x",
            "up",
            "up x",
            "a{x=\"1\" 1",
            "a{x} 1",
            "{} 1",
            "a{x=\"\\",
            "<p> 1",
            "1 2",
        ] {
            assert_eq!(line(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_a_reason_to_panic(text in "[a-z{}=\\\\\", \\n0-9é]*") {
            let _ = line(&text);
        }
    }
}
