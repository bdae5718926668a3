//! From start to stop, and what may happen in between.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tenfold_local::{Postgres, PostgresOptions, StartError, Stopped};

use crate::support::{
    answers, ask, ask_psql, error_of, fresh, is_root, is_running, start, try_start, until,
};

#[test]
fn answers_to_tokio_postgres_and_to_libpq() {
    let postgres = start(&PostgresOptions { database: "store".into(), ..fresh() });
    assert_eq!(ask(&postgres.url(), "SELECT current_database()").unwrap(), "store");
    assert_eq!(ask_psql(&postgres, "SELECT current_database()"), "store");
    assert_eq!(ask(&postgres.url_of("postgres"), "SELECT current_database()").unwrap(), "postgres");
    let version = ask(&postgres.url(), "SHOW server_version").unwrap();
    assert!(version.starts_with(&postgres.version().to_string()), "{version}");
    assert_eq!(ask(&postgres.url(), "SHOW server_encoding").unwrap(), "UTF8");
}

#[test]
fn takes_settings_and_any_name_for_its_database() {
    let name = "a \"strange\" 'näme'/?%";
    let settings =
        [("max_connections", "17"), ("shared_buffers", "16MB"), ("application_name", "it's")];
    let options = PostgresOptions {
        database: name.into(),
        settings: settings.map(|(name, value)| (name.into(), value.into())).to_vec(),
        ..fresh()
    };
    let postgres = start(&options);
    assert_eq!(ask(&postgres.url(), "SELECT current_database()").unwrap(), name);
    assert_eq!(ask_psql(&postgres, "SELECT current_database()"), name);
    assert_eq!(ask(&postgres.url(), "SHOW max_connections").unwrap(), "17");
    assert_eq!(ask(&postgres.url(), "SHOW shared_buffers").unwrap(), "16MB");
}

#[test]
fn is_durable_and_reachable_through_its_closed_folder_alone() {
    let postgres = start(&fresh());
    assert_eq!(ask(&postgres.url(), "SHOW fsync").unwrap(), "on");
    assert_eq!(ask(&postgres.url(), "SHOW listen_addresses").unwrap(), "");
    assert_eq!(tcp_sockets(postgres.process_id()), 0, "it must not listen to the network");
    for folder in [postgres.socket_directory(), postgres.data_directory()] {
        let found = fs::metadata(folder).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
    let status = fs::metadata(format!("/proc/{}", postgres.process_id())).unwrap();
    assert_ne!(status.uid(), 0, "it must not be root");
    if is_root() {
        let stranger =
            Command::new("/bin/ls").arg(postgres.socket_directory()).uid(54_321).output();
        assert!(!stranger.unwrap().status.success(), "a stranger must not get to the socket");
    }
}

/// How many sockets of the process are in the kernel's tables of TCP.
fn tcp_sockets(process: u32) -> usize {
    let own: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter_map(|link| {
            let link = link.to_string_lossy().into_owned();
            Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    assert!(!own.is_empty(), "it has a Unix socket at least");
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/net/{table}")).ok())
        .map(|table| {
            let inodes = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9));
            inodes.filter(|inode| own.iter().any(|own| own == inode)).count()
        })
        .sum()
}

#[test]
fn leaves_nothing_behind() {
    let mut postgres = start(&fresh());
    let process = postgres.process_id();
    let folder = postgres.socket_directory().parent().unwrap().to_owned();
    assert!(folder.is_dir());
    assert_eq!(postgres.stop().unwrap(), Stopped::Cleanly);
    assert_eq!(postgres.stop().unwrap(), Stopped::Already);
    assert!(!is_running(process));
    drop(postgres);
    assert!(!folder.exists());

    let postgres = start(&fresh());
    let (process, url) = (postgres.process_id(), postgres.url());
    drop(postgres);
    assert!(!is_running(process) && !answers(&url));
}

#[test]
fn a_pause_freezes_what_is_under_way_and_resume_goes_on() {
    let mut postgres = start(&fresh());
    let url = postgres.url();
    let (answer, answered) = mpsc::sync_channel(1);
    let asked = thread::spawn(move || {
        // A backend that is there before the pause must stop as well.
        let sql = "SELECT pg_sleep(0.3); SELECT 'woken'";
        answer.send(ask(&url, sql)).unwrap();
    });
    until("the query runs", || {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        ask(&postgres.url(), running).as_deref() == Ok("1")
    });
    postgres.pause().unwrap();
    postgres.pause().unwrap();
    assert!(
        answered.recv_timeout(Duration::from_secs(1)).is_err(),
        "a paused server answers nothing"
    );
    postgres.resume();
    assert_eq!(answered.recv().unwrap().as_deref(), Ok("woken"));
    postgres.resume();
    asked.join().unwrap();
    assert!(answers(&postgres.url()));
}

#[test]
fn a_paused_server_can_be_stopped_and_killed() {
    let mut postgres = start(&fresh());
    postgres.pause().unwrap();
    assert_eq!(postgres.stop().unwrap(), Stopped::Cleanly);
    postgres.start_again().unwrap();
    postgres.pause().unwrap();
    postgres.kill().unwrap();
    postgres.start_again().unwrap();
    assert!(answers(&postgres.url()));
    postgres.pause().unwrap();
}

#[test]
fn survives_a_crash_at_the_same_address() {
    let mut postgres = start(&fresh());
    let url = postgres.url();
    ask(&url, "CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)").unwrap();
    assert_eq!(shared_memory(postgres.process_id()), 1);
    postgres.kill().unwrap();
    postgres.kill().unwrap();
    assert!(!answers(&url));
    assert_eq!(shared_memory(postgres.process_id()), 0, "the kernel would keep it");
    postgres.start_again().unwrap();
    assert_eq!(postgres.url(), url);
    assert_eq!(ask(&url, "SELECT id FROM kept").unwrap(), "7");
}

/// How many segments in the kernel's table were made by the process.
fn shared_memory(process: u32) -> usize {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let makers = table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(4));
    makers.filter(|maker| *maker == process.to_string()).count()
}

