//! A client for one request at a time that reads an answer as it comes and keeps none of it:
//! what the demo sends is as real as what anybody else would send.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tenfold_context::Moment;
use tokio::net::TcpStream;

/// Long enough for an export of a million products.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// The part of a body that is kept, to show what it says.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The beginning of the body.
    pub(super) head: Vec<u8>,
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// Until the last byte.
    pub(super) took: Duration,
}

/// Sends one request on a connection of its own; an error is one sentence.
pub(super) async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: &str,
) -> Result<Answer, String> {
    let sent = tokio::time::timeout(ANSWER_TIMEOUT, exchange(address, method, path, body)).await;
    match sent {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_elapsed) => Err(format!("no whole answer after {} s", ANSWER_TIMEOUT.as_secs())),
    }
}

async fn exchange(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: &str,
) -> Result<Answer, Box<dyn std::error::Error>> {
    let begun = Moment::now();
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends with the sender, and its errors are the request's.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, address.to_string())
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(body.to_owned()))?;
    let (parts, mut body) = sender.send_request(request).await?.into_parts();
    let (mut head, mut bytes, mut lines) = (Vec::new(), 0, 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        bytes += data.len() as u64;
        lines += data.iter().filter(|&&byte| byte == b'\n').count() as u64;
        head.extend_from_slice(&data[..data.len().min(KEPT_BYTES_MAX - head.len())]);
    }
    let took = Moment::now().since(begun);
    Ok(Answer { status: parts.status, head, bytes, lines, took })
}
