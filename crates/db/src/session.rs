//! Which raw SQL changes the session that it runs in, so that the next one on the connection
//! would find it changed: settings, locks, temporary tables, channels.
//!
//! Only raw SQL can do so, and each text is looked at before it is sent for the first time, so
//! that the usual statement, which is prepared already, pays nothing. A function of one's own that
//! does such a thing is not seen through; DO and CALL are taken to do it.

/// Makes a session as it was when it began, but for prepared statements, which are ours: what
/// `DISCARD ALL` does without `DEALLOCATE ALL` and `DISCARD PLANS`.
pub(crate) const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; \
     UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// What a statement does to its session, and the word that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something that [`RESET`] undoes.
    Undone(&'static str),
    /// Something that only the end of the session undoes, or that is about statements of ours.
    Lasting(&'static str),
}

impl Change {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Change::Undone(word) | Change::Lasting(word) => word,
        }
    }
}

/// Locks that outlive the transaction.
const LOCKS: [&str; 4] = [
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
];

/// What a statement does to the session, if it does anything.
pub(crate) fn change(sql: &str) -> Option<Change> {
    let mut words = Words(sql);
    let first = words.next()?;
    let is = |word: &str, other: &str| word.eq_ignore_ascii_case(other);
    let rest = words.clone();
    let next = || rest.clone().next().unwrap_or("");
    for word in ["PREPARE", "DEALLOCATE", "DISCARD", "LOAD"] {
        if is(first, word) {
            return Some(Change::Lasting(word));
        }
    }
    for word in ["RESET", "LISTEN", "UNLISTEN", "DECLARE", "DO", "CALL"] {
        if is(first, word) {
            return Some(Change::Undone(word));
        }
    }
    if is(first, "SET") {
        let ends_with_transaction =
            ["LOCAL", "TRANSACTION", "CONSTRAINTS"].iter().any(|word| is(next(), word));
        return (!ends_with_transaction).then_some(Change::Undone("SET"));
    }
    let is_temporary = |word: &str| is(word, "TEMP") || is(word, "TEMPORARY");
    // CREATE OR REPLACE TEMP VIEW, CREATE LOCAL TEMPORARY TABLE
    if is(first, "CREATE") && rest.clone().take(3).any(is_temporary) {
        return Some(Change::Undone("CREATE TEMPORARY"));
    }
    let (mut earlier, mut before) = ("", first);
    while let Some(word) = words.next() {
        let selects_into = is(before, "INTO") && !is(earlier, "INSERT") && !is(earlier, "MERGE");
        if selects_into && is_temporary(word) {
            return Some(Change::Undone("INTO TEMPORARY"));
        }
        if let Some(lock) = LOCKS.into_iter().find(|lock| is(word, lock)) {
            return Some(Change::Undone(lock));
        }
        if is(word, "set_config") && !words.clone().says_local() {
            return Some(Change::Undone("set_config"));
        }
        (earlier, before) = (before, word);
    }
    None
}

/// The words of an SQL text, and its signs, but for what stands in quotes or comments.
pub(crate) fn words(sql: &str) -> impl Iterator<Item = &str> {
    Words(sql)
}

/// The words of an SQL text, and its signs, but for what stands in quotes or comments.
#[derive(Clone)]
struct Words<'a>(&'a str);

impl Words<'_> {
    /// Whether the arguments that follow say that a setting ends with the transaction: `true`
    /// is the last of them.
    fn says_local(self) -> bool {
        let (mut depth, mut last) = (0, "");
        for word in self {
            match word {
                "(" => depth += 1,
                ")" if depth == 1 => return last.eq_ignore_ascii_case("true"),
                ")" => depth -= 1,
                _ => {}
            }
            last = word;
        }
        false
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.0 = self.0.trim_start();
            let text = self.0;
            let first = text.chars().next()?;
            let after = |length: usize| text.get(length..).unwrap_or("");
            if text.starts_with("--") {
                self.0 = text.find('\n').map_or("", after);
            } else if text.starts_with("/*") {
                self.0 = after(comment_length(text));
            } else if first == '\'' || first == '"' {
                self.0 = after(quoted_length(text, first, false));
            } else if first == '$'
                && let Some(length) = dollar_quoted_length(text)
            {
                self.0 = after(length);
            } else if is_of_word(first) {
                let length = text.find(|c| !is_of_word(c)).unwrap_or(text.len());
                let (word, rest) = text.split_at(length);
                let escapes = word.eq_ignore_ascii_case("e") && rest.starts_with('\'');
                if escapes {
                    self.0 = &rest[quoted_length(rest, '\'', true)..];
                    continue;
                }
                self.0 = rest;
                return Some(word);
            } else {
                let (sign, rest) = text.split_at(first.len_utf8());
                self.0 = rest;
                // It separates statements, or begins with none.
                if sign != ";" {
                    return Some(sign);
                }
            }
        }
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a quoted text with its quotes; a doubled quote does not end it.
fn quoted_length(text: &str, quote: char, escapes: bool) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return at + 1;
            }
        }
    }
    text.len()
}

