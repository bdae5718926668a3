//! Answers HTTP/1.1 with less work than any generator has that asks: one read, one write, and no
//! look at the request but at its end. Against it the generator is the one at its limit, and not
//! the server.
//!
//! ```console
//! $ cargo run --release -p tenfold-loadgen --example lean -- 127.0.0.1:8080
//! ```

use std::error::Error;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The answer of `bare`, without the date.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-length: 26\r\n\r\n{\"id\":1,\"name\":\"red shoe\"}";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("answers on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

/// Requests without bodies, one after the other.
async fn serve(mut stream: TcpStream) {
    let (mut buffer, mut filled) = ([0; 4096], 0);
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) | Err(_) => return,
            Ok(bytes) => filled += bytes,
        }
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            filled = 0;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}
