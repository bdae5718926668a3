//! The least that answers HTTP: what generators are measured against, so that they are the ones
//! who are measured. HTTP/1.1 and HTTP/2 with prior knowledge, one thread. With a second argument
//! each answer takes that many milliseconds, however many are asked for at once.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example bare -- 127.0.0.1:8080 5
//! ```

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Tokio's timer knows whole milliseconds, and may ring one late: the rest is waited for awake.
const AWAKE: Duration = Duration::from_millis(2);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let takes = arguments.next().map_or(Ok(0), |millis| millis.parse())?;
    let takes = Duration::from_millis(takes);
    let listener = TcpListener::bind(&address).await?;
    println!("answers on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            let answer = service_fn(move |_| answer(takes));
            // A client that goes away is no news here.
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(takes: Duration) -> Result<Response<Full<Bytes>>, Infallible> {
    if !takes.is_zero() {
        wait(takes).await;
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"{\"id\":1,\"name\":\"red shoe\"}"))))
}

async fn wait(takes: Duration) {
    let end = Instant::now() + takes;
    tokio::time::sleep(takes.saturating_sub(AWAKE)).await;
    while Instant::now() < end {
        tokio::task::yield_now().await;
    }
}
