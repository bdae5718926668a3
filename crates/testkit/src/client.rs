//! A client that does exactly what a test tells it: half a request, a slow one, two at once, none
//! at all, and then leaves.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::response::{End, Framing, Head, ReadError, Response};
use crate::tls::SelfSigned;

/// Long enough for any server on a busy machine, short enough that a hang is noticed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Room for one attempt to receive.
const RECEIVE_BYTES: usize = 16 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One connection to a server.
///
/// Dropping it leaves politely (FIN, or RST when bytes were left unread, as everywhere).
pub struct Client {
    stream: Box<dyn Stream>,
    /// The socket below the stream again, to set what the stream hides; `None` over
    /// [`Client::over`].
    socket: Option<socket2::Socket>,
    protocol: Option<String>,
    received: Vec<u8>,
    patience: Duration,
}

/// How a server ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// With FIN, after everything that it had to say.
    Politely,
    /// With RST.
    Reset,
}

/// What one attempt to receive more brought.
enum More {
    Bytes,
    Closed(Closed),
}

impl Client {
    /// Connects over TCP.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::from_tcp(TcpStream::connect(address).await?)
    }

    /// Connects with a receive buffer of that many bytes (the kernel doubles it), so that a server
    /// feels soon that this client does not read.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect_with_receive_buffer(
        address: SocketAddr,
        bytes: u32,
    ) -> io::Result<Client> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_recv_buffer_size(bytes)?;
        Client::from_tcp(socket.connect(address).await?)
    }

    /// Connects over TLS, trusting that certificate alone and offering these protocols, best first.
    ///
    /// # Errors
    /// When nobody listens there, or the handshake fails.
    pub async fn connect_tls(
        address: SocketAddr,
        trusted: &SelfSigned,
        protocols: &[&str],
    ) -> io::Result<Client> {
        let tcp = TcpStream::connect(address).await?;
        let socket = socket2::SockRef::from(&tcp).try_clone()?;
        let name = ServerName::try_from("localhost").expect("a valid name");
        let connector = TlsConnector::from(trusted.client_config(protocols));
        let stream = connector.connect(name, tcp).await?;
        let protocol = stream.get_ref().1.alpn_protocol().map(String::from_utf8_lossy);
        let protocol = protocol.map(std::borrow::Cow::into_owned);
        Ok(Client { socket: Some(socket), protocol, ..Client::over(stream) })
    }

    /// Talks over any stream.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
        Client {
            stream: Box::new(stream),
            socket: None,
            protocol: None,
            received: Vec::new(),
            patience: PATIENCE,
        }
    }

    fn from_tcp(tcp: TcpStream) -> io::Result<Client> {
        tcp.set_nodelay(true)?;
        let socket = socket2::SockRef::from(&tcp).try_clone()?;
        Ok(Client { socket: Some(socket), ..Client::over(tcp) })
    }

    /// Gives up reading after that time instead of 20 s.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Client {
        self.patience = patience;
        self
    }

    /// The protocol that the TLS handshake agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends these bytes as they are.
    ///
    /// # Errors
    /// When the server has ended the connection, or takes nothing for as long as this client is
    /// patient ([`io::ErrorKind::TimedOut`]).
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        timeout(self.patience, async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await?
    }

    /// Sends `bytes` in pieces of that size, with a pause after each.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn send_slowly(
        &mut self,
        bytes: &[u8],
        piece: usize,
        pause: Duration,
    ) -> io::Result<()> {
        for part in bytes.chunks(piece.max(1)) {
            self.send(part).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn stop_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads one response with its body, passing over `100 Continue` and its like.
    ///
    /// # Errors
    /// When no complete head came, or the body is not framed as HTTP/1.1 or comes to no end in
    /// time. A body that is cut off is no error: see [`Response::end`].
    pub async fn read_response(&mut self) -> Result<Response, ReadError> {
        let head = loop {
            let head = self.read_head().await?;
            if !(100..200).contains(&head.status) || head.status == 101 {
                break head;
            }
        };
        let (body, end) = self.read_body(&head).await?;
        Ok(Response { status: head.status, headers: head.headers, body, end })
    }

    /// Reads the head of a response and no more (all there is after a `HEAD` request).
    ///
    /// # Errors
    /// As [`Client::read_response`].
    pub async fn read_head(&mut self) -> Result<Head, ReadError> {
        let started = tokio::time::Instant::now();
        loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                let head: Vec<u8> = self.received.drain(..end + 4).collect();
                return Head::parse(&head);
            }
            match self.receive(started).await? {
                More::Bytes => {}
                More::Closed(Closed::Politely) => return Err(ReadError::Ended { got: self.got() }),
                More::Closed(Closed::Reset) => return Err(ReadError::Reset { got: self.got() }),
            }
        }
    }

    /// Reads the body that belongs to a head.
    ///
    /// # Errors
    /// As [`Client::read_response`].
    pub async fn read_body(&mut self, head: &Head) -> Result<(Vec<u8>, End), ReadError> {
        match head.framing()? {
            Framing::Length(length) => self.take(length).await,
            Framing::Chunked => self.take_chunks().await,
            Framing::UntilClosed => {
                let (body, how) = self.read_until_closed().await?;
                let end = if how == Closed::Politely { End::Complete } else { End::Early };
                Ok((body, end))
            }
        }
    }

    /// Takes at most that many bytes of what has come, waiting for the first; empty at the end of
    /// the connection. For reading at a pace of one's own.
    ///
    /// # Errors
    /// When nothing came in time, or the connection was reset.
    pub async fn read_some(&mut self, bytes_max: usize) -> Result<Vec<u8>, ReadError> {
        if self.received.is_empty() {
            let started = tokio::time::Instant::now();
            if let More::Closed(Closed::Reset) = self.receive(started).await? {
                return Err(ReadError::Reset { got: String::new() });
            }
        }
        let length = self.received.len().min(bytes_max);
        Ok(self.received.drain(..length).collect())
    }

    /// Reads until the server ends the connection; gives what came before that, and how it ended.
    ///
    /// # Errors
    /// When the connection is still open when patience runs out.
    pub async fn read_until_closed(&mut self) -> Result<(Vec<u8>, Closed), ReadError> {
        let started = tokio::time::Instant::now();
        loop {
            if let More::Closed(how) = self.receive(started).await? {
                return Ok((std::mem::take(&mut self.received), how));
            }
        }
    }

    /// Leaves politely, without waiting for anything.
    pub fn leave(self) {}

    /// Leaves at once with RST, as a client does whose process was killed or whose patience ended
    /// with data unread.
    ///
    /// # Panics
    /// Over a stream of the caller's ([`Client::over`]), which may have no socket.
    pub fn abort(self) {
        let socket = self.socket.as_ref().expect("only a client that connected itself can abort");
        // With no time to linger, closing the last descriptor resets the connection.
        let _ = socket.set_linger(Some(Duration::ZERO));
    }

    async fn take(&mut self, length: usize) -> Result<(Vec<u8>, End), ReadError> {
        let started = tokio::time::Instant::now();
        while self.received.len() < length {
            if let More::Closed(_) = self.receive(started).await? {
                return Ok((std::mem::take(&mut self.received), End::Early));
            }
        }
        Ok((self.received.drain(..length).collect(), End::Complete))
    }

    async fn take_chunks(&mut self) -> Result<(Vec<u8>, End), ReadError> {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.take_line().await? else { return Ok((body, End::Early)) };
            let digits = line.split(';').next().unwrap_or_default().trim();
            let Ok(size) = usize::from_str_radix(digits, 16) else {
                return Err(ReadError::Malformed { what: "size of a chunk", got: line });
            };
            if size == 0 {
                break;
            }
            let (mut chunk, end) = self.take(size).await?;
            body.append(&mut chunk);
            if end == End::Early {
                return Ok((body, End::Early));
            }
            match self.take_line().await? {
                Some(rest) if rest.is_empty() => {}
                Some(rest) => {
                    return Err(ReadError::Malformed { what: "end of a chunk", got: rest });
                }
                None => return Ok((body, End::Early)),
            }
        }
        // Trailers, up to the empty line.
        loop {
            match self.take_line().await? {
                Some(line) if line.is_empty() => return Ok((body, End::Complete)),
                Some(_) => {}
                None => return Ok((body, End::Early)),
            }
        }
    }

    /// A line without its end; `None` when the connection ends before the line does.
    async fn take_line(&mut self) -> Result<Option<String>, ReadError> {
        let started = tokio::time::Instant::now();
        loop {
            if let Some(end) = find(&self.received, b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if let More::Closed(_) = self.receive(started).await? {
                return Ok(None);
            }
        }
    }

    /// Receives what there is, until patience has run out counted from `started`.
    async fn receive(&mut self, started: tokio::time::Instant) -> Result<More, ReadError> {
        self.received.reserve(RECEIVE_BYTES);
        let read = self.stream.read_buf(&mut self.received);
        match tokio::time::timeout_at(started + self.patience, read).await {
            Err(_) => Err(ReadError::TimedOut { patience: self.patience, got: self.got() }),
            Ok(Ok(0)) => Ok(More::Closed(Closed::Politely)),
            Ok(Ok(_)) => Ok(More::Bytes),
            Ok(Err(error)) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    Ok(More::Closed(Closed::Reset))
                }
                // rustls: the connection ended without a farewell of TLS, so it was cut.
                io::ErrorKind::UnexpectedEof => Ok(More::Closed(Closed::Reset)),
                _ => Err(ReadError::Connection(error)),
            },
        }
    }

    fn got(&self) -> String {
        let shown = &self.received[..self.received.len().min(1024)];
        String::from_utf8_lossy(shown).into_owned()
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("unread", &self.got()).finish_non_exhaustive()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// One `GET` over a connection of its own.
///
/// # Errors
/// When the connection fails or no response comes; see [`ReadError`].
pub async fn get(address: SocketAddr, path: &str) -> Result<Response, ReadError> {
    request(address, "GET", path, &[], b"").await
}

/// One request over a connection of its own; `content-length` is added when there is a body.
///
/// # Errors
/// As [`get`].
pub async fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response, ReadError> {
    use std::fmt::Write as _;

    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(head, "content-length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    let mut client = Client::connect(address).await?;
    // A server may refuse before it has read everything, and close: its answer still counts.
    let sent = client.send([head.as_bytes(), body].concat()).await;
    if method == "HEAD" {
        let head = client.read_head().await?;
        let (status, headers) = (head.status, head.headers);
        return Ok(Response { status, headers, body: Vec::new(), end: End::Complete });
    }
    match (client.read_response().await, sent) {
        (Err(ReadError::Reset { .. } | ReadError::Ended { .. }), Err(error)) => Err(error.into()),
        (response, _) => response,
    }
}

#[cfg(test)]
mod tests;
