//! Files that cannot be read, or are not what they should be.

use std::fs;

use proptest::prelude::*;
use tenfold_config::Layers;

use crate::shop::{Folder, environment, load, wrong_file};

#[test]
fn a_file_that_is_named_must_be_there() {
    let wrong = load(&Layers::new().file("no/such.toml")).unwrap_err();
    assert_eq!(wrong.to_string(), "no/such.toml: cannot be read: there is no such file");
    assert!(load(&Layers::new().file_if_present("no/such.toml")).is_ok());

    let environment = environment(&[("TENFOLD_CONFIG", "no/such.toml")]);
    let flags: [&str; 0] = [];
    assert!(load(&Layers::usual(None, &environment, flags)).is_err());
}

#[test]
fn a_folder_is_no_file_even_if_none_is_needed() {
    let folder = Folder::with("");
    let path = folder.file().parent().unwrap().to_owned();
    let wrong = load(&Layers::new().file_if_present(&path)).unwrap_err();
    assert!(wrong.to_string().contains("cannot be read: "), "{wrong}");
}

#[test]
fn a_file_that_is_not_utf8_says_where() {
    let text = wrong_file(b"[door]\n# \xff\n");
    assert_eq!(text, "tenfold.toml:2: cannot be read: it is not UTF-8 here");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let text = wrong_file(vec![b'#'; (1 << 20) + 1]);
    assert_eq!(text, "tenfold.toml: cannot be read: it is larger than 1MiB");
    let folder = Folder::with(vec![b'#'; 1 << 20]);
    assert!(load(&Layers::new().file(folder.file())).is_ok());
    assert!(load(&Layers::new().file("/dev/zero")).is_err());
}

#[test]
fn every_line_that_is_no_toml_is_named_once() {
    let text = wrong_file("[door]\nopen = true\nopen = false\n[log\nprefix = = 'x'\n");
    let places: Vec<&str> = text.lines().filter(|line| line.starts_with("tenfold")).collect();
    let lines = ["tenfold.toml:3: ", "tenfold.toml:4: ", "tenfold.toml:5: "];
    assert_eq!(places.len(), lines.len(), "{text}");
    for (place, line) in places.iter().zip(lines) {
        assert!(place.starts_with(line), "{text}");
    }
}

#[test]
fn what_is_no_toml_is_said_in_a_sentence() {
    let message = |text: &str| wrong_file(text).lines().next().unwrap().to_owned();
    assert_eq!(
        message("[door]\nrequest_timeout = 10s\n"),
        "tenfold.toml:2: is not TOML here: string values must be quoted"
    );
    assert_eq!(
        message("[door]\nlisten = 0.0.0.0:80\n"),
        "tenfold.toml:2: is not TOML here: invalid float; a text needs quotes"
    );
    assert_eq!(message("[log\n"), "tenfold.toml:1: is not TOML here: unclosed table, expected `]`");
    assert_eq!(message("[log]\n[log]\n"), "tenfold.toml:2: is not TOML here: duplicate key");
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let text = wrong_file(format!("[door]\nhosts = {}", "[".repeat(100_000)));
    assert!(text.starts_with("tenfold.toml:2: is not TOML here"), "{}", &text[..200]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_text_makes_reading_panic(text in "(\\PC|[\\[\\]={}\"'.\n]){0,80}") {
        let folder = Folder::with(&text);
        let _ = load(&Layers::new().file(folder.file()));
        let _ = load(&Layers::new().flags([&text]));
        let _ = load(&Layers::new().flags([format!("database.url={text}")]))
            .map(|config| config.explain_text());
        let names = ["TENFOLD_DOOR_LISTEN", "TENFOLD_LOG_PREFIX", &format!("TENFOLD_{text}")]
            .map(str::to_owned);
        let environment = names.each_ref().map(|name| (name.as_str(), text.as_str()));
        let _ = load(&Layers::new().environment(&crate::shop::environment(&environment)));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
        let folder = Folder::with(&bytes);
        let _ = load(&Layers::new().file(folder.file()));
        fs::remove_file(folder.file()).unwrap();
    }
}
