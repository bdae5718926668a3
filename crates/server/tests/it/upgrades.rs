//! Connections that have become something else than HTTP, such as WebSockets.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::{any, get as on_get};
use hyper_util::rt::TokioIo;
use tenfold_server::{Draining, Readiness};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use crate::support::{PATIENCE, Running, limited, start_with};

type Io = TokioIo<hyper::upgrade::Upgraded>;

/// Upgrades, and gives what comes of it to `then`.
fn upgrades<F: Future<Output = ()> + Send + 'static>(
    then: impl Fn(Io) -> F + Clone + Send + Sync + 'static,
) -> Router {
    let upgrade = move |request: Request| async move {
        tokio::spawn(async move {
            then(TokioIo::new(hyper::upgrade::on(request).await.unwrap())).await;
        });
        http::Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "echo")
            .body(axum::body::Body::empty())
            .unwrap()
    };
    Router::new().route("/echo", on_get(upgrade))
}

/// Says what it hears, until it hears no more.
async fn echo(io: Io) {
    let (mut read, mut write) = tokio::io::split(io);
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

fn start(router: Router, idle: Duration) -> Running {
    start_with(router, |settings| {
        settings.upgraded_idle_timeout = idle;
        settings.drain_timeout = Duration::from_millis(300);
    })
}

async fn upgraded(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ask = b"GET /echo HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    stream
}

async fn says_back(stream: &mut TcpStream) {
    stream.write_all(b"echo").await.unwrap();
    let mut echo = [0; 4];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"echo");
}

/// Waits until the server ends the connection.
async fn ends(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    // A reset is an end as well.
    let _ = ended.expect("the server ends the connection");
}

#[tokio::test]
async fn an_upgraded_connection_speaks_its_own_protocol_and_keeps_its_place() {
    let server = start(upgrades(echo), PATIENCE);
    let mut stream = upgraded(&server).await;
    says_back(&mut stream).await;
    assert_eq!(server.serving.connections_open(), 1);
    drop(stream);
    server.until("tenfold_http_connections", 0.0).await;
    assert_eq!(server.metric(&limited("upgraded_idle_timeout")), 0.0);
}

#[tokio::test]
async fn one_on_which_nothing_moves_is_ended_and_one_that_is_used_is_not() {
    let server = start(upgrades(echo), Duration::from_secs(1));
    let (mut used, mut silent) = (upgraded(&server).await, upgraded(&server).await);
    for _ in 0..15 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        says_back(&mut used).await;
    }
    ends(&mut silent).await;
    ends(&mut used).await;
    server.until(&limited("upgraded_idle_timeout"), 2.0).await;
    server.until("tenfold_http_connections", 0.0).await;
}

#[tokio::test]
async fn one_that_is_old_is_ended_however_much_it_is_used() {
    let server = start_with(upgrades(echo), |settings| {
        settings.upgraded_age_max = Duration::from_millis(500);
    });
    let mut used = upgraded(&server).await;
    while used.write_all(b"echo").await.is_ok() && used.read_u8().await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.until(&limited("upgraded_age_max"), 1.0).await;
    server.until("tenfold_http_connections", 0.0).await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_moves_nothing() {
    let pours = async |mut io: Io| while io.write_all(&[b'x'; 65_536]).await.is_ok() {};
    let server = start(upgrades(pours), Duration::from_millis(300));
    let _takes_nothing = upgraded(&server).await;
    server.until(&limited("upgraded_idle_timeout"), 1.0).await;
    server.until("tenfold_http_connections", 0.0).await;
}

#[tokio::test]
async fn a_handler_that_looks_away_hears_of_the_end_when_it_looks() {
    let looks = Arc::new(Notify::new());
    let (says, mut said) = mpsc::channel(1);
    let waits = looks.clone();
    let looks_away = move |mut io: Io| {
        let (waits, says) = (waits.clone(), says.clone());
        async move {
            waits.notified().await;
            says.send(io.write_all(b"late").await.map_err(|error| error.kind())).await.unwrap();
        }
    };
    let server = start(upgrades(looks_away), Duration::from_millis(100));
    let mut stream = upgraded(&server).await;
    server.until(&limited("upgraded_idle_timeout"), 1.0).await;
    looks.notify_one();
    assert_eq!(said.recv().await.unwrap(), Err(io::ErrorKind::TimedOut));
    ends(&mut stream).await;
}

#[tokio::test]
async fn the_drain_waits_for_it_and_cuts_it_off_at_its_end() {
    let server = start(upgrades(echo), PATIENCE);
    let mut stream = upgraded(&server).await;
    let registry = server.registry.clone();
    let drain = tokio::spawn(async move { server.serving.drain(&Readiness::starting()).await });
    says_back(&mut stream).await;
    assert_eq!(drain.await.unwrap().cut, 1);
    ends(&mut stream).await;
    assert!(registry.encode().contains(&format!("{} 1\n", limited("drain"))));
}

/// What a service has in earnest: axum's WebSocket, which ends its conversation by itself.
#[tokio::test]
async fn a_websocket_hears_of_its_end_and_of_the_drain() {
    let talk = |mut socket: WebSocket, mut draining: Draining| async move {
        tokio::select! {
            // An error, or nothing any more.
            () = async { while let Some(Ok(_)) = socket.recv().await {} } => {}
            () = draining.begins() => drop(socket.send("bye".into()).await),
        }
    };
    let routes = || {
        Router::new().route(
            "/ws",
            any(move |upgrade: WebSocketUpgrade, draining: Draining| async move {
                upgrade.on_upgrade(move |socket| talk(socket, draining))
            }),
        )
    };
    let server = start(routes(), Duration::from_millis(100));
    let mut stream = websocket(&server).await;
    ends(&mut stream).await;
    server.until(&limited("upgraded_idle_timeout"), 1.0).await;
    server.until("tenfold_http_connections", 0.0).await;

    let server = start(routes(), PATIENCE);
    let mut stream = websocket(&server).await;
    assert_eq!(server.drain().await.cut, 0);
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    // A text of three letters: RFC 6455 §5.2.
    assert!(said.starts_with(b"\x81\x03bye"), "{said:?}");
}

async fn websocket(server: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let ask = b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(ask).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    stream
}
