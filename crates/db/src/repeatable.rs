//! Which statements may be sent a second time when nobody knows whether they ran: those that
//! change nothing, as far as their text shows that for certain.
//!
//! A SELECT may call any function, and a function may do anything. So a text counts as a read
//! only if each of its words is plainly harmless: it is one SELECT, it writes and locks nothing,
//! and of functions it calls only those below. Whatever else there is (a function of one's own, a
//! comment, a quoted name in front of a parenthesis) makes it no read: then its error is told,
//! and nothing is done twice. A view can hide a function, and an operator can be one: what is
//! hidden there so that reading twice does harm is not found out.

/// Functions of Postgres that change nothing, whoever calls them how often.
const HARMLESS: &[&str] = &[
    "abs",
    "age",
    "array_agg",
    "array_length",
    "array_to_json",
    "array_to_string",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "date_bin",
    "date_part",
    "date_trunc",
    "dense_rank",
    "every",
    "extract",
    "first_value",
    "floor",
    "format",
    "generate_series",
    "greatest",
    "initcap",
    "json_agg",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_agg",
    "jsonb_object_keys",
    "jsonb_path_exists",
    "jsonb_path_query",
    "jsonb_typeof",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "lower_inc",
    "lower_inf",
    "ltrim",
    "make_date",
    "make_interval",
    "max",
    "md5",
    "min",
    "mod",
    "now",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "overlay",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "plainto_tsquery",
    "position",
    "power",
    "rank",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "row_to_json",
    "rtrim",
    "sign",
    "split_part",
    "sqrt",
    "stddev",
    "string_agg",
    "strpos",
    "substr",
    "substring",
    "sum",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "trim",
    "trunc",
    "ts_rank",
    "unnest",
    "upper",
    "upper_inc",
    "upper_inf",
    "variance",
    "websearch_to_tsquery",
    "width_bucket",
];

/// Words that can stand in front of a parenthesis and are no functions.
const NO_FUNCTIONS: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "between",
    "by",
    "case",
    "cast",
    "distinct",
    "else",
    "except",
    "exists",
    "filter",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "intersect",
    "join",
    "lateral",
    "like",
    "limit",
    "not",
    "offset",
    "on",
    "or",
    "over",
    "partition",
    "row",
    "select",
    "similar",
    "some",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
    "within",
];

/// Words that write or lock, wherever they stand. A column may be called so too, and then its
/// quotes are part of the word.
const HARMFUL: &[&str] =
    &["insert", "update", "delete", "merge", "into", "for", "share", "call", "do", "set"];

/// Whether a statement plainly is a read.
pub(crate) fn is_read(sql: &str) -> bool {
    let Some(words) = words(sql) else { return false };
    let mut words = words.into_iter().peekable();
    if words.peek() != Some(&Word::Plain("select".to_owned())) {
        return false;
    }
    let (mut before, mut last) = (Word::Sign(' '), Word::Sign(' '));
    for word in words {
        let harmless = match &word {
            Word::Plain(plain) => !HARMFUL.contains(&plain.as_str()),
            Word::Sign('(') => opens_harmlessly(&before, &last),
            Word::Sign(';') => false,
            Word::Sign(_) | Word::Quoted | Word::Value => true,
        };
        if !harmless {
            return false;
        }
        before = std::mem::replace(&mut last, word);
    }
    true
}

