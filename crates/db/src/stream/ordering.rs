//! What a query says about the order and the number of its rows, read off its SQL: diesel keeps
//! the parts of a query to itself, and the end of a SELECT is regular.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::key::UnusableKey;

/// One column that rows are ordered by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderColumn {
    /// The table, or its alias, if it is said.
    pub(crate) table: Option<String>,
    pub(crate) column: String,
    pub(crate) descending: bool,
}

/// The columns by which a limited query orders its rows.
///
/// # Errors
/// When there is no ORDER BY or no LIMIT, or it orders by something else than columns.
pub(crate) fn ordering(sql: &str) -> Result<Vec<OrderColumn>, UnusableKey> {
    let tokens = outermost(tokens(sql));
    let is_word = |index: usize, word| tokens.get(index).is_some_and(|token| token.is(word));
    // The last one: one before it belongs to a part of the query.
    let order = (0..tokens.len()).rev().find(|at| is_word(*at, "order") && is_word(at + 1, "by"));
    let order = order.ok_or(UnusableKey::Unordered)?;
    let mut rest = tokens.into_iter().skip(order + 2).collect::<Vec<_>>().into_iter().peekable();
    let columns = columns(&mut rest)?;
    let rest: Vec<Token> = rest.collect();
    if rest.iter().any(|token| token.is("offset")) {
        return Err(UnusableKey::Offset);
    }
    let limited = rest.iter().any(|token| token.is("limit") || token.is("fetch"));
    if limited { Ok(columns) } else { Err(UnusableKey::Unlimited) }
}

fn columns(tokens: &mut Peekable<IntoIter<Token>>) -> Result<Vec<OrderColumn>, UnusableKey> {
    let mut columns = Vec::new();
    loop {
        columns.push(column(tokens).ok_or(UnusableKey::Expression { place: columns.len() + 1 })?);
        match tokens.peek() {
            Some(Token::Symbol(',')) => tokens.next(),
            Some(token) if !token.ends_ordering() => {
                return Err(UnusableKey::Expression { place: columns.len() });
            }
            _ => return Ok(columns),
        };
    }
}

/// `"schema"."table"."column" DESC NULLS LAST`, of which only the last name has to be there.
fn column(tokens: &mut Peekable<IntoIter<Token>>) -> Option<OrderColumn> {
    let mut column = tokens.next()?.name()?;
    let mut table = None;
    while tokens.next_if_eq(&Token::Symbol('.')).is_some() {
        table = Some(std::mem::replace(&mut column, tokens.next()?.name()?));
    }
    let descending = tokens.next_if(|token| token.is("desc")).is_some();
    if !descending {
        tokens.next_if(|token| token.is("asc"));
    }
    // No column of a key is NULL, so where NULLs come does not matter.
    if tokens.next_if(|token| token.is("nulls")).is_some() {
        tokens.next_if(|token| token.is("first") || token.is("last"))?;
    }
    Some(OrderColumn { table, column, descending })
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word without quotes, in lower case as Postgres sees it.
    Word(String),
    /// A name in quotes.
    Quoted(String),
    Symbol(char),
    /// A text.
    Literal,
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own == word)
    }

    fn name(self) -> Option<String> {
        match self {
            // A number is the place of a column, and a word in front of a bracket a function:
            // the one is no name, the other is found out by what follows.
            Token::Word(word) if !word.starts_with(|c: char| c.is_ascii_digit()) => Some(word),
            Token::Quoted(name) => Some(name),
            _ => None,
        }
    }

    fn ends_ordering(&self) -> bool {
        *self == Token::Symbol(';')
            || ["limit", "offset", "fetch", "for"].iter().any(|word| self.is(word))
    }
}

/// The tokens that stand in no brackets; a pair of brackets is left of what stands in them, so
/// that a function is not taken for a name.
fn outermost(tokens: Vec<Token>) -> Vec<Token> {
    let mut depth = 0_usize;
    let mut outer = Vec::with_capacity(tokens.len());
    for token in tokens {
        match token {
            Token::Symbol('(' | '[') => {
                if depth == 0 {
                    outer.push(token);
                }
                depth += 1;
            }
            Token::Symbol(')' | ']') => depth = depth.saturating_sub(1),
            token if depth == 0 => outer.push(token),
            _ => {}
        }
    }
    outer
}

fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            _ if first.is_whitespace() => after,
            '-' if after.starts_with('-') => after.find('\n').map_or("", |end| &after[end..]),
            '/' if after.starts_with('*') => after_comment(rest),
            '"' => {
                let (name, after) = quoted(after, '"', false);
                tokens.push(Token::Quoted(name));
                after
            }
            '\'' => {
                let escapes = tokens.last().is_some_and(|token| token.is("e"));
                tokens.push(Token::Literal);
                quoted(after, '\'', escapes).1
            }
            '$' => {
                tokens.push(Token::Literal);
                after_dollar(rest)
            }
            _ if is_word_part(first) => {
                let end = rest.find(|c: char| !is_word_part(c) && c != '$').unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..end].to_lowercase()));
                &rest[end..]
            }
            symbol => {
                tokens.push(Token::Symbol(symbol));
                after
            }
        };
    }
    tokens
}

