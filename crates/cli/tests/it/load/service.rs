//! A small service for loads, which remembers who asked.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// What is answered to a request.
pub(super) struct Answer {
    pub(super) status: &'static str,
    pub(super) body: String,
    pub(super) after: Duration,
}

impl Answer {
    pub(super) fn of(status: &'static str) -> Answer {
        Answer { status, body: "ok".to_owned(), after: Duration::ZERO }
    }
}

/// A service that runs as long as the test.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    listener: AbortHandle,
}

type Decide = dyn Fn(&str) -> Answer + Send + Sync;

impl Service {
    /// `decide` sees each head, in small letters.
    pub(super) async fn start(decide: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (decide, seen): (Arc<Decide>, _) = (Arc::new(decide), heads.clone());
        let listener = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, decide.clone(), seen.clone()));
            }
        });
        Service { address, heads, listener: listener.abort_handle() }
    }

    /// One that answers everything alike.
    pub(super) async fn always(status: &'static str) -> Service {
        Service::start(move |_| Answer::of(status)).await
    }

    /// One that answers so many per second well, and refuses what comes on top.
    pub(super) async fn of_capacity(per_second: f64) -> Service {
        let begin = SystemTime::now();
        let budget = Mutex::new((0.0, 0.0));
        Service::start(move |head| {
            let now = begin.elapsed().unwrap().as_secs_f64();
            if head.starts_with("get /metrics ") {
                // It uses all of the one processor that it may use.
                let body =
                    format!("process_cpu_seconds_total {now}\ngo_sched_gomaxprocs_threads 1\n");
                return Answer { body, ..Answer::of("200 OK") };
            }
            let (mut budget, after) = (budget.lock().unwrap(), Duration::from_millis(20));
            let left: f64 = budget.0 + (now - budget.1) * per_second;
            let is_enough = left >= 1.0;
            *budget = ((left - f64::from(is_enough)).min(10.0), now);
            Answer { after, ..Answer::of(if is_enough { "200 OK" } else { "503 Busy" }) }
        })
        .await
    }

    /// One that is well until it gets a POST, and never after that.
    pub(super) async fn breaking() -> Service {
        let is_broken = AtomicBool::new(false);
        Service::start(move |head| {
            let is_post = head.starts_with("post ");
            let was_broken = is_broken.fetch_or(is_post, Ordering::Relaxed);
            Answer::of(if was_broken && !is_post { "503 Broken" } else { "200 OK" })
        })
        .await
    }

    /// Ends it, with all of its connections, as a process that is killed ends.
    pub(super) fn end(&self) {
        self.listener.abort();
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many heads of those that came hold this text.
    pub(super) fn count(&self, text: &str) -> usize {
        self.heads.lock().unwrap().iter().filter(|head| head.contains(text)).count()
    }
}

async fn serve(mut stream: TcpStream, decide: Arc<Decide>, heads: Arc<Mutex<Vec<String>>>) {
    let mut asked = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut asked).await {
        // Clients of a load send one request at a time on a connection; no test sends a body.
        if !asked.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8_lossy(&asked).to_ascii_lowercase();
        asked.clear();
        let is_last = head.contains(" http/1.0\r");
        let Answer { status, body, after } = decide(&head);
        heads.lock().unwrap().push(head);
        tokio::time::sleep(after).await;
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        if stream.write_all(answer.as_bytes()).await.is_err() || is_last {
            return;
        }
    }
}
