//! Each kind of value: what it takes from text and from TOML, and what it refuses.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;
use tenfold_config::{ByteSize, Secret, Setting, Value};

use crate::shop::{DatabaseSettings, Requests, from_file, wrong_file, wrong_flag};

/// A text from a flag or a variable.
fn text<T: Setting>(text: &str) -> Option<T> {
    T::from_value(&Value::Text(text.to_owned()))
}

/// A string from a file.
fn string<T: Setting>(text: &str) -> Option<T> {
    T::from_value(&Value::String(text.to_owned()))
}

/// Shown as `shown`, which reads back as the same value, and so does its literal in a file.
#[track_caller]
fn check<T: Setting + Debug>(value: &T, shown: &str, literal: &str) {
    assert_eq!(value.show(), shown);
    assert_eq!(value.literal(), literal);
    assert_eq!(text::<T>(shown).as_ref(), Some(value));
    assert_eq!(from_literal::<T>(literal).as_ref(), Some(value));
}

fn from_literal<T: Setting>(literal: &str) -> Option<T> {
    let document = format!("x = {literal}");
    let table = toml::de::DeTable::parse(&document).unwrap();
    T::from_value(&Value::from(table.get_ref()["x"].get_ref()))
}

#[test]
fn every_kind_shows_what_it_reads() {
    check(&true, "true", "true");
    check(&-5_i64, "-5", "-5");
    check(&u64::MAX, "18446744073709551615", "18446744073709551615");
    check(&NonZeroU16::MIN, "1", "1");
    check(&0.5, "0.5", "0.5");
    check(&1e300, "1e300", "1e300");
    check(&"a b".to_owned(), "a b", r#""a b""#);
    check(&PathBuf::from("/a"), "/a", r#""/a""#);
    check(&SocketAddr::from(([0_u16; 8], 1)), "[::]:1", r#""[::]:1""#);
    check(&IpAddr::from([127, 0, 0, 1]), "127.0.0.1", r#""127.0.0.1""#);
    check(&Duration::from_millis(1500), "1500ms", r#""1500ms""#);
    check(&ByteSize::kib(64), "64KiB", r#""64KiB""#);
    check(&Requests::SlowAndFailed, "slow_and_failed", r#""slow_and_failed""#);
    check(&Some(5_u8), "5", "5");
    check(&None::<u8>, "", r#""""#);
    check(&vec!["a".to_owned(), "b".to_owned()], "a, b", r#"["a", "b"]"#);
    check(&Vec::<u8>::new(), "", "[]");
    check(&vec![1_u8, 2], "1, 2", "[1, 2]");
}

#[test]
fn text_that_is_nearly_right_is_refused() {
    assert_eq!(text::<bool>("yes"), None);
    assert_eq!(text::<bool>("True"), None);
    assert_eq!(text::<u8>("256"), None);
    assert_eq!(text::<u8>("-1"), None);
    assert_eq!(text::<u8>("1.0"), None);
    assert_eq!(text::<u8>(""), None);
    assert_eq!(text::<NonZeroUsize>("0"), None);
    assert_eq!(text::<f64>("NaN"), None);
    assert_eq!(text::<f64>("inf"), None);
    assert_eq!(text::<PathBuf>(""), None);
    assert_eq!(text::<SocketAddr>("localhost:80"), None);
    assert_eq!(text::<SocketAddr>("127.0.0.1"), None);
    assert_eq!(text::<Requests>("All"), None);
    assert_eq!(text::<Vec<u8>>("1,,2"), None);
    assert_eq!(text::<Option<u8>>(" "), None);
}

#[test]
fn a_file_keeps_its_types_apart() {
    assert_eq!(string::<u8>("1"), None);
    assert_eq!(string::<bool>("true"), None);
    assert_eq!(string::<f64>("1.0"), None);
    assert_eq!(string::<Vec<String>>("a,b"), None);
    assert_eq!(from_literal::<String>("1"), None);
    assert_eq!(from_literal::<Duration>("1"), None);
    assert_eq!(from_literal::<u8>("1.0"), None);
    assert_eq!(from_literal::<u8>("256"), None);
    assert_eq!(from_literal::<f64>("nan"), None);
    assert_eq!(from_literal::<String>("2026-01-01"), None);
    assert_eq!(from_literal::<u8>("99999999999999999999999999999999999999999"), None);
    assert_eq!(from_literal::<f64>("1"), Some(1.0));
    assert_eq!(from_literal::<u16>("0x1_F"), Some(31));
    assert_eq!(from_literal::<i32>("-1"), Some(-1));
    assert_eq!(from_literal::<ByteSize>("65536"), Some(ByteSize::kib(64)));
    assert_eq!(from_literal::<ByteSize>("-1"), None);
    assert_eq!(from_literal::<Option<Vec<u8>>>("[1]"), Some(Some(vec![1])));
}

#[test]
fn what_is_needed_is_said() {
    assert_eq!(
        wrong_flag("database.pool_max=10001"),
        "--set database.pool_max=10001: `database.pool_max` is \"10001\": \
         an integer from 1 to 10000 is needed"
    );
    assert_eq!(
        wrong_flag("log.requests=al"),
        "--set log.requests=al: `log.requests` is \"al\": \
         \"all\", \"slow_and_failed\" or \"none\" is needed; did you mean \"all\"?"
    );
    assert_eq!(
        wrong_file("[database]\ntries = '3'\n"),
        "tenfold.toml:2: `database.tries` is \"3\": \
         an integer of at least 1 without quotes is needed"
    );
    assert_eq!(
        wrong_file("[database]\nread_share = 1.5\n"),
        "tenfold.toml:2: `database.read_share` is 1.5: a number from 0.0 to 1.0 is needed"
    );
}

#[test]
fn the_ends_of_a_range_belong_to_it() {
    for pool_max in [1, 10_000] {
        let text = format!("[database]\npool_max = {pool_max}\n");
        assert_eq!(from_file::<DatabaseSettings>(&text).pool_max, pool_max);
    }
}

#[test]
fn a_secret_is_written_only_where_it_belongs() {
    let secret = Secret::new("hunter2");
    assert_eq!(secret.show(), "***");
    assert_eq!(secret.literal(), r#""hunter2""#);
    assert_eq!(
        format!("{secret} {secret:?} {:?}", Some(&secret)),
        "*** Secret(***) Some(Secret(***))"
    );
    assert_eq!(vec![secret].show(), "***");
    assert_eq!(Secret::default().to_string(), "");
}

proptest! {
    #[test]
    fn any_text_survives_a_file(text in "\\PC{0,20}|[\"'\\\\\n\r\t\u{0}-\u{1f}]{0,8}") {
        prop_assert_eq!(from_literal::<String>(&text.literal()), Some(text));
    }

    #[test]
    fn any_number_survives_a_file(number: f64, integer: i64) {
        if number.is_finite() {
            prop_assert_eq!(from_literal::<f64>(&number.literal()), Some(number));
        }
        prop_assert_eq!(from_literal::<i64>(&integer.literal()), Some(integer));
    }

    #[test]
    fn no_secret_of_a_url_is_shown(password in "[^\\pC]{1,20}") {
        // Longer than anything else in the text, so that it cannot be there by chance.
        let password = format!("hunter2hunter2{password}");
        let shown = Secret::new(format!("postgres://store:{password}@db/store")).to_string();
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        let shown = Secret::new(format!("host=db password='{quoted}' user=x")).to_string();
        prop_assert!(!shown.contains("hunter2"), "{}", shown);
    }
}
