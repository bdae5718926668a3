//! Servers whose behaviour under load is known: how much they can do, and what becomes of them
//! past that. What they take is time by a timer and no work of a processor, so that they are the
//! same on a busy machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

/// What a server answers, and when.
pub(crate) struct Answer {
    pub(crate) at: Instant,
    pub(crate) status: u16,
}

/// Decides about each request, at the moment at which it comes.
pub(crate) trait Model: Send + 'static {
    fn answer(&mut self, now: Instant) -> Answer;
}

/// A server on a port of its own. Dropped, it ends.
pub(crate) struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(model: impl Model) -> Server {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, Arc::new(Mutex::new(model))) => {}
                    _ = stopped => {}
                }
            });
        });
        Server { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn accept(listener: std::net::TcpListener, model: Arc<Mutex<impl Model>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, model.clone()));
    }
}

/// One connection: requests without bodies, one after the other.
async fn serve(mut stream: TcpStream, model: Arc<Mutex<impl Model>>) {
    let (mut head, mut chunk) = (Vec::new(), [0; 2048]);
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => head.extend_from_slice(&chunk[..bytes]),
        }
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        head.clear();
        let answer = model.lock().unwrap().answer(Instant::now());
        sleep_until(answer.at).await;
        let text: &[u8] = match answer.status {
            200 => b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            503 => b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
            _ => b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n",
        };
        if stream.write_all(text).await.is_err() {
            return;
        }
    }
}

/// Some workers, each of whom takes a fixed time for a request, and one line before them. Who
/// stands in line is served, even if nobody waits for it any more.
///
/// The workers live in the calendar alone: when one is free is computed and not waited for, so
/// that late timers delay answers but do not take away from what the workers can do.
pub(crate) struct Workers {
    free_at: Vec<Instant>,
    service: Duration,
}

impl Workers {
    pub(crate) fn new(workers: usize, service: Duration) -> Workers {
        Workers { free_at: vec![Instant::now(); workers], service }
    }

    /// How long a request that comes now would stand in line.
    fn line(&self, now: Instant) -> Duration {
        let free_at = self.free_at.iter().min().unwrap();
        free_at.saturating_duration_since(now)
    }

    fn work(&mut self, now: Instant, service: Duration) -> Instant {
        let free_at = self.free_at.iter_mut().min().unwrap();
        *free_at = now.max(*free_at) + service;
        *free_at
    }
}

/// Holds `workers ÷ service` requests per second. Past that its line grows without end.
impl Model for Workers {
    fn answer(&mut self, now: Instant) -> Answer {
        Answer { at: self.work(now, self.service), status: 200 }
    }
}

/// Gets slower when it has too much to do, as what thrashes: with a line before them, its
/// workers take ten times as long. What stands in line longer than a second is given up on.
pub(crate) struct Collapsing(pub(crate) Workers);

impl Model for Collapsing {
    fn answer(&mut self, now: Instant) -> Answer {
        let Collapsing(workers) = self;
        let line = workers.line(now);
        if line > Duration::from_secs(1) {
            return Answer { at: now + line, status: 500 };
        }
        let service =
            if line > workers.service * 10 { workers.service * 10 } else { workers.service };
        Answer { at: workers.work(now, service), status: 200 }
    }
}

/// Is quick as long as nobody waits; from the first who waits for longer than two services until
/// nobody does, everything takes a quarter longer. What it holds from rest and what it comes back to
/// are two rates.
pub(crate) struct Dragging {
    pub(crate) workers: Workers,
    pub(crate) drags: bool,
}

impl Model for Dragging {
    fn answer(&mut self, now: Instant) -> Answer {
        let line = self.workers.line(now);
        let service = self.workers.service;
        self.drags = line > service * 2 || (self.drags && !line.is_zero());
        let service = if self.drags { service + service / 4 } else { service };
        Answer { at: self.workers.work(now, service), status: 200 }
    }
}

/// Breaks for good when its line gets long.
pub(crate) struct Breaking {
    pub(crate) workers: Workers,
    pub(crate) broken: bool,
}

impl Model for Breaking {
    fn answer(&mut self, now: Instant) -> Answer {
        self.broken |= self.workers.line(now) > Duration::from_millis(200);
        if self.broken {
            return Answer { at: now, status: 500 };
        }
        self.workers.answer(now)
    }
}

/// Says at once that it is busy, when its line gets long.
pub(crate) struct Refusing(pub(crate) Workers);

impl Model for Refusing {
    fn answer(&mut self, now: Instant) -> Answer {
        let Refusing(workers) = self;
        if workers.line(now) > workers.service * 4 {
            return Answer { at: now, status: 503 };
        }
        workers.answer(now)
    }
}

/// Has no limit, but answers nobody for a while, again and again.
pub(crate) struct Stalling {
    pub(crate) since: Instant,
    pub(crate) every: Duration,
    pub(crate) stall: Duration,
    pub(crate) service: Duration,
}

impl Model for Stalling {
    fn answer(&mut self, now: Instant) -> Answer {
        let since = now.saturating_duration_since(self.since);
        let into = Duration::from_nanos((since.as_nanos() % self.every.as_nanos()) as u64);
        // The first stall begins one period after the start.
        let stalls = since > self.every && into < self.stall;
        let stalled = if stalls { self.stall - into } else { Duration::ZERO };
        Answer { at: now + stalled + self.service, status: 200 }
    }
}
