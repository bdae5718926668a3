//! Data folders that are to stay, and all that may be in one already.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use tenfold_local::{PostgresOptions, StartError, Stopped};

use crate::parent::example;
use crate::support::{answers, ask, error_of, is_root, kept, scratch, start, try_start, until};

#[test]
fn data_survives_a_restart_in_a_folder_with_a_strange_name() {
    let scratch = scratch();
    let data = scratch.path().join("not there yet").join("my dätä's \"folder\"");
    let options = PostgresOptions { database: "store".into(), ..kept(&data) };
    let mut postgres = start(&options);
    ask(&postgres.url(), "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)").unwrap();
    assert_eq!(postgres.stop().unwrap(), Stopped::Cleanly);
    drop(postgres);
    let postgres = start(&options);
    assert_eq!(ask(&postgres.url(), "SELECT id FROM kept").unwrap(), "7");
    assert_eq!(postgres.data_directory(), data);
}

#[test]
fn data_survives_a_crash_and_the_file_that_it_leaves() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let mut postgres = start(&kept(&data));
    ask(&postgres.url(), "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)").unwrap();
    postgres.kill().unwrap();
    drop(postgres);
    assert!(data.join("postmaster.pid").exists(), "a crash leaves it");
    let postgres = start(&kept(&data));
    assert_eq!(ask(&postgres.url(), "SELECT id FROM kept").unwrap(), "7");
}

#[test]
fn the_file_of_a_crash_may_name_a_process_that_is_somebody_elses_now() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    drop(start(&kept(&data)));
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let text = format!("{}\n{}\n1\n5432\n/tmp\n\n  1 2\nready\n", stranger.id(), data.display());
    fs::write(data.join("postmaster.pid"), text).unwrap();
    let started = try_start(&kept(&data)).map(|postgres| answers(&postgres.url()));
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(started.unwrap());
}

#[test]
fn data_in_use_by_one_of_us_is_left_alone() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let postgres = start(&kept(&data));
    let error = error_of(&kept(&data));
    let process = Some(postgres.process_id().cast_signed());
    assert!(
        matches!(&error, StartError::InUse { process: found, .. } if *found == process),
        "{error}"
    );
    assert!(error.to_string().contains(&data.display().to_string()), "{error}");
    assert!(answers(&postgres.url()));
}

#[test]
fn data_in_use_by_a_server_of_somebody_else_is_left_alone() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    let sockets = scratch.path().join("sockets");
    let programs = start(&kept(&data)).program_directory().to_owned();
    fs::create_dir(&sockets).unwrap();
    fs::set_permissions(&sockets, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(programs.join("postgres"));
    command.arg("-D").arg(&data).arg("-k").arg(&sockets).args(["-c", "listen_addresses="]);
    command.current_dir("/").stderr(Stdio::null());
    if is_root() {
        let owner = fs::metadata(&data).unwrap();
        command.uid(owner.uid()).gid(owner.gid());
    }
    let mut other = command.spawn().unwrap();
    until("the other one is ready", || sockets.join(".s.PGSQL.5432").exists());
    let error = error_of(&kept(&data));
    let is_alive = other.try_wait().unwrap().is_none();
    let process = nix::unistd::Pid::from_raw(other.id().cast_signed());
    nix::sys::signal::kill(process, nix::sys::signal::Signal::SIGINT).unwrap();
    other.wait().unwrap();
    assert!(is_alive, "the other one must not notice");
    assert!(
        matches!(error, StartError::InUse { process: Some(found), .. } if found == process.as_raw()),
        "{error}"
    );
}

#[test]
fn of_two_that_start_at_once_on_one_folder_one_wins() {
    let scratch = scratch();
    let options = kept(&scratch.path().join("data"));
    let (first, second) = thread::scope(|scope| {
        let first = scope.spawn(|| try_start(&options));
        (try_start(&options), first.join().unwrap())
    });
    let (winner, loser) = match (first, second) {
        (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
        (Ok(_), Ok(_)) => panic!("both have it"),
        (Err(first), Err(second)) => panic!("{first}; {second}"),
    };
    assert!(matches!(loser, StartError::InUse { .. }), "{loser}");
    assert!(answers(&winner.url()));
}

#[test]
fn an_empty_folder_is_used_and_closed_to_others() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    fs::create_dir_all(data.join("lost+found")).unwrap();
    let postgres = start(&kept(&data));
    assert!(answers(&postgres.url()));
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_copy_that_was_cut_off_is_begun_again() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    fs::create_dir_all(data.join("base/1")).unwrap();
    fs::write(data.join("PG_VERSION"), "").unwrap();
    fs::write(data.join(".tenfold-unfinished"), "").unwrap();
    assert!(answers(&start(&kept(&data)).url()));
    assert!(!data.join(".tenfold-unfinished").exists());
}

#[test]
fn a_disk_that_takes_no_more_is_named_and_what_it_took_is_no_obstacle() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    // The ready-made cluster is there by then, so that it is the copy that fails.
    drop(start(&PostgresOptions::default()));
    // A limit on the size of a file stands in for a full disk: a write fails half-way.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$1\""])
        .arg(example())
        .arg(&data)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let wal = data.join("pg_wal").display().to_string();
    assert!(error.starts_with(&wal) && error.contains("File too large"), "{error}");
    assert!(answers(&start(&kept(&data)).url()), "with room again it works");
}

#[test]
fn other_peoples_files_are_not_touched() {
    let scratch = scratch();
    let data = scratch.path().join("documents");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("letter.txt"), "dear").unwrap();
    let error = error_of(&kept(&data));
    assert!(matches!(error, StartError::NotACluster { .. }), "{error}");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);

    let error = error_of(&kept(&data.join("letter.txt")));
    assert!(matches!(error, StartError::Files { .. }), "{error}");
    assert_eq!(fs::read_to_string(data.join("letter.txt")).unwrap(), "dear");
}

#[test]
fn data_of_another_major_version_names_both() {
    let scratch = scratch();
    let data = scratch.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = error_of(&kept(&data));
    let StartError::OtherVersion { major: 9, found, .. } = &error else { panic!("{error}") };
    let text = error.to_string();
    assert!(text.contains("made by Postgres 9,") && text.contains(&found[0].to_string()), "{text}");
}

#[test]
fn a_folder_that_the_servers_user_cannot_reach_is_named() {
    let scratch = scratch();
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    if is_root() {
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let error = error_of(&kept(&closed.join("data")));
        assert!(
            matches!(&error, StartError::Closed { obstacle, .. } if *obstacle == closed),
            "{error}"
        );
        assert!(!closed.join("data").exists());
    } else {
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        let error = error_of(&kept(&closed.join("data"))).to_string();
        assert!(error.contains("Permission denied"), "{error}");
    }
}