#[test]
fn outlives_the_thread_that_started_it() {
    let postgres = thread::spawn(|| start(&fresh())).join().unwrap();
    thread::sleep(Duration::from_millis(200));
    assert!(answers(&postgres.url()));
}

#[test]
fn is_not_in_the_terminals_group() {
    let postgres = start(&fresh());
    let process = nix::unistd::Pid::from_raw(postgres.process_id().cast_signed());
    assert_eq!(nix::unistd::getpgid(Some(process)).unwrap(), process);
}

#[test]
fn many_start_at_once() {
    let servers: Vec<Postgres> = thread::scope(|scope| {
        let starting: Vec<_> = (0..3).map(|_| scope.spawn(|| start(&fresh()))).collect();
        starting.into_iter().map(|server| server.join().unwrap()).collect()
    });
    assert!(servers.iter().all(|server| answers(&server.url())));
}

#[test]
fn a_setting_that_opens_the_server_is_refused() {
    for (name, value) in
        [("listen_addresses", "*"), ("HBA_file", "/x"), ("port", "1"), ("a b", "c"), ("", "")]
    {
        let settings = vec![(name.into(), value.into())];
        let error = error_of(&PostgresOptions { settings, ..fresh() });
        assert!(matches!(error, StartError::Setting { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{name} = {value}")), "{error}");
    }
}

#[test]
fn a_wrong_setting_shows_what_postgres_says() {
    let settings = vec![("shared_buffers".into(), "plenty".into())];
    let error = error_of(&PostgresOptions { settings, ..fresh() }).to_string();
    assert!(
        error.contains("invalid value for parameter \"shared_buffers\": \"plenty\""),
        "{error}"
    );
}

#[test]
fn a_database_needs_a_name_that_fits() {
    for name in ["", "a\0b", &"x".repeat(64)] {
        let error = error_of(&PostgresOptions { database: name.into(), ..fresh() });
        assert!(matches!(error, StartError::DatabaseName { .. }), "{error}");
    }
    assert!(try_start(&PostgresOptions { database: "x".repeat(63), ..fresh() }).is_ok());
}

#[test]
fn an_end_that_nobody_asked_for_is_noticed() {
    let mut postgres = start(&fresh());
    assert_eq!(postgres.ended().unwrap(), None);
    let killed = Command::new("kill").args(["-9", &postgres.process_id().to_string()]).status();
    assert!(killed.unwrap().success());
    until("the end is seen", || postgres.ended().unwrap().is_some());
    assert_eq!(postgres.ended().unwrap().unwrap().to_string(), "signal: 9 (SIGKILL)");
    assert_eq!(postgres.stop().unwrap(), Stopped::Already);
}

#[test]
fn a_standby_follows_takes_reads_alone_and_is_promoted() {
    let mut primary = start(&PostgresOptions { database: "store".into(), ..fresh() });
    ask(&primary.url(), "CREATE TABLE before AS SELECT 1 AS n").unwrap();
    let standby = start(&PostgresOptions {
        database: "store".into(),
        follows: Some(primary.url()),
        ..fresh()
    });
    ask(&primary.url(), "CREATE TABLE after AS SELECT 2 AS n").unwrap();
    until("it has followed", || {
        ask(&standby.url(), "SELECT before.n + after.n FROM before, after").as_deref() == Ok("3")
    });
    assert!(ask(&standby.url(), "CREATE TABLE own (n int)").is_err(), "a standby takes no writes");
    primary.kill().unwrap();
    standby.promote().unwrap();
    ask(&standby.url(), "CREATE TABLE own (n int)").unwrap();
    let again = standby.promote().unwrap_err().to_string();
    assert!(again.contains("not in standby mode"), "{again}");
}

#[test]
fn a_server_that_cannot_be_followed_and_a_kept_folder_are_refused() {
    let nobody = "postgres:///store?host=/nowhere&user=postgres".to_owned();
    let error = error_of(&PostgresOptions { follows: Some(nobody.clone()), ..fresh() }).to_string();
    assert!(error.contains("pg_basebackup failed") && error.contains("/nowhere"), "{error}");
    let data = Some("/nowhere".into());
    let error = error_of(&PostgresOptions { follows: Some(nobody), data, ..fresh() });
    assert!(matches!(error, StartError::Setting { .. }), "{error}");
}

#[test]
fn listens_to_tcp_on_loopback_when_asked() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let postgres = start(&PostgresOptions { tcp_port: Some(port), ..fresh() });
    assert!(answers(&format!("postgres://postgres@127.0.0.1:{port}/postgres")));
    assert!(answers(&postgres.url()), "its socket is there as well");
    assert_eq!(ask(&postgres.url(), "SHOW listen_addresses").unwrap(), "127.0.0.1");
}
