//! The Rust of a guide stands in a file that is compiled, so that no reader is shown what is no
//! longer so.

const GUIDE: &str = include_str!("../../../../docs/guides/database.md");
const CODE: &str = include_str!("database_guide/shop.rs");
const SCHEMA: &str = include_str!("database_guide/migrations/2026-01-15-090000_shop/up.sql");

#[test]
fn what_the_database_guide_shows_is_compiled() {
    for (language, source, count_min) in [("rust", CODE, 15), ("sql", SCHEMA, 1)] {
        let source = without_indents(source);
        let blocks = blocks(GUIDE, language);
        assert!(blocks.len() >= count_min, "{} blocks of {language}", blocks.len());
        for block in blocks {
            assert!(source.contains(&block), "not in the {language} of the test:\n{block}");
        }
    }
}

#[test]
fn what_the_tls_guide_shows_is_compiled() {
    let source = without_indents(include_str!("tls_guide.rs"));
    let blocks = blocks(include_str!("../../../../docs/guides/tls.md"), "rust");
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        assert!(source.contains(&block), "not in the test:\n{block}");
    }
}

/// The blocks of one language, each without its fences.
fn blocks(guide: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let after = guide.split(&fence).skip(1);
    after.filter_map(|rest| Some(without_indents(rest.split_once("```")?.0))).collect()
}

/// A handler of the guide may be a part of something here.
fn without_indents(code: &str) -> String {
    code.lines().fold(String::new(), |text, line| text + line.trim() + "\n")
}
