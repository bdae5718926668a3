//! Files and flags as nobody would write them, changed in every way: for as long as one likes with
//! `cargo xtask fuzz`, and a little each time the tests run. The inputs that it begins with are in
//! `fuzz/`; one that failed once belongs there too.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tenfold_config::{Layers, environment};
use tenfold_testkit::{Effort, fuzz};

use crate::shop::{DatabaseSettings, DoorSettings, Folder, LogSettings, load};

fn run(name: &str, inputs: u64, check: impl FnMut(&[u8])) {
    let effort = match environment::var("TENFOLD_TEST_FUZZ_SECONDS") {
        Some(seconds) => Effort::Time(Duration::from_secs(seconds.parse().unwrap())),
        None => Effort::Inputs(inputs),
    };
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name);
    let seed = environment::var("TENFOLD_TEST_FUZZ_SEED").map_or(5, |seed| seed.parse().unwrap());
    println!("{} inputs", fuzz(&corpus, seed, effort, check));
}

/// Whatever the layers hold: all values, or a list of what is wrong.
fn judge(layers: &Layers) {
    match load(layers) {
        Ok(config) => {
            assert!(config.get::<DoorSettings>().request_timeout >= Duration::from_millis(1));
            assert!((1..=10_000).contains(&config.get::<DatabaseSettings>().pool_max));
            let _: LogSettings = config.get();
            assert!(!config.explain_text().is_empty());
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

#[test]
fn fuzz_file() {
    let folder = Folder::with("");
    run("file", 300, |input| {
        fs::write(folder.file(), input).unwrap();
        judge(&Layers::new().file(folder.file()));
    });
}

#[test]
fn fuzz_flag() {
    run("flag", 3_000, |input| judge(&Layers::new().flags([String::from_utf8_lossy(input)])));
}
