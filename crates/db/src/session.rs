//! Which raw SQL changes the session that it runs in, so that the next one on the connection
//! would find it changed: settings, locks, temporary tables, channels.
//!
//! Only raw SQL can do so, and each text is looked at before it is sent for the first time, so
//! that the usual statement, which is prepared already, pays nothing. A function of one's own that
//! does such a thing is not seen through; DO and CALL are taken to do it, where it can be undone.

/// Makes a session as it was when it began, but for prepared statements, which are ours: what
/// `DISCARD ALL` does without `DEALLOCATE ALL` and `DISCARD PLANS`.
pub(crate) const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; \
     UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";

/// What a statement does to its session, and the word that says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Something that [`RESET`] undoes.
    Undone(&'static str),
    /// The same, if anything: what it does is written elsewhere.
    Perhaps(&'static str),
    /// Something that only the end of the session undoes, or that is about statements of ours.
    Lasting(&'static str),
}

impl Change {
    fn word(self) -> &'static str {
        match self {
            Change::Undone(word) | Change::Perhaps(word) | Change::Lasting(word) => word,
        }
    }
}

/// Who else has a session, beside whoever runs a statement in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Others {
    /// Others use it at the same time: it is one of the shared lane.
    pub(crate) now: bool,
    /// A pooler lends it to others afterwards, and nobody undoes there what was done to it.
    pub(crate) later: bool,
}

impl Others {
    /// Why a change may not be, if it may not.
    pub(crate) fn refuse(self, change: Change) -> Option<String> {
        let word = change.word();
        let is_certain = !matches!(change, Change::Perhaps(_));
        if self.later && is_certain {
            Some(format!(
                "{word} in raw SQL would change the session of others, to whom the pooler lends it \
                 next (database.pooler): use what ends with the transaction, such as SET LOCAL, \
                 pg_advisory_xact_lock or ON COMMIT DROP in Db::transaction"
            ))
        } else if self.now {
            Some(format!(
                "{word} in raw SQL would change the session of others on the shared lane: use \
                 Db::exclusive or Db::transaction"
            ))
        } else {
            None
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
    for word in ["PREPARE", "DEALLOCATE", "DISCARD", "LOAD"] {
        if is(first, word) {
            return Some(Change::Lasting(word));
        }
    }
    for word in ["DO", "CALL"] {
        if is(first, word) {
            return Some(Change::Perhaps(word));
        }
    }
    for word in ["RESET", "LISTEN", "UNLISTEN"] {
        if is(first, word) {
            return Some(Change::Undone(word));
        }
    }
    if is(first, "SET") {
        let ends_with_transaction =
            ["LOCAL", "TRANSACTION", "CONSTRAINTS"].iter().any(|word| words.clone().begins([word]));
        return (!ends_with_transaction).then_some(Change::Undone("SET"));
    }
    if is(first, "DECLARE") && words.clone().has(["WITH", "HOLD"]) {
        return Some(Change::Undone("DECLARE"));
    }
    // EXPLAIN ANALYZE CREATE TABLE … AS makes the table.
    let may_create = is(first, "CREATE") || is(first, "EXPLAIN");
    let (mut before, mut at) = ("", Some(first));
    while let Some(word) = at {
        let rest = words.clone();
        if may_create
            && is(word, "CREATE")
            && rest.clone().creates_temporary()
            && !rest.clone().has(["ON", "COMMIT", "DROP"])
        {
            return Some(Change::Undone("CREATE TEMPORARY"));
        }
        let selects_into = is(word, "INTO") && !is(before, "INSERT") && !is(before, "MERGE");
        if selects_into && rest.clone().names_temporary() {
            return Some(Change::Undone("INTO TEMPORARY"));
        }
        if is(word, "UPDATE") && rest.clone().updates("pg_settings") {
            return Some(Change::Undone("UPDATE pg_settings"));
        }
        if rest.clone().begins(["("]) {
            if let Some(lock) = LOCKS.into_iter().find(|lock| is_name(word, lock)) {
                return Some(Change::Undone(lock));
            }
            if is_name(word, "set_config") && !rest.says_local() {
                return Some(Change::Undone("set_config"));
            }
        }
        (before, at) = (word, words.next());
    }
    None
}

fn is(word: &str, other: &str) -> bool {
    word.eq_ignore_ascii_case(other)
}

/// Whether a word is that name, quoted or not.
fn is_name(word: &str, name: &str) -> bool {
    match word.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"') == Some(name),
        None => is(word, name),
    }
}

/// The words of an SQL text, and its signs, but for what stands in quotes or comments.
pub(crate) fn words(sql: &str) -> impl Iterator<Item = &str> {
    Words(sql).filter(|word| !word.starts_with('"'))
}

/// The words of an SQL text, its signs, and its names in quotes with their quotes; no text and no
/// comment.
#[derive(Clone)]
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// Whether these words come first.
    fn begins<const N: usize>(mut self, wanted: [&str; N]) -> bool {
        wanted.iter().all(|wanted| self.next().is_some_and(|word| is(word, wanted)))
    }

    /// Whether these words come somewhere, one after the other.
    fn has<const N: usize>(mut self, wanted: [&str; N]) -> bool {
        loop {
            if self.clone().begins(wanted) {
                return true;
            }
            if self.next().is_none() {
                return false;
            }
        }
    }

