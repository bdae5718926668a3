//! One plain HTTP request whose answer is small and must come soon: for metrics pages, and for
//! what is called before a load. Not the engine's business, which measures.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use tenfold_context::Moment;

use crate::scenario::{Target, TargetError};

/// A metrics page of a service with thousands of series has a few hundred KiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// A page that takes longer would be of another time than the one before it.
const TIME_MAX: Duration = Duration::from_secs(5);

/// An address of plain HTTP that is asked one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    target: Target,
    path: String,
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is none.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// It needs TLS.
    #[error("{url:?} needs TLS, which is not spoken here: an address with http:// is needed")]
    Tls {
        /// The address.
        url: String,
    },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection, or it broke, or it took too long.
    #[error("{url}: {error}")]
    Io {
        /// Whom was asked.
        url: String,
        /// What stood in the way.
        error: io::Error,
    },
    /// What came is no answer of HTTP/1.
    #[error("{url}: what came back is no HTTP")]
    Garbage {
        /// Whom was asked.
        url: String,
    },
    /// The answer is larger than what is read.
    #[error("{url}: the answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLarge {
        /// Whom was asked.
        url: String,
    },
    /// The answer says no.
    #[error("{url}: status {status}")]
    Status {
        /// Whom was asked.
        url: String,
        /// What it said.
        status: u16,
    },
}

impl Address {
    /// Takes an address apart.
    ///
    /// # Errors
    /// When it is none, or needs TLS.
    pub fn parse(url: &str) -> Result<Address, AddressError> {
        let (target, path) = Target::parse(url)?;
        if target.tls {
            return Err(AddressError::Tls { url: url.to_owned() });
        }
        Ok(Address { target, path })
    }

    /// The address as a whole.
    pub fn url(&self) -> String {
        format!("{}{}", self.target.url(), self.path)
    }

    /// The body of a GET's answer.
    pub(crate) fn get(&self) -> Result<Vec<u8>, FetchError> {
        self.ask("GET", "")
    }

    /// The body of the answer to an empty POST.
    pub(crate) fn post(&self) -> Result<Vec<u8>, FetchError> {
        self.ask("POST", "content-length: 0\r\n")
    }

    fn ask(&self, method: &str, header: &str) -> Result<Vec<u8>, FetchError> {
        let io = |error| FetchError::Io { url: self.url(), error };
        let (host, path) = (self.target.authority(), &self.path);
        // HTTP/1.0, so that the answer ends with the connection and is not sent in chunks.
        let request =
            format!("{method} {path} HTTP/1.0\r\nhost: {host}\r\naccept: */*\r\n{header}\r\n");
        let deadline = Moment::now() + TIME_MAX;
        let mut stream = self.connect(deadline).map_err(io)?;
        stream.set_write_timeout(Some(TIME_MAX)).map_err(io)?;
        stream.write_all(request.as_bytes()).map_err(io)?;
        let mut answer = Vec::new();
        let mut chunk = [0; 16 * 1024];
        loop {
            stream.set_read_timeout(Some(left(deadline).map_err(io)?)).map_err(io)?;
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(bytes) if answer.len() + bytes > ANSWER_BYTES_MAX => {
                    return Err(FetchError::TooLarge { url: self.url() });
                }
                Ok(bytes) => answer.extend_from_slice(&chunk[..bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What the system says then is "resource temporarily unavailable".
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io(late())),
                Err(error) => return Err(io(error)),
            }
        }
        let (status, head) =
            status_and_head(&answer).ok_or_else(|| FetchError::Garbage { url: self.url() })?;
        if !(200..300).contains(&status) {
            return Err(FetchError::Status { url: self.url(), status });
        }
        answer.drain(..head);
        Ok(answer)
    }

    fn connect(&self, deadline: Moment) -> io::Result<TcpStream> {
        let mut last = io::Error::other("the name has no address");
        for address in (self.target.host.as_str(), self.target.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The time until then, which is never nothing: a time-out of zero would be for ever.
fn left(deadline: Moment) -> io::Result<Duration> {
    let left = deadline.since(Moment::now());
    if left.is_zero() {
        return Err(late());
    }
    Ok(left)
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took too long")
}

fn status_and_head(answer: &[u8]) -> Option<(u16, usize)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(answer) {
        Ok(httparse::Status::Complete(head)) => Some((response.code?, head)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What is said of an answer that is exactly these bytes.
    fn told(answer: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/metrics?x=1", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let bytes = stream.read(&mut request).unwrap();
            assert!(request[..bytes].starts_with(b"GET /metrics?x=1 HTTP/1.0\r\nhost: 127.0.0.1:"));
            // A client that has read enough goes away in the middle.
            let _ = stream.write_all(&answer);
        });
        let told = Address::parse(&url).unwrap().get();
        server.join().unwrap();
        told
    }

    #[test]
    fn the_body_of_a_good_answer_is_told_and_every_other_is_an_error() {
        let body = told(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nup 1\n".to_vec());
        assert_eq!(body.unwrap(), b"up 1\n");
        let no = told(b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec()).unwrap_err();
        assert!(no.to_string().ends_with("/metrics?x=1: status 404"), "{no}");
        for garbage in [&b"hello"[..], b"", b"HTTP/1.1 200 OK\r\nhalf"] {
            let error = told(garbage.to_vec()).unwrap_err();
            assert!(matches!(error, FetchError::Garbage { .. }), "{error}");
        }
        let endless = told(vec![b'x'; ANSWER_BYTES_MAX + 1]).unwrap_err();
        assert!(matches!(endless, FetchError::TooLarge { .. }), "{endless}");
    }

    #[test]
    fn nobody_there_is_told_and_so_is_an_address_with_tls() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = Address::parse(&format!("http://{nobody}/")).unwrap().get().unwrap_err();
        assert!(matches!(error, FetchError::Io { .. }), "{error}");
        let error = Address::parse("https://shop.example/metrics").unwrap_err();
        assert!(error.to_string().contains("needs TLS"), "{error}");
    }
}