fn is_word_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What stands up to the quote that ends it, and what follows; two quotes stand for one.
fn quoted(text: &str, quote: char, escapes: bool) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return (value, &text[at + c.len_utf8()..]);
        }
        if escapes && c == '\\' {
            chars.next();
        }
        value.push(c);
    }
    (value, "")
}

/// Comments of Postgres may hold others.
fn after_comment(text: &str) -> &str {
    let (mut depth, mut rest) = (0_usize, text);
    loop {
        if let Some(inside) = rest.strip_prefix("/*") {
            (depth, rest) = (depth + 1, inside);
        } else if let Some(behind) = rest.strip_prefix("*/") {
            (depth, rest) = (depth - 1, behind);
        } else {
            let mut chars = rest.chars();
            chars.next();
            rest = chars.as_str();
        }
        if depth == 0 || rest.is_empty() {
            return rest;
        }
    }
}

/// Behind `$1`, or behind all of `$tag$…$tag$`.
fn after_dollar(text: &str) -> &str {
    let end = text[1..].find(|c: char| !is_word_part(c)).map_or(text.len(), |end| end + 1);
    let is_tag =
        text[end..].starts_with('$') && !text[1..].starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return &text[end..];
    }
    let (tag, rest) = text.split_at(end + 1);
    rest.find(tag).map_or("", |at| &rest[at + tag.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str) -> String {
        match ordering(sql) {
            Ok(columns) => {
                let column = |column: &OrderColumn| {
                    let table = column.table.as_deref().map(|table| format!("{table}."));
                    let direction = if column.descending { " DESC" } else { "" };
                    format!("{}{}{direction}", table.unwrap_or_default(), column.column)
                };
                columns.iter().map(column).collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_diesel_writes_is_understood() {
        for (sql, expected) in [
            (
                r#"SELECT "p"."id" FROM "p" WHERE ("p"."id" > $1) ORDER BY "p"."id" LIMIT $2"#,
                "p.id",
            ),
            (
                r#"SELECT 1 FROM "s"."p" ORDER BY "s"."p"."a" DESC, "s"."p"."b" ASC LIMIT $1"#,
                "p.a DESC, p.b",
            ),
            (r#"SELECT 1 FROM "p" ORDER BY "p"."o""dd" NULLS LAST LIMIT $1"#, "p.o\"dd"),
        ] {
            assert_eq!(shown(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_people_write_is_understood() {
        for (sql, expected) in [
            ("select * from p order by Id fetch first 10 rows only;", "id"),
            ("SELECT 'order by x limit 1' FROM p ORDER BY p.id LIMIT 1 FOR SHARE", "p.id"),
            ("SELECT row_number() OVER (ORDER BY a LIMIT 1) FROM p ORDER BY id LIMIT 1", "id"),
            ("WITH t AS (SELECT 1 ORDER BY 1) SELECT * FROM t ORDER BY id LIMIT 5", "id"),
            ("SELECT E'it\\'s ORDER BY' FROM p -- ORDER BY x\nORDER BY id LIMIT 5", "id"),
            (
                "SELECT $t$ ORDER BY $x$ $t$ /* ORDER /* BY */ x */ FROM p ORDER BY id LIMIT $1",
                "id",
            ),
        ] {
            assert_eq!(shown(sql), expected, "{sql}");
        }
    }

    #[test]
    fn what_has_no_key_is_refused_with_its_reason() {
        for (sql, expected) in [
            ("SELECT * FROM p LIMIT 5", UnusableKey::Unordered),
            ("SELECT * FROM (SELECT * FROM p ORDER BY id) p LIMIT 5", UnusableKey::Unordered),
            ("", UnusableKey::Unordered),
            ("SELECT * FROM p ORDER BY id", UnusableKey::Unlimited),
            ("SELECT * FROM p ORDER BY lower(a) LIMIT 5", UnusableKey::Expression { place: 1 }),
            ("SELECT * FROM p ORDER BY id, a + b LIMIT 5", UnusableKey::Expression { place: 2 }),
            ("SELECT * FROM p ORDER BY 1 LIMIT 5", UnusableKey::Expression { place: 1 }),
            (
                "SELECT * FROM p ORDER BY a COLLATE \"C\" LIMIT 5",
                UnusableKey::Expression { place: 1 },
            ),
            ("SELECT * FROM p ORDER BY id USING > LIMIT 5", UnusableKey::Expression { place: 1 }),
            ("SELECT * FROM p ORDER BY", UnusableKey::Expression { place: 1 }),
        ] {
            assert_eq!(shown(sql), expected.to_string(), "{sql}");
        }
    }

    #[test]
    fn no_text_is_too_odd_to_come_to_an_end() {
        for sql in
            ["'", "\"", "/*", "/* /* */", "$", "$$", "$a$", "--", "E'\\", "(((", ")))", "ü$ü"]
        {
            assert!(ordering(sql).is_err(), "{sql}");
        }
    }
}
