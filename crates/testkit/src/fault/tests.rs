//! Every fault, against a server that sends back what it gets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::*;
use crate::client::{Client, Closed};

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    address
}

async fn proxy() -> Proxy {
    Proxy::start(Upstream::Tcp(echo().await)).await.unwrap()
}

/// Sends a word and waits for all of it to come back.
async fn check(client: &mut Client, word: &str) {
    client.send(word).await.unwrap();
    let mut back = Vec::new();
    while back.len() < word.len() {
        back.extend(client.read_some(word.len() - back.len()).await.unwrap());
    }
    assert_eq!(back, word.as_bytes());
}

#[tokio::test]
async fn passes_everything_on_and_counts() {
    let proxy = proxy().await;
    let mut client = Client::connect(proxy.address()).await.unwrap();
    check(&mut client, "hello").await;
    check(&mut client, &"x".repeat(300_000)).await;
    assert_eq!((proxy.open(), proxy.accepted()), (1, 1));
    assert_eq!((proxy.passed(Side::ToServer), proxy.passed(Side::ToClient)), (300_005, 300_005));
    client.stop_sending().await.unwrap();
    let (rest, how) = client.read_until_closed().await.unwrap();
    assert_eq!((rest.as_slice(), how), (b"".as_slice(), Closed::Politely));
    while proxy.open() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn cuts_what_is_open_and_lets_new_ones_in() {
    let proxy = proxy().await;
    let mut client = Client::connect(proxy.address()).await.unwrap();
    check(&mut client, "hello").await;
    proxy.cut();
    assert_eq!(client.read_until_closed().await.unwrap().1, Closed::Reset);
    check(&mut Client::connect(proxy.address()).await.unwrap(), "again").await;
}

#[tokio::test]
async fn cuts_after_so_many_bytes_once() {
    let proxy = proxy().await;
    let mut client = Client::connect(proxy.address()).await.unwrap();
    proxy.cut_after(Side::ToClient, 3);
    client.send("hello").await.unwrap();
    let (got, how) = client.read_until_closed().await.unwrap();
    assert_eq!((got.as_slice(), how), (b"hel".as_slice(), Closed::Reset));
    check(&mut Client::connect(proxy.address()).await.unwrap(), "hello again").await;
}

#[tokio::test]
async fn stalls_one_direction_and_loses_nothing() {
    let proxy = proxy().await;
    let mut client = Client::connect(proxy.address()).await.unwrap();
    proxy.stall(Side::ToClient);
    client.send("hello").await.unwrap();
    while proxy.passed(Side::ToServer) < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let nothing = timeout(Duration::from_millis(100), client.read_some(5)).await;
    assert!(nothing.is_err(), "stalled, yet {nothing:?}");
    proxy.resume(Side::ToClient);
    assert_eq!(client.read_some(5).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_stall_holds_a_bounded_amount() {
    let proxy = proxy().await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.stall(Side::ToServer);
    let all = timeout(Duration::from_millis(500), stream.write_all(&vec![0; 64 << 20])).await;
    assert!(all.is_err(), "64 MiB went into a stalled connection");
}

#[tokio::test]
async fn delays_and_throttles() {
    let proxy = proxy().await;
    let mut client = Client::connect(proxy.address()).await.unwrap();
    proxy.delay(Side::ToServer, Duration::from_millis(150));
    let started = Instant::now();
    check(&mut client, "hello").await;
    assert!(started.elapsed() >= Duration::from_millis(150));

    proxy.delay(Side::ToServer, Duration::ZERO);
    proxy.throttle(Side::ToClient, Some(10_000));
    let started = Instant::now();
    check(&mut client, &"x".repeat(3_000)).await;
    assert!(started.elapsed() >= Duration::from_millis(200), "{:?}", started.elapsed());
    proxy.throttle(Side::ToClient, None);
    check(&mut client, &"x".repeat(3_000)).await;
}

#[tokio::test]
async fn refuses_and_admits() {
    let proxy = proxy().await;
    proxy.refuse();
    // The handshake is the kernel's, so a refusal may show when connecting or just after.
    if let Ok(mut client) = Client::connect(proxy.address()).await {
        assert_eq!(client.read_until_closed().await.unwrap().1, Closed::Reset);
    }
    proxy.admit();
    check(&mut Client::connect(proxy.address()).await.unwrap(), "hello").await;
    assert_eq!(proxy.accepted(), 2);
}

#[tokio::test]
async fn an_upstream_that_is_not_there_resets_the_client() {
    let nowhere = Upstream::Unix(PathBuf::from("/nowhere/at/all"));
    let proxy = Proxy::start(nowhere).await.unwrap();
    let mut client = Client::connect(proxy.address()).await.unwrap();
    assert_eq!(client.read_until_closed().await.unwrap().1, Closed::Reset);
}

#[tokio::test]
async fn passes_on_to_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut word = [0; 5];
        stream.read_exact(&mut word).await.unwrap();
        stream.write_all(&word).await.unwrap();
    });
    let proxy = Proxy::start(Upstream::Unix(path)).await.unwrap();
    let mut client = Client::connect(proxy.address()).await.unwrap();
    check(&mut client, "hello").await;
    client.stop_sending().await.unwrap();
    assert_eq!(client.read_until_closed().await.unwrap().1, Closed::Politely);
}

#[tokio::test]
async fn dropped_it_resets_and_listens_no_more() {
    let proxy = proxy().await;
    let mut client = Client::connect(proxy.address()).await.unwrap();
    check(&mut client, "hello").await;
    let address = proxy.address();
    drop(proxy);
    assert_eq!(client.read_until_closed().await.unwrap().1, Closed::Reset);
    assert!(Client::connect(address).await.is_err());
}
