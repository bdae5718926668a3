//! Each way to be wrong by itself, and that no way hides another.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use tenfold_config::{Environment, Layers, Origin, Problem};

use crate::shop::{Folder, environment, load, wrong_file, wrong_flag, wrong_variable};

#[test]
fn unknown_names_come_with_the_nearest_or_all() {
    assert_eq!(
        wrong_variable("TENFOLD_DATABASE_SIGN", "x"),
        "TENFOLD_DATABASE_SIGN: no such setting: did you mean TENFOLD_DATABASE_SIGNING?"
    );
    assert_eq!(
        wrong_variable("TENFOLD_LOG_COLOUR", "x"),
        "TENFOLD_LOG_COLOUR: no such setting: `log` has requests, prefix"
    );
    assert_eq!(
        wrong_variable("TENFOLD_LGO_PREFIX", "x"),
        "TENFOLD_LGO_PREFIX: no such setting: did you mean TENFOLD_LOG_PREFIX?"
    );
    assert_eq!(
        wrong_flag("door.pool_max=3"),
        "--set door.pool_max=3: unknown key `door.pool_max`: did you mean `database.pool_max`?"
    );
    assert_eq!(
        wrong_flag("colour=red"),
        "--set colour=red: unknown key `colour`: the program has door, database, log"
    );
    assert_eq!(
        wrong_file("[colour]\nred = 1\n"),
        "tenfold.toml:1: unknown section `colour`: the program has door, database, log\n    [colour]"
    );
}

#[test]
fn an_unknown_section_is_one_error() {
    let text = wrong_file("[dore]\nlisten = 1\nlisen = 2\nopen = 3\n");
    assert_eq!(text, "tenfold.toml:1: unknown section `dore`: did you mean `door`?\n    [dore]");
}

#[test]
fn a_section_must_be_a_table() {
    let expected = "a table of settings is needed";
    assert_eq!(wrong_file("door = 5\n"), format!("tenfold.toml:1: `door` is 5: {expected}"));
    assert_eq!(
        wrong_file("\n[[door]]\nopen = true\n"),
        format!("tenfold.toml:2: `door` is [a table]: {expected}")
    );
    assert_eq!(
        wrong_file("[door.open]\nwide = true\n"),
        "tenfold.toml:1: `door.open` is a table: true or false is needed"
    );
}

#[test]
fn a_flag_needs_an_equals_sign() {
    for flag in ["door.open", "", "door"] {
        assert_eq!(wrong_flag(flag), format!("--set {flag}: section.key=value is needed"));
    }
}

#[test]
fn a_wrong_value_that_a_higher_layer_puts_right_is_still_wrong() {
    let folder = Folder::with("[door]\nopen = 'yes'\n");
    let layers = Layers::new().file(folder.file()).flags(["door.open=true"]);
    assert_eq!(load(&layers).unwrap_err().errors.len(), 1);
}

#[test]
fn a_value_that_is_not_utf8_names_its_variable() {
    let value = OsStr::from_bytes(b"\xff");
    let pairs = [("TENFOLD_LOG_PREFIX", value), ("DATABASE_URL", value), ("OTHER", value)];
    let layers = Layers::new().environment(&Environment::from_pairs(pairs));
    assert_eq!(
        load(&layers).unwrap_err().to_string(),
        "DATABASE_URL: its value is not UTF-8\nTENFOLD_LOG_PREFIX: its value is not UTF-8"
    );
}

#[test]
fn rules_between_keys_are_told_where_their_cause_stands() {
    assert_eq!(
        wrong_file("\n[door]\ntls_certificate = 'chain.pem'\n"),
        "tenfold.toml:3: `door.tls_key` is missing: `door.tls_certificate` is set"
    );
    let layers = Layers::new().flags(["door.open=false", "door.hosts="]);
    assert_eq!(
        load(&layers).unwrap_err().to_string(),
        "--set door.hosts=: `door.hosts` is empty: while `door.open` is false nobody could get in"
    );
}

#[test]
fn rules_between_keys_wait_until_each_key_is_right() {
    let text = wrong_file("[door]\ntls_certificate = 'chain.pem'\ntls_key = 1\n");
    assert_eq!(text, "tenfold.toml:3: `door.tls_key` is 1: a path is needed");
}

#[test]
fn rules_between_keys_are_not_asked_about_what_could_not_be_read() {
    let folder = Folder::with("[door]\ntls_key = \n");
    let layers = Layers::new().file(folder.file()).flags(["door.tls_certificate=chain.pem"]);
    assert_eq!(load(&layers).unwrap_err().errors.len(), 1);

    let environment = Environment::from_pairs([
        ("TENFOLD_DOOR_TLS_CERTIFICATE", OsStr::new("chain.pem")),
        ("TENFOLD_DOOR_TLS_KEY", OsStr::from_bytes(b"\xff")),
    ]);
    assert_eq!(load(&Layers::new().environment(&environment)).unwrap_err().errors.len(), 1);
}

#[test]
fn broken_toml_does_not_hide_the_other_layers() {
    let folder = Folder::with("[door]\nopen = true\nlisten = \n");
    let layers = Layers::new()
        .file(folder.file())
        .environment(&environment(&[("TENFOLD_DOOR_OPEN", "maybe")]))
        .flags(["door.tls_certificate=chain.pem", "database.pool_max=0"]);
    let errors = load(&layers).unwrap_err().errors;
    assert_eq!(errors.len(), 3);
    assert_eq!(errors[0].origin, Origin::File { path: folder.file(), line: Some(3) });
    assert!(matches!(errors[0].problem, Problem::Syntax { .. }), "{:?}", errors[0]);
    assert_eq!(errors[0].line.as_deref(), Some("listen ="));
    assert_eq!(errors[1].origin, Origin::Environment("TENFOLD_DOOR_OPEN".to_owned()));
    assert!(matches!(errors[2].problem, Problem::WrongValue { .. }), "{:?}", errors[2]);
}

#[test]
fn no_message_shows_a_secret() {
    for text in [
        wrong_file("[database]\nurll = 'hunter2'\n"),
        wrong_file("[database]\nsigning = ['hunter2']\n"),
        wrong_file("[databse]\nurl = 'hunter2'\n"),
        wrong_file("databse = { x = 1, signing = 'hunter2' }\n"),
        wrong_file("[database]\nsigning = 'hunter2' 'hunter2'\n"),
        wrong_file("[database]\nurl = postgres://s:hunter2@db/s\n"),
        wrong_file("[log]\nprefixx = 'postgres://s:hunter2@db/s'\n"),
        wrong_file("[log]\nrequests = 'postgres://s:hunter2@db/s'\n"),
        wrong_file("[log]\npassword = 'hunter2'\n"),
        wrong_flag("database.urll=hunter2"),
        wrong_flag("databse.signing=hunter2"),
        wrong_flag("log.requests=password=hunter2"),
        wrong_variable("TENFOLD_DATABASE_URLL", "hunter2"),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
