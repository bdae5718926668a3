//! What a metric and its labels may be called, so that Prometheus reads it and `promtool`
//! has nothing to say.

use super::series::Kind;

/// The labels as they are shown, sorted by name: `route="/a",status="200"`. An error says
/// what is wrong with which label.
pub(crate) fn render_labels(kind: Kind, labels: &[(&str, &str)]) -> Result<String, String> {
    let mut labels = labels.to_vec();
    labels.sort_unstable();
    if let Some(twice) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("label `{}` is there twice", twice[0].0));
    }
    let mut text = String::new();
    for (name, value) in labels {
        check_label(kind, name)?;
        let comma = if text.is_empty() { "" } else { "," };
        text.extend([comma, name, "=\"", &escape_label(value), "\""]);
    }
    Ok(text)
}

/// Says what is wrong with a metric's name or help.
pub(crate) fn check_metric(kind: Kind, name: &str, help: &str) -> Result<(), String> {
    if !is_identifier(name) {
        return Err(
            "a name has letters, digits and `_` only and does not begin with a digit".into()
        );
    }
    if help.trim().is_empty() {
        return Err("the help text is empty".into());
    }
    match kind {
        Kind::Counter if !name.ends_with("_total") => {
            return Err("the name of a counter ends with `_total`".into());
        }
        Kind::TimeCounter if !name.ends_with("_seconds_total") => {
            return Err("the name of a time counter ends with `_seconds_total`".into());
        }
        Kind::Histogram if !name.ends_with("_seconds") => {
            return Err("the name of a histogram of durations ends with `_seconds`".into());
        }
        Kind::SizeHistogram if !name.ends_with("_bytes") => {
            return Err("the name of a histogram of sizes ends with `_bytes`".into());
        }
        Kind::Gauge => {
            let reserved = ["_total", "_count", "_sum", "_bucket"];
            if let Some(suffix) = reserved.iter().find(|suffix| name.ends_with(**suffix)) {
                return Err(format!("the name of a gauge does not end with `{suffix}`"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// A help text on one line.
pub(crate) fn escape_help(help: &str) -> String {
    help.replace('\\', r"\\").replace('\n', r"\n")
}

/// Says what is wrong with a label's name.
pub(crate) fn check_label(kind: Kind, name: &str) -> Result<(), String> {
    if !is_identifier(name) || name.starts_with("__") {
        return Err(format!(
            "label `{name}` is not a name: letters, digits and `_`, not beginning with a digit or `__`"
        ));
    }
    if kind.word() == "histogram" && name == "le" {
        return Err("label `le` is the histogram's own".into());
    }
    Ok(())
}

fn escape_label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

fn is_identifier(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    starts_well && name.bytes().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_and_escaped() {
        let labels = [("b", "two\nlines"), ("a", r#"a "quoted" \ path"#)];
        let text = render_labels(Kind::Counter, &labels).unwrap();
        assert_eq!(text, r#"a="a \"quoted\" \\ path",b="two\nlines""#);
        assert_eq!(render_labels(Kind::Counter, &[]).unwrap(), "");
    }

    #[test]
    fn wrong_names_are_told_apart() {
        let cases = [
            (Kind::Counter, "9lives_total", "help", "begin with a digit"),
            (Kind::Counter, "", "help", "letters, digits"),
            (Kind::Counter, "naïve_total", "help", "letters, digits"),
            (Kind::Counter, "events", "help", "`_total`"),
            (Kind::Counter, "events_total", " ", "help text is empty"),
            (Kind::Gauge, "open_total", "help", "does not end with `_total`"),
            (Kind::Gauge, "open_count", "help", "does not end with `_count`"),
            (Kind::Histogram, "wait_ms", "help", "`_seconds`"),
            (Kind::SizeHistogram, "body", "help", "`_bytes`"),
            (Kind::TimeCounter, "busy_total", "help", "`_seconds_total`"),
        ];
        for (kind, name, help, reason) in cases {
            let error = check_metric(kind, name, help).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
        assert_eq!(check_metric(Kind::Gauge, "_open9", "Open."), Ok(()));
    }

    #[test]
    fn wrong_labels_are_told_apart() {
        assert!(
            render_labels(Kind::Gauge, &[("a", "1"), ("a", "2")]).unwrap_err().contains("twice")
        );
        assert!(render_labels(Kind::Gauge, &[("__a", "1")]).unwrap_err().contains("__"));
        assert!(render_labels(Kind::Gauge, &[("le", "1")]).is_ok());
        assert!(render_labels(Kind::Histogram, &[("le", "1")]).unwrap_err().contains("own"));
    }
}
