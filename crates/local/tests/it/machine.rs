//! Machines that are not like this one: nothing installed, several versions, no room.

use std::fs;

use tenfold_local::{Machine, PostgresOptions, StartError};

use crate::support::{
    answers, disguised, error_of, fresh, kept, real_programs, scratch, start, try_start,
    write_script,
};

#[test]
fn the_newest_that_is_installed_is_taken_wherever_it_is() {
    let scratch = scratch();
    let old = disguised(&scratch.path().join("a/bin"), "14.3 (Somewhere)");
    let new = disguised(&scratch.path().join("b/bin"), "97.1");
    let newer = disguised(&scratch.path().join("c/bin"), "97.12");
    let ancient = disguised(&scratch.path().join("d/bin"), "9.6.24");
    let machine = Machine {
        path: vec![old, new, ancient],
        postgres_folders: vec![newer],
        cache: scratch.path().join("cache"),
        ..Machine::this()
    };
    let postgres = start(&PostgresOptions { machine, ..fresh() });
    assert_eq!(postgres.version().to_string(), "97.12");
    assert!(answers(&postgres.url()));
}

#[test]
fn what_is_no_postgres_is_passed_over() {
    let scratch = scratch();
    let broken = scratch.path().join("broken");
    write_script(&broken.join("postgres"), "exit 1");
    write_script(&broken.join("initdb"), "exit 1");
    let alone = scratch.path().join("alone");
    write_script(&alone.join("postgres"), "echo 'postgres (PostgreSQL) 99.0'");
    let path = vec![broken, alone, scratch.path().join("missing")];
    let machine = Machine { path, postgres_folders: vec![real_programs()], ..Machine::this() };
    assert!(answers(&start(&PostgresOptions { machine, ..fresh() }).url()));
}

#[test]
fn kept_data_gets_the_version_that_made_it() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let real = start(&kept(&data)).version();
    let newer = disguised(&scratch.path().join("newer"), "98.0");
    let machine = Machine { path: vec![newer, real_programs()], ..Machine::this() };
    let options = PostgresOptions { machine, ..kept(&data) };
    assert_eq!(start(&options).version(), real);
}

#[test]
fn a_ready_made_cluster_is_copied_from_the_second_start_on() {
    let scratch = scratch();
    let programs = scratch.path().join("programs");
    let log = scratch.path().join("initdb ran");
    disguised(&programs, "15.1");
    let real = real_programs();
    // The server's user must be able to leave the trace.
    fs::write(&log, "").unwrap();
    fs::set_permissions(&log, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let trace = format!("echo ran >> '{}'\nexec {}/initdb \"$@\"", log.display(), real.display());
    write_script(&programs.join("initdb"), &trace);
    let machine = Machine {
        path: vec![programs],
        postgres_folders: vec![],
        cache: scratch.path().join("cache"),
        ..Machine::this()
    };
    let options = PostgresOptions { machine, ..fresh() };
    let starts = || {
        std::thread::scope(|scope| {
            let both = [scope.spawn(|| start(&options)), scope.spawn(|| start(&options))];
            both.map(|started| answers(&started.join().unwrap().url()))
        })
    };
    assert_eq!(starts(), [true, true], "both may make it");
    let ran = fs::read_to_string(&log).unwrap();
    assert_eq!(starts(), [true, true]);
    assert_eq!(fs::read_to_string(&log).unwrap(), ran, "it was not made again");
    let cached: Vec<_> = fs::read_dir(scratch.path().join("cache")).unwrap().collect();
    assert_eq!(cached.len(), 1, "no half-made one stays: {cached:?}");
}

#[test]
fn an_updated_postgres_gets_a_new_cluster_and_the_old_one_goes() {
    let scratch = scratch();
    let cache = scratch.path().join("cache");
    let programs = scratch.path().join("programs");
    for version in ["15.1", "15.2"] {
        disguised(&programs, version);
        let machine = Machine {
            path: vec![programs.clone()],
            postgres_folders: vec![],
            cache: cache.clone(),
            ..Machine::this()
        };
        assert!(answers(&start(&PostgresOptions { machine, ..fresh() }).url()));
        let names: Vec<_> =
            fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let [name] = names.as_slice() else { panic!("{names:?}") };
        assert!(name.to_string_lossy().ends_with(version), "{name:?}");
    }
}

#[test]
fn a_full_disk_is_said_in_the_words_of_the_program_that_met_it() {
    let scratch = scratch();
    let programs = disguised(&scratch.path().join("bin"), "15.1");
    let words = "initdb: error: could not write to file: No space left on device";
    write_script(&programs.join("initdb"), &format!("seq 1000\necho '{words}' >&2\nexit 1"));
    let machine = Machine {
        path: vec![programs],
        postgres_folders: vec![],
        cache: scratch.path().join("cache"),
        ..Machine::this()
    };
    let error = error_of(&PostgresOptions { machine, ..fresh() }).to_string();
    assert!(error.contains("initdb failed (exit status: 1)") && error.contains(words), "{error}");
    assert!(error.lines().count() < 30, "what is shown is bounded: {error}");
}

#[test]
fn a_server_that_never_gets_ready_is_ended() {
    let scratch = scratch();
    let programs = disguised(&scratch.path().join("bin"), "15.1");
    let body = "if [ \"$1\" = --version ]; then echo 'postgres (PostgreSQL) 15.1'; exit; fi\n\
                echo thinking; exec sleep 600";
    // `initdb` needs a real one beside it and has it: the script calls that by its path.
    write_script(&programs.join("postgres"), body);
    let machine = Machine {
        path: vec![programs],
        postgres_folders: vec![],
        cache: scratch.path().join("cache"),
        ..Machine::this()
    };
    let ready_time_max = std::time::Duration::from_millis(500);
    let error = error_of(&PostgresOptions { machine, ready_time_max, ..fresh() });
    assert!(matches!(error, StartError::NotReady { .. }), "{error}");
    assert!(error.to_string().contains("thinking"), "{error}");
}

#[test]
fn a_cache_that_others_can_write_to_is_not_trusted() {
    let scratch = scratch();
    let cache = scratch.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let error =
        error_of(&PostgresOptions { machine: Machine { cache, ..Machine::this() }, ..fresh() });
    assert!(error.to_string().contains("cannot be trusted"), "{error}");
}

#[test]
fn a_path_that_no_socket_can_have_is_named() {
    let scratch = scratch();
    for (name, expected) in [("long".repeat(20), "at most 103 bytes"), ("a,b".into(), "no comma")] {
        let temporary = scratch.path().join(name);
        fs::create_dir(&temporary).unwrap();
        let machine = Machine { temporary: temporary.clone(), ..Machine::this() };
        let error = error_of(&PostgresOptions { machine, ..fresh() }).to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "nothing is left behind");
    }
}

#[test]
fn a_path_with_spaces_is_fine() {
    let scratch = scratch();
    let temporary = scratch.path().join("with spaces ä & ?");
    fs::create_dir(&temporary).unwrap();
    let machine = Machine { temporary, ..Machine::this() };
    let postgres = try_start(&PostgresOptions { machine, ..fresh() }).unwrap();
    assert!(answers(&postgres.url()));
    assert_eq!(crate::support::ask_psql(&postgres, "SELECT 1"), "1");
}