/// Comments of this kind lie in one another.
fn comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            let Some(c) = rest.chars().next() else { break };
            at += c.len_utf8();
        }
    }
    text.len()
}

/// The length of `$tag$ … $tag$`; none for a bind such as `$1`.
fn dollar_quoted_length(text: &str) -> Option<usize> {
    let name = text[1..].find('$')? + 1;
    let tag = &text[..=name];
    let is_tag =
        tag[1..name].chars().all(is_of_word) && !tag[1..].starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    let body = &text[tag.len()..];
    Some(body.find(tag).map_or(text.len(), |end| tag.len() + end + tag.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_a_session_is_seen() {
        for (sql, word) in [
            ("SET search_path = x", "SET"),
            (" ;\n-- now\nset session time zone 'UTC'", "SET"),
            ("/* a /* b */ c */ RESET ALL", "RESET"),
            ("SELECT set_config('a.b', $1, false)", "set_config"),
            ("SELECT set_config('a.b', 'true', $1)", "set_config"),
            ("SELECT set_config('a', f(true), false), true", "set_config"),
            ("LISTEN news", "LISTEN"),
            ("unlisten *", "UNLISTEN"),
            ("SELECT pg_advisory_lock($1)", "pg_advisory_lock"),
            ("SELECT PG_TRY_ADVISORY_LOCK_SHARED(1, 2)", "pg_try_advisory_lock_shared"),
            ("SELECT 1 FROM t WHERE pg_catalog.pg_try_advisory_lock(id)", "pg_try_advisory_lock"),
            ("CREATE TEMP TABLE t (a int)", "CREATE TEMPORARY"),
            ("create or replace temporary view v as select 1", "CREATE TEMPORARY"),
            ("SELECT * INTO TEMP x FROM y", "INTO TEMPORARY"),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE"),
            ("DO $$ BEGIN PERFORM 1; END $$", "DO"),
            ("CALL anything()", "CALL"),
            ("SELECT E'it\\'s', pg_advisory_lock(1)", "pg_advisory_lock"),
        ] {
            assert_eq!(change(sql), Some(Change::Undone(word)), "{sql:?}");
        }
        for (sql, word) in [
            ("PREPARE a AS SELECT 1", "PREPARE"),
            ("deallocate all", "DEALLOCATE"),
            ("DISCARD ALL", "DISCARD"),
            ("LOAD 'auto_explain'", "LOAD"),
        ] {
            assert_eq!(change(sql), Some(Change::Lasting(word)), "{sql:?}");
        }
    }

    #[test]
    fn what_ends_with_the_transaction_or_is_only_text_is_left_alone() {
        for sql in [
            "",
            ";",
            "UPDATE t SET a = 1",
            "INSERT INTO temp VALUES (1)",
            "SELECT a INTO plain FROM t",
            "SELECT 'pg_advisory_lock(1)'",
            "SELECT \"set_config\", $1",
            "SELECT $a$ SET x = 1; set_config('a', 'b', false) $a$",
            "SELECT $1, 'it''s', E'\\'' -- pg_advisory_lock(1)",
            "SELECT pg_advisory_xact_lock($1)",
            "SELECT pg_try_advisory_xact_lock_shared($1)",
            "SELECT set_config('a.b', $1, true)",
            "SELECT set_config('a.b', concat('x', $1), TRUE)",
            "SET LOCAL search_path = x",
            "set transaction isolation level serializable",
            "SET CONSTRAINTS ALL DEFERRED",
            "CREATE TABLE t (temp int)",
            "CREATE FUNCTION f() RETURNS int AS $$ SELECT pg_advisory_lock(1) $$ LANGUAGE sql",
            "WITH setting AS (SELECT 1) SELECT * FROM setting",
            "VALUES ('unclosed",
            "/* unclosed SET",
            "$",
            "ß$ß",
        ] {
            assert_eq!(change(sql), None, "{sql:?}");
        }
    }
}