    /// The next word that is none of these.
    fn after(&mut self, skipped: &[&str]) -> &'a str {
        self.find(|word| !skipped.iter().any(|skipped| is(word, skipped))).unwrap_or("")
    }

    /// Whether what follows CREATE is made for the session: it says so (as in OR REPLACE TEMP
    /// VIEW, or LOCAL TEMPORARY TABLE), or names the schema of such things.
    fn creates_temporary(mut self) -> bool {
        let named = self.clone().any(is_temporary_schema);
        let kind = self.after(&["OR", "REPLACE", "LOCAL", "GLOBAL"]);
        is_temporary(kind) || named
    }

    /// Whether what follows INTO is a table of the session.
    fn names_temporary(mut self) -> bool {
        let target = self.after(&["TABLE", "LOCAL", "GLOBAL"]);
        is_temporary(target) || is_temporary_schema(target)
    }

    /// Whether what follows UPDATE is that table or view of Postgres itself.
    fn updates(mut self, table: &str) -> bool {
        let mut target = self.after(&["ONLY"]);
        if is_name(target, "pg_catalog") && self.next() == Some(".") {
            target = self.next().unwrap_or("");
        }
        is_name(target, table)
    }

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
            } else if first == '\'' {
                self.0 = after(quoted_length(text, first, false));
            } else if first == '"' {
                let (name, rest) = text.split_at(quoted_length(text, first, false));
                self.0 = rest;
                return Some(name);
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

fn is_temporary(word: &str) -> bool {
    is(word, "TEMP") || is(word, "TEMPORARY")
}

/// Each session has one of its own, which is also known by a number.
fn is_temporary_schema(word: &str) -> bool {
    const NAME: &str = "pg_temp";
    let number = word.trim_matches('"').get(..NAME.len());
    number.is_some_and(|start| is(start, NAME))
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
            ("SELECT \"pg_catalog\".\"pg_advisory_lock\" ($1)", "pg_advisory_lock"),
            ("SELECT \"set_config\"('a', 'b', false)", "set_config"),
            ("COPY (SELECT set_config('a', 'b', false)) TO STDOUT", "set_config"),
            ("UPDATE pg_settings SET setting = '1'", "UPDATE pg_settings"),
            ("update only \"pg_catalog\".\"pg_settings\" set setting = $1", "UPDATE pg_settings"),
            ("CREATE TEMP TABLE t (a int)", "CREATE TEMPORARY"),
            ("CREATE TEMP TABLE t (a int) ON COMMIT DELETE ROWS", "CREATE TEMPORARY"),
            ("CREATE LOCAL TEMPORARY TABLE t (a int)", "CREATE TEMPORARY"),
            ("CREATE TABLE pg_temp.t (a int)", "CREATE TEMPORARY"),
            ("CREATE TABLE \"pg_temp\".\"t\" (a int)", "CREATE TEMPORARY"),
            ("CREATE FUNCTION pg_temp_3.f() RETURNS int AS '' LANGUAGE sql", "CREATE TEMPORARY"),
            ("CREATE VIEW v AS SELECT * FROM pg_temp.t", "CREATE TEMPORARY"),
            ("EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1", "CREATE TEMPORARY"),
            (
                "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT pg_advisory_lock(1)",
                "pg_advisory_lock",
            ),
            ("SELECT * INTO pg_temp.x FROM y", "INTO TEMPORARY"),
            ("SELECT * INTO TABLE pg_temp.x FROM y", "INTO TEMPORARY"),
            ("SELECT * INTO LOCAL TEMPORARY x FROM y", "INTO TEMPORARY"),
            ("create or replace temporary view v as select 1", "CREATE TEMPORARY"),
            ("SELECT * INTO TEMP x FROM y", "INTO TEMPORARY"),
            ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE"),
            ("SELECT E'it\\'s', pg_advisory_lock(1)", "pg_advisory_lock"),
        ] {
            assert_eq!(change(sql), Some(Change::Undone(word)), "{sql:?}");
        }
        for (sql, word) in [("DO $$ BEGIN PERFORM 1; END $$", "DO"), ("CALL anything()", "CALL")] {
            assert_eq!(change(sql), Some(Change::Perhaps(word)), "{sql:?}");
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
    fn who_else_has_the_session_decides_what_may_be() {
        let refused = |now, later, change| {
            let why = Others { now, later }.refuse(change);
            why.map(|why| if why.contains("pooler") { "pooler" } else { "lane" })
        };
        let (set, call) = (Change::Undone("SET"), Change::Perhaps("CALL"));
        for (change, expected) in [
            (set, [None, Some("lane"), Some("pooler"), Some("pooler")]),
            (call, [None, Some("lane"), None, Some("lane")]),
            (Change::Lasting("LOAD"), [None, Some("lane"), Some("pooler"), Some("pooler")]),
        ] {
            let all = [(false, false), (true, false), (false, true), (true, true)];
            assert_eq!(all.map(|(now, later)| refused(now, later, change)), expected);
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
            "CREATE TABLE temp (t int)",
            "CREATE TEMP TABLE t (a int) ON COMMIT DROP",
            "CREATE TABLE pg_temp.t ON COMMIT DROP AS SELECT 1",
            "DECLARE c CURSOR FOR SELECT 1",
            "DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1",
            "INSERT INTO pg_temp.t VALUES (1)",
            "UPDATE t SET a = (SELECT setting FROM pg_settings LIMIT 1)",
            "SELECT pg_advisory_lock, \"set_config\" FROM t",
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
