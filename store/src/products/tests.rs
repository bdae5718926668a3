//! What is refused before it comes to the database.

use super::*;

fn words(words: &str) -> Result<Words, String> {
    Words::try_from(words.to_owned())
}

#[test]
fn a_page_has_from_one_to_a_hundred_products() {
    for limit in [1, PAGE_DEFAULT, PAGE_MAX] {
        assert_eq!(Limit::try_from(limit), Ok(Limit(limit)));
    }
    for limit in [0, -1, PAGE_MAX + 1, i64::MAX, i64::MIN] {
        assert_eq!(Limit::try_from(limit), Err(format!("must be from 1 to 100, not {limit}")));
    }
}

#[test]
fn a_search_needs_words() {
    for nothing in ["", " ", "\t\n"] {
        assert_eq!(words(nothing), Err("must have at least one word".to_owned()));
    }
}

#[test]
fn a_search_may_hold_whatever_people_type() {
    for typed in ["cast iron", "\"cast iron\" -skillet or wok", "& | ! ( ) : * '", "café 中文 🦀"]
    {
        assert_eq!(words(typed), Ok(Words(typed.to_owned())));
    }
}

#[test]
fn a_search_is_bounded_in_characters_not_in_bytes() {
    let longest = "é".repeat(WORDS_CHARACTERS_MAX);
    assert!(words(&longest).is_ok());
    let too_long = words(&format!("{longest}é"));
    assert_eq!(too_long, Err("must have at most 200 characters, not 201".to_owned()));
}

#[test]
fn a_search_without_a_nul() {
    assert!(words("cast\0iron").is_err());
}
