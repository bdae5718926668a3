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
        return text_with_secrets(text);
    }
    STARS.to_owned()
}

/// A text that may have secrets in it, such as a line of a file.
pub(crate) fn text_with_secrets(text: &str) -> String {
    assigned_secrets(&url_passwords(text))
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

/// The values in `password=value`, `password = "value"` and `?password=value&`.
fn assigned_secrets(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let (before, value) = rest.split_at(equals + 1);
        masked.push_str(before);
        let name = before[..equals].trim_end_matches([' ', '\t', '"', '\'']);
        if is_secret_name(name) {
            let blanks = value.len() - value.trim_start().len();
            let length = value_length(&value[blanks..]);
            masked.push_str(&value[..blanks]);
            masked.push_str(STARS);
            rest = &value[blanks + length..];
        } else {
            rest = value;
        }
    }
    masked.push_str(rest);
    masked
}

/// How far a value goes: to its closing quote, or to a blank, `&` or quote that ends it.
fn value_length(value: &str) -> usize {
    let quote = value.chars().next().filter(|first| ['"', '\''].contains(first));
    let mut escaped = false;
    for (position, character) in value.char_indices().skip(usize::from(quote.is_some())) {
        let ends = match quote {
            Some(quote) => character == quote,
            None => character.is_whitespace() || ['&', '"', '\''].contains(&character),
        };
        if ends && !escaped {
            return position + if quote.is_some() { character.len_utf8() } else { 0 };
        }
        escaped = character == '\\' && !escaped;
    }
    value.len()
}

/// A line of a file or a flag as a message may repeat it: masked, without control characters,
/// and not endless.
pub(crate) fn line(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    let masked = text_with_secrets(text.trim());
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
