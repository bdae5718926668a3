//! Whatever is written, a line is one line of JSON, within its bounds, each key once.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn line(fill: impl FnOnce(&mut Line)) -> Value {
    let mut line = Line::new(LINE_BYTES_MAX);
    line.begin(Level::Info, br#","pid":1"#);
    fill(&mut line);
    let (_, bytes) = line.finish();
    assert!(bytes.len() <= LINE_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn numbers_are_numbers() {
    let value = line(|line| {
        line.number("least", i64::MIN);
        line.number("most", u64::MAX);
        line.float("half", 0.5);
        line.float("huge", 1e300);
        line.float("none", f64::NAN);
        line.float("endless", f64::NEG_INFINITY);
        line.boolean("yes", true);
    });
    assert_eq!(value["least"], i64::MIN);
    assert_eq!(value["most"], u64::MAX);
    assert_eq!(value["half"], 0.5);
    assert_eq!(value["huge"], 1e300);
    assert_eq!(value["none"], Value::Null);
    assert_eq!(value["endless"], Value::Null);
    assert_eq!(value["yes"], true);
}

#[test]
fn a_long_text_leaves_room_for_the_others() {
    let long = "x".repeat(1_000_000);
    let value = line(|line| {
        line.text("msg", &long);
        line.number("order", 17);
    });
    let msg = value["msg"].as_str().unwrap();
    assert!(msg.starts_with("xxx") && msg.ends_with("… (991808 bytes cut)"), "{}", &msg[8000..]);
    assert_eq!(value["order"], 17);
    assert_eq!(value.get("fieldsCut"), None);
}

#[test]
fn fields_that_find_no_room_are_counted() {
    let long = "\u{1}".repeat(10_000);
    let value = line(|line| {
        for key in ["a", "b", "c", "d"] {
            line.text(key, &long);
        }
        line.number("e", 1);
    });
    assert!(value["a"].is_string() && value["b"].is_string());
    assert_eq!(value["fieldsCut"], 3);
}

#[test]
fn a_huge_error_stays_within_the_line() {
    let long = "é\"".repeat(100_000);
    let value = line(|line| {
        line.text("a", &long);
        line.error("err", &outer(&long));
        line.number("n", 1);
    });
    assert!(value["err"]["message"].as_str().unwrap().contains("bytes cut"));
    assert!(value["err"]["stack"].as_str().unwrap().contains("bytes cut"));
}

#[derive(Debug, thiserror::Error)]
#[error("outer {text}")]
struct Outer {
    text: String,
    source: Inner,
}

#[derive(Debug, thiserror::Error)]
#[error("inner")]
struct Inner;

fn outer(text: &str) -> Outer {
    Outer { text: text.to_owned(), source: Inner }
}

#[test]
fn an_error_has_its_type_and_its_causes() {
    let value = line(|line| line.error("err", &outer("a")));
    assert_eq!(value["err"]["type"], "Outer");
    assert_eq!(value["err"]["message"], "outer a");
    assert_eq!(value["err"]["stack"], "Outer: outer a\n    caused by: inner");

    let value = line(|line| line.error("err", &Inner));
    assert_eq!(value["err"]["type"], "Inner");
    assert_eq!(value["err"].get("stack"), None);
}

#[test]
fn a_type_that_debug_does_not_tell_is_an_error() {
    let text: Box<dyn Error> = "Something else".into();
    assert_eq!(line(|line| line.error("err", &*text))["err"]["type"], "Error");
    let parse = "x".parse::<u8>().unwrap_err();
    assert_eq!(line(|line| line.error("err", &parse))["err"]["type"], "ParseIntError");
}

#[test]
fn a_removed_field_leaves_the_others_whole() {
    let mut span = Line::new(SPAN_BYTES_MAX);
    span.text("a", "first");
    span.number("b", 2);
    span.text("c", "third");
    span.remove("a");
    span.remove("nothing");
    span.text("a", "again");
    span.remove("b");
    let value = line(|line| line.inherit(&span));
    assert_eq!((&value["a"], &value["c"]), (&"again".into(), &"third".into()));
    assert_eq!(value.get("b"), None);
}

#[test]
fn what_is_there_is_not_inherited() {
    let mut span = Line::new(SPAN_BYTES_MAX);
    span.text("a", "outer");
    span.text("b", "outer");
    let value = line(|line| {
        line.text("a", "inner");
        line.inherit(&span);
    });
    assert_eq!((&value["a"], &value["b"]), (&"inner".into(), &"outer".into()));
}

#[test]
fn a_failing_display_leaves_a_whole_line() {
    struct Failing;
    impl fmt::Display for Failing {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    let value = line(|line| line.formatted("msg", format_args!("{Failing} more")));
    assert_eq!(value["msg"], "half");
}

#[test]
fn memory_of_a_line_is_used_again() {
    let mut line = Line::new(LINE_BYTES_MAX);
    line.begin(Level::Info, b"");
    line.text("msg", &"x".repeat(5000));
    let capacity = line.bytes.capacity();
    line.begin(Level::Warn, b"");
    line.text("msg", "short");
    assert_eq!(line.bytes.capacity(), capacity);
    let (level, bytes) = line.finish();
    assert_eq!(level, Level::Warn);
    assert!(bytes.starts_with(br#"{"level":40,"#) && bytes.ends_with(b"\"msg\":\"short\"}\n"));
}

proptest! {
    #[test]
    fn any_text_comes_back(msg: String, field: String, other in "\\PC{0,300}") {
        let value = line(|line| {
            line.text("msg", &msg);
            line.formatted("field", format_args!("{field}{other}"));
        });
        prop_assert_eq!(value["msg"].as_str().unwrap(), &msg);
        prop_assert_eq!(value["field"].as_str().unwrap(), format!("{field}{other}"));
    }

    #[test]
    fn no_length_breaks_a_line(lengths in prop::collection::vec(0_usize..20_000, 1..6), piece in "\\PC|[\"\\\\\u{1}\u{9}]") {
        const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
        line(|line| {
            for (key, length) in KEYS.into_iter().zip(lengths) {
                line.text(key, &piece.repeat(length));
            }
        });
    }
}
