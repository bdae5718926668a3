//! Which layer wins, and that each says so.

use std::path::Path;
use std::time::Duration;

use tenfold_config::{Environment, Layers, Origin, Secret};

use crate::shop::{DatabaseSettings, DoorSettings, Folder, environment, from_file, known, load};

#[test]
fn nothing_set_means_defaults() {
    let config = load(&Layers::new()).unwrap();
    assert_eq!(config.get::<DoorSettings>(), DoorSettings::default());
    assert!(config.explain().iter().all(|setting| setting.origin == Origin::Default));
}

#[test]
fn flags_win_over_variables_over_the_file() {
    let folder = Folder::with("[database]\npool_max = 1\n");
    let file = Layers::new().file(folder.file());
    let variable = file.clone().environment(&environment(&[("TENFOLD_DATABASE_POOL_MAX", "2")]));
    let flag = variable.clone().flags(["database.pool_max=3", " database.pool_max =4"]);

    let pool_max = |layers: &Layers| {
        let config = load(layers).unwrap();
        let explained = config.explain();
        let setting = explained.iter().find(|each| each.key == "database.pool_max").unwrap();
        (config.get::<DatabaseSettings>().pool_max, setting.origin.clone())
    };
    assert_eq!(pool_max(&file), (1, Origin::File { path: folder.file(), line: Some(2) }));
    let variable_name = "TENFOLD_DATABASE_POOL_MAX".to_owned();
    assert_eq!(pool_max(&variable), (2, Origin::Environment(variable_name)));
    let last_flag = "database.pool_max =4".to_owned();
    assert_eq!(pool_max(&flag), (4, Origin::Flag(last_flag)));
}

#[test]
fn a_later_file_wins_key_by_key() {
    let first = Folder::with("[database]\npool_max = 1\nread_share = 0\n");
    let second = Folder::with("[database]\npool_max = 2\n");
    let layers = Layers::new().file(first.file()).file_if_present(second.file());
    let settings: DatabaseSettings = load(&layers).unwrap().get();
    assert_eq!((settings.pool_max, settings.read_share), (2, 0.0));
}

#[test]
fn the_own_variable_wins_over_the_common_one() {
    let url = |pairs: &[(&str, &str)]| {
        let layers = Layers::new().environment(&environment(pairs));
        load(&layers).unwrap().get::<DatabaseSettings>().url
    };
    let common = ("DATABASE_URL", "postgres://common/x");
    let own = ("TENFOLD_DATABASE_URL", "postgres://own/x");
    assert_eq!(url(&[common]), Some(Secret::new(common.1)));
    assert_eq!(url(&[common, own]), Some(Secret::new(own.1)));
    assert_eq!(url(&[("DATABASE_URL", "")]), None);
}

#[test]
fn an_empty_text_takes_back_what_a_lower_layer_set() {
    let folder = Folder::with("[door]\ntls_key = 'key.pem'\n");
    let layers = Layers::new().file(folder.file()).flags(["door.tls_key="]);
    assert_eq!(load(&layers).unwrap().get::<DoorSettings>().tls_key, None);
}

#[test]
fn every_way_to_write_toml_is_the_same() {
    for text in [
        "[door]\nlisten = '0.0.0.0:80'\nrequest_timeout = '2s'\n",
        "door.listen = '0.0.0.0:80'\ndoor.request_timeout = '2s'\n",
        "door = { listen = '0.0.0.0:80', request_timeout = '2s' }\n",
        "['door']\r\n'listen' = \"0.0.0.0:80\"\r\n\"request_timeout\" = '''2s'''\r\n",
        "\u{feff}[door]\nlisten = '0.0.0.0:80' # all\nrequest_timeout = \"\\u0032s\"",
    ] {
        let door: DoorSettings = from_file(text);
        assert_eq!(door.listen.to_string(), "0.0.0.0:80", "{text}");
        assert_eq!(door.request_timeout, Duration::from_secs(2), "{text}");
    }
}

#[test]
fn the_usual_file_is_the_flag_then_the_variable() {
    let (flag, variable) =
        (Folder::with("[database]\npool_max = 1\n"), Folder::with("[database]\npool_max = 2\n"));
    let path = variable.file();
    let environment = Environment::from_pairs([("TENFOLD_CONFIG", path.as_os_str())]);
    let pool_max = |file: Option<&Path>, environment: &Environment| {
        let layers = Layers::usual(file, environment, ["database.tries=2"]);
        load(&layers).unwrap().get::<DatabaseSettings>().pool_max
    };
    assert_eq!(pool_max(Some(&flag.file()), &environment), 1);
    assert_eq!(pool_max(None, &environment), 2);
    assert_eq!(pool_max(None, &Environment::default()), 20, "no file here, and none is needed");
}

#[test]
fn variables_of_others_do_not_matter() {
    let layers = Layers::new().environment(&environment(&[
        ("PATH", "/bin"),
        ("TENFOLD", "x"),
        ("TENFOLD_TEST_TOOLS", "/tools"),
    ]));
    assert!(load(&layers).is_ok());
}

#[test]
fn a_section_may_be_made_known_twice() {
    let mut known = known();
    known.section::<DoorSettings>();
    assert_eq!(known.default_file(), crate::shop::known().default_file());
}

#[test]
#[should_panic(expected = "section `door` was not known when settings were loaded")]
fn a_section_that_was_not_known_cannot_be_had() {
    let config = tenfold_config::Known::new().load(&Layers::new()).unwrap();
    let _ = config.get::<DoorSettings>();
}

#[test]
fn no_debug_shows_a_secret() {
    let layers = Layers::new()
        .environment(&environment(&[("DATABASE_URL", "postgres://s:hunter2@db/s")]))
        .flags(["database.signing=hunter2"]);
    let config = load(&layers).unwrap();
    let settings: DatabaseSettings = config.get();
    assert_eq!(settings.signing.expose(), "hunter2");
    for text in [
        format!("{layers:?}"),
        format!("{config:?}"),
        format!("{settings:?}"),
        format!("{:?}", config.explain()),
        config.explain_text(),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}
