//! A service that systemd started: what it says, and the port that it is given.

use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use tenfold_testkit::{Client, Program, get};

use crate::support::{Service, line, lines, mishaps};

/// The next word that is no sign of life.
fn word(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    loop {
        let mut word = [0; 64];
        let length = socket.recv(&mut word).unwrap();
        let word = String::from_utf8_lossy(&word[..length]).into_owned();
        if word != "WATCHDOG=1" {
            return word;
        }
    }
}

#[tokio::test]
async fn it_says_when_it_is_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = mishaps();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let service = Service::run(command).await;
    assert_eq!(word(&socket), "READY=1");
    let mut alive = [0; 64];
    let length = socket.recv(&mut alive).unwrap();
    assert_eq!(&alive[..length], b"WATCHDOG=1");
    service.program.signal("TERM");
    assert_eq!(word(&socket), "STOPPING=1");
    assert_eq!(service.program.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_service_whose_shard_is_stuck_says_no_longer_that_it_is_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = mishaps();
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "500000");
    command.args(["--set", "runtime.shards=1"]);
    let mut service = Service::run(command).await;
    let mut client = Client::connect(service.address).await.unwrap();
    client.send("GET /blocks HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    service.program.says("shard is stuck").await;
    // Whatever had been said before that.
    socket.set_nonblocking(true).unwrap();
    while socket.recv(&mut [0; 64]).is_ok() {}
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(socket.recv(&mut [0; 64]).is_err());
}

/// The same command, started with that socket as the first that is handed over.
fn handing_over(command: &Command, listener: &TcpListener, name: &str) -> Command {
    fcntl(listener, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let script = format!(
        "exec 3<&{}; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}; exec \"$0\" \"$@\"",
        listener.as_raw_fd()
    );
    let mut shell = Command::new("/bin/sh");
    shell.env_clear().args(["-c", &script]).arg(command.get_program()).args(command.get_args());
    shell.current_dir(env!("CARGO_MANIFEST_DIR"));
    shell
}

#[tokio::test]
async fn a_port_that_is_handed_over_is_served_and_outlives_the_service() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Whoever comes before the start waits for it.
    let mut early = Client::connect(address).await.unwrap();
    early.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let service = Service::run(handing_over(&mishaps(), &listener, "store.socket")).await;
    assert_eq!(service.address, address);
    assert_eq!(early.read_response().await.unwrap().text(), "all is well");
    service.program.signal("TERM");
    assert_eq!(service.program.end().await.status.code(), Some(0));
    // Whoever comes now waits for the next one.
    let mut between = Client::connect(address).await.unwrap();
    between.send("GET / HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let service = Service::run(handing_over(&mishaps(), &listener, "store.socket")).await;
    assert_eq!(between.read_response().await.unwrap().text(), "all is well");
    assert_eq!(get(address, "/").await.unwrap().status, 200);
    service.program.signal("TERM");
    service.program.end().await;
}

#[tokio::test]
async fn the_name_says_what_a_port_is_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::run(handing_over(&mishaps(), &listener, "admin")).await;
    assert_eq!(service.admin, address);
    assert_ne!(service.address, address);
    assert_eq!(get(address, "/livez").await.unwrap().status, 200);
}

#[tokio::test]
async fn word_to_systemd_that_makes_no_sense_is_told() {
    let mut command = mishaps();
    command.env("WATCHDOG_USEC", "soon");
    let output = Program::start(command).unwrap().end().await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        output.stderr,
        "error: the system refuses word to systemd: WATCHDOG_USEC=soon makes no sense: \
         a number of microseconds is needed\n"
    );
}

#[tokio::test]
async fn what_could_not_be_started_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = mishaps();
    command.args(["--set", &format!("server.listen={}", taken.local_addr().unwrap())]);
    let output = Program::start(command).unwrap().end().await;
    assert_eq!(output.status.code(), Some(1));
    let log = lines(&output.stdout);
    assert_eq!(line(&log, "part could not be started")["part"], "server");
    assert_eq!(line(&log, "part stopped")["part"], "admin");
}
