//! What people see, letter by letter: the default file, the explanation, the list of errors.

use tenfold_config::{Layers, Section};

use crate::shop::{
    DatabaseSettings, DoorSettings, Folder, LogSettings, environment, from_file, known, load,
};

#[test]
fn the_default_file() {
    insta::assert_snapshot!(known().default_file());
}

#[test]
fn the_default_file_reads_back_as_the_defaults() {
    let file = known().default_file();
    assert_eq!(from_file::<DoorSettings>(&file), DoorSettings::default());
    assert_eq!(from_file::<DatabaseSettings>(&file), DatabaseSettings::default());
    assert_eq!(from_file::<LogSettings>(&file), LogSettings::default());
}

#[test]
fn the_default_file_sets_every_key() {
    let folder = Folder::with(known().default_file());
    let config = load(&Layers::new().file(folder.file())).unwrap();
    let explained = config.explain();
    assert_eq!(
        explained.len(),
        DoorSettings::KEYS.len() + DatabaseSettings::KEYS.len() + LogSettings::KEYS.len()
    );
    for setting in explained {
        assert!(setting.origin.to_string().contains("tenfold.toml:"), "{}", setting.key);
    }
}

#[test]
fn the_explanation() {
    let folder = Folder::with(
        "[door]\nlisten = '0.0.0.0:80'\nhosts = ['a', 'b']\n\n[log]\nrequests = 'all'\n",
    );
    let layers = Layers::new()
        .file(folder.file())
        .environment(&environment(&[
            ("DATABASE_URL", "postgres://store:hunter2@db/store"),
            ("TENFOLD_DOOR_REQUEST_TIMEOUT", "90s"),
            ("TENFOLD_LOG_REQUESTS", "none"),
        ]))
        .flags(["log.requests=all", "database.signing=hunter2"]);
    let text = load(&layers).unwrap().explain_text();
    insta::assert_snapshot!(folder.without_name(&text));
}

#[test]
fn the_list_of_errors() {
    let folder = Folder::with(
        r#"listen = "0.0.0.0:80"

[door]
lisen = "0.0.0.0:80"
request_timeout = 10
tls_certificate = "chain.pem"
hosts = ["a", 1]
timeout = "1s"
colour = "red"

[database]
urll = "hunter2"
pool_max = "ten"
tries = "3"
signing = 5

[dor]
open = false

[log]
requests = "slow"
"#,
    );
    let layers = Layers::new()
        .file(folder.file())
        .environment(&environment(&[
            ("TENFOLD_DOOR_PORT", "80"),
            ("TENFOLD_DOOR_LISTN", "80"),
            ("TENFOLD_DATABASE_POOL_MAX", "0"),
            ("TENFOLD_COLOUR", "red"),
        ]))
        .flags(["log.requests=loud", "log.level", "log=all", "database.ur=hunter2", ".=", ""]);
    let text = load(&layers).unwrap_err().to_string();
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(folder.without_name(&text));
}
