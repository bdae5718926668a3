//! Takes what is secret out of a text before anybody sees it. Where it is not clear how much
//! is secret, it takes too much.

/// What stands in the place of a secret.
const STARS: &str = "***";

/// Names whose value is secret in `name=value`, wherever a name ends with one of them.
const SECRET_NAMES: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "secret",
    "token",
    "api_key",
    "apikey",
    "access_key",
];

/// Names that tell a connection string of key=value pairs from a token that happens to have
/// an equals sign in it.
const CONNECTION_NAMES: [&str; 6] = ["host", "hostaddr", "port", "dbname", "user", "service"];

/// A text that is secret as a whole: only connection strings stay legible, without their
/// password.
pub(crate) fn secret(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    if is_url(text) || is_connection_string(text) {
        return assigned_secrets(&url_passwords(text), &is_secret_name, value_length);
    }
    STARS.to_owned()
}

/// A line of a file or a flag as a message may repeat it: masked from where
/// something is assigned to a secret or one of the given names, because broken quotes do not
/// tell how far a value goes; without control characters, and not endless.
pub(crate) fn line(text: &str, secret_names: &[&str]) -> String {
    const CHARACTERS_MAX: usize = 120;
    let is_secret = |name: &str| {
        is_secret_name(name) || secret_names.iter().any(|secret| name.ends_with(secret))
    };
    let masked = assigned_secrets(&url_passwords(text.trim()), &is_secret, str::len);
    let mut shown: String = masked
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(CHARACTERS_MAX)
        .collect();
    if masked.chars().nth(CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether the name promises a secret value.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.ends_with(secret))
}

fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

fn is_connection_string(text: &str) -> bool {
    text.split_whitespace()
        .any(|pair| pair.split_once('=').is_some_and(|(name, _)| CONNECTION_NAMES.contains(&name)))
}

/// From the first colon after `://` to the last `@` of the whole rest: a password may hold
/// `/`, `:`, `@` and blanks that ought to have been escaped.
fn url_passwords(text: &str) -> String {
    let Some(start) = text.find("://").map(|position| position + 3) else {
        return text.to_owned();
    };
    let (head, rest) = text.split_at(start);
    let Some(at) = rest.rfind('@') else {
        return text.to_owned();
    };
    match rest[..at].find(':') {
        Some(colon) => format!("{head}{}:{STARS}{}", &rest[..colon], &rest[at..]),
        None => text.to_owned(),
    }
}

/// The values in `password=value`, `password = "value"` and `?password=value&`. How far a
/// value goes is told by `length`.
fn assigned_secrets(
    text: &str,
    is_secret: &dyn Fn(&str) -> bool,
    length: fn(&str) -> usize,
) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let (before, value) = rest.split_at(equals + 1);
        masked.push_str(before);
        rest = value;
        if is_secret(before[..equals].trim_end_matches([' ', '\t', '"', '\''])) {
            let blanks = value.len() - value.trim_start().len();
            let (blanks, value) = value.split_at(blanks);
            masked.push_str(blanks);
            masked.push_str(STARS);
            rest = &value[length(value)..];
        }
    }
    masked.push_str(rest);
    masked
}

/// The length of a value in a connection string: to its closing quote, or else to a blank or
/// `&`; where that does not come, it is all.
fn value_length(value: &str) -> usize {
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first));
    let end = match quote {
        Some(quote) => unescaped(&value[1..], |character| character == quote).map(|end| end + 2),
        None => unescaped(value, |character| character.is_whitespace() || character == '&'),
    };
    end.unwrap_or(value.len())
}

/// Where the first such character stands that has no backslash before it.
fn unescaped(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let mut escaped = false;
    for (position, character) in text.char_indices() {
        if !escaped && wanted(character) {
            return Some(position);
        }
        escaped = character == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_lose_their_password_alone() {
        let cases = [
            ("postgres://store:hunter2@db:5432/store", "postgres://store:***@db:5432/store"),
            ("postgres://store@db/store", "postgres://store@db/store"),
            ("postgres://db:5432/store", "postgres://db:5432/store"),
            ("postgres://s:p/w:x@y@db/s", "postgres://s:***@db/s"),
            ("postgres://s:p w@db/s", "postgres://s:***@db/s"),
            ("postgres://s:@db/s", "postgres://s:***@db/s"),
            (
                "postgres://db/s?user=u&password=hunter2&x=1",
                "postgres://db/s?user=u&password=***&x=1",
            ),
            ("postgres://db/s?sslpassword=hunter2", "postgres://db/s?sslpassword=***"),
            (
                "host=/tmp user=s password=hunter2 dbname=x",
                "host=/tmp user=s password=*** dbname=x",
            ),
            ("host=/tmp password = 'hun\\' ter2' dbname=x", "host=/tmp password = *** dbname=x"),
            (r"host=/tmp password=hun\ ter2 dbname=x", "host=/tmp password=*** dbname=x"),
            ("host=/tmp PASSWORD=hunter2", "host=/tmp PASSWORD=***"),
            ("host=/tmp password=", "host=/tmp password=***"),
        ];
        for (text, masked) in cases {
            assert_eq!(secret(text), masked, "{text}");
        }
    }

    #[test]
    fn what_is_no_connection_string_is_masked_whole() {
        for text in ["hunter2", "c2VjcmV0==", "a b c", "x=y", "1://a:b@c", "täst://a:b@c"] {
            assert_eq!(secret(text), "***", "{text}");
        }
        assert_eq!(secret(""), "");
    }

    #[test]
    fn a_line_keeps_what_is_not_secret() {
        let cases = [
            (r#"  listen = "0.0.0.0:80"  "#, r#"listen = "0.0.0.0:80""#),
            (r#"urll = "postgres://s:hunter2@db/s""#, r#"urll = "postgres://s:***@db/s""#),
            (r#"password = "hunter2" # mine"#, "password = ***"),
            (r#"{ "password" = "hun\"ter2", a = 1 }"#, r#"{ "password" = ***"#),
            ("password = hunter2 or so", "password = ***"),
            ("password = 'hunter2", "password = ***"),
            (r#"signing = "hunter2""#, "signing = ***"),
            ("database.signing=hunter2=", "database.signing=***"),
            ("a\tb\u{1b}c", "a b c"),
        ];
        for (text, masked) in cases {
            assert_eq!(line(text, &["signing"]), masked, "{text}");
        }
    }

    #[test]
    fn a_line_is_not_endless() {
        assert_eq!(line(&"ä".repeat(120), &[]), "ä".repeat(120));
        assert_eq!(line(&"ä".repeat(121), &[]), format!("{}…", "ä".repeat(120)));
    }
}