/// Whether the parenthesis after these two words calls nothing that is not known.
fn opens_harmlessly(before: &Word, last: &Word) -> bool {
    match last {
        Word::Plain(name) => {
            let is_of_a_schema = *before == Word::Sign('.');
            let name = name.as_str();
            !is_of_a_schema && (HARMLESS.contains(&name) || NO_FUNCTIONS.contains(&name))
        }
        Word::Quoted => false,
        Word::Value | Word::Sign(_) => true,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    /// A keyword or a name without quotes, in lower case.
    Plain(String),
    /// A name in quotes.
    Quoted,
    /// A number, a text, or a bind.
    Value,
    Sign(char),
}

/// The words of a text; `None` if it has something in it that is not easily told apart.
fn words(sql: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let length = rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len());
                // E'…', U&"…" and the like have rules of their own.
                let next = rest[length..].chars().next();
                if matches!(next, Some('\'' | '&')) && length == 1 {
                    return None;
                }
                words.push(Word::Plain(rest[..length].to_ascii_lowercase()));
                length
            }
            '0'..='9' => {
                words.push(Word::Value);
                rest.find(|c: char| !is_of_name(c)).unwrap_or(rest.len())
            }
            '$' => {
                // $1 is a bind; $tag$ begins a text.
                let length =
                    rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |at| at + 1);
                if length == 1 || rest[length..].starts_with(|c: char| c == '$' || is_of_name(c)) {
                    return None;
                }
                words.push(Word::Value);
                length
            }
            '\'' | '"' => {
                words.push(if first == '"' { Word::Quoted } else { Word::Value });
                // A doubled quote is one text behind another here, which comes to the same. A
                // backslash may escape the quote, if Postgres is set so.
                let length = rest[1..].find(first)? + 2;
                if rest[..length].contains('\\') {
                    return None;
                }
                length
            }
            '-' if rest.starts_with("--") => return None,
            '/' if rest.starts_with("/*") => return None,
            sign if sign.is_ascii() => {
                words.push(Word::Sign(sign));
                1
            }
            _ => return None,
        };
        rest = rest[length..].trim_start();
    }
    Some(words)
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;

    use super::*;
    use crate::query::sql_of;

    diesel::table! {
        pieces (id) {
            id -> BigInt,
            name -> Text,
            stock -> Integer,
        }
    }

    #[test]
    fn what_diesel_makes_of_reads_is_known_as_such() {
        let by_name = pieces::table.filter(pieces::name.like("a%").and(pieces::stock.gt(1)));
        let grouped = pieces::table.group_by(pieces::name).select((
            pieces::name,
            diesel::dsl::sum(pieces::stock),
            diesel::dsl::count_star(),
        ));
        let listed = pieces::table.filter(pieces::id.eq_any([1_i64, 2])).order(pieces::id).limit(3);
        let within = pieces::table.filter(pieces::id.eq_any(pieces::table.select(pieces::id)));
        let exists = diesel::select(diesel::dsl::exists(pieces::table.find(1)));
        for sql in [
            sql_of(&pieces::table.find(1)),
            sql_of(&by_name),
            sql_of(&by_name.into_boxed::<diesel::pg::Pg>()),
            sql_of(&grouped),
            sql_of(&listed),
            sql_of(&within),
            sql_of(&exists),
        ] {
            let sql = sql.unwrap();
            assert!(is_read(&sql), "{sql}");
        }
    }

    #[test]
    fn what_diesel_makes_of_writes_and_locks_is_none() {
        let returning = diesel::delete(pieces::table.find(1)).returning(pieces::id);
        for sql in [
            sql_of(&returning),
            sql_of(&pieces::table.find(1).for_update()),
            sql_of(&pieces::table.find(1).for_share().skip_locked()),
        ] {
            let sql = sql.unwrap();
            assert!(!is_read(&sql), "{sql}");
        }
    }

    #[test]
    fn plain_reads() {
        for sql in [
            "SELECT 1",
            " select lower(name), count(*) FROM pieces WHERE id IN (1, 2) GROUP BY (name)",
            "SELECT 'it''s (nextval', \"update\" FROM \"for\"",
            "SELECT ($1 + 2) * (3) FROM t WHERE a = ANY($2) AND NOT (b)",
            "SELECT CASE WHEN (a) THEN 1 ELSE (2) END FROM (SELECT 1) t",
            "SELECT count(*) FILTER (WHERE a > 1) OVER (PARTITION BY b) FROM t",
        ] {
            assert!(is_read(sql), "{sql}");
        }
    }

    #[test]
    fn whatever_might_do_something_is_no_read() {
        for sql in [
            "",
            "INSERT INTO t VALUES (1)",
            "SELECT nextval('s')",
            "SELECT pg_advisory_lock(1)",
            "SELECT \"nextval\"('s')",
            "SELECT \"nextval\" ('s')",
            "SELECT mine.count(1)",
            "SELECT pg_catalog . setval('s', 1)",
            "SELECT charge_card(1)",
            "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
            "SELECT * FROM t WHERE id IN (SELECT id FROM f(1))",
            "SELECT * INTO copy FROM t",
            "SELECT * FROM t FOR NO KEY UPDATE",
            "SELECT 1; DELETE FROM t",
            "SELECT 1 -- (",
            "SELECT 1 /* */",
            "SELECT E'\\'' || nextval('s') || ''",
            "SELECT 'a\\' || nextval('s')",
            "SELECT $$ ' $$, nextval('s')",
            "SELECT $a$ ' $a$, nextval('s')",
            "SELECT U&\"f\"(1)",
            "SELECT 'unclosed",
            "SELECT ƒ(1)",
            "TABLE t",
        ] {
            assert!(!is_read(sql), "{sql}");
        }
    }
}
