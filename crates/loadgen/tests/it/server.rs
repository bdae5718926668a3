//! A server that answers as it is told, and remembers what it was asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::listener::Listener;

/// What a server does with one request.
#[derive(Clone)]
pub(crate) struct Reply {
    /// How long it takes.
    pub(crate) takes: Duration,
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Keep,
    Close,
    Reset,
}

impl Reply {
    pub(crate) fn new(text: impl Into<String>) -> Reply {
        Reply { takes: Duration::ZERO, bytes: text.into().into_bytes(), then: Then::Keep }
    }

    pub(crate) fn ok(body: &str) -> Reply {
        Reply::status("200 OK", body)
    }

    pub(crate) fn status(status: &str, body: &str) -> Reply {
        Reply::new(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
    }

    pub(crate) fn takes(self, takes: Duration) -> Reply {
        Reply { takes, ..self }
    }

    pub(crate) fn then(self, then: Then) -> Reply {
        Reply { then, ..self }
    }
}

/// A server on loopback with a thread of its own; dropped, it ends.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _listener: Listener,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
    sent: AtomicUsize,
}

impl Server {
    /// Serves so many requests at once, the others wait; the reply is made from the whole request.
    pub(crate) fn start(
        concurrency: usize,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let shared = Arc::new(Shared::default());
        let known = shared.clone();
        let permits = Arc::new(Semaphore::new(concurrency));
        let reply: Arc<dyn Fn(&str) -> Reply + Send + Sync> = Arc::new(reply);
        let listener = Listener::start(move |stream| {
            known.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(serve(stream, known.clone(), reply.clone(), permits.clone()));
        });
        Server { address: listener.address, shared, _listener: listener }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The first lines of the requests, without the protocol.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |request: &String| request.split(" HTTP/").next().unwrap().to_owned();
        self.requests().iter().map(line).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The most requests that were there at one time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_sent(&self) -> usize {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

async fn serve(
    mut stream: TcpStream,
    shared: Arc<Shared>,
    reply: Arc<dyn Fn(&str) -> Reply + Send + Sync>,
    permits: Arc<Semaphore>,
) {
    stream.set_nodelay(true).unwrap();
    while let Some(request) = read_request(&mut stream).await {
        let now = shared.now.fetch_add(1, Ordering::Relaxed) + 1;
        shared.most.fetch_max(now, Ordering::Relaxed);
        shared.requests.lock().unwrap().push(request.clone());
        let reply = {
            let _permit = permits.acquire().await.unwrap();
            let reply = reply(&request);
            tokio::time::sleep(reply.takes).await;
            reply
        };
        shared.now.fetch_sub(1, Ordering::Relaxed);
        for piece in reply.bytes.chunks(16 * 1024) {
            if stream.write_all(piece).await.is_err() {
                return;
            }
            shared.sent.fetch_add(piece.len(), Ordering::Relaxed);
        }
        match reply.then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => {
                socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut bytes = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => text.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
        }
    }
}
