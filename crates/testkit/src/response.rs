//! Takes an HTTP/1.1 response apart by hand, so that one which stops in the middle is an outcome
//! to assert and not an error of some client library.

use std::time::Duration;

/// Everything that came back for one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body as far as it came, freed of its chunks.
    pub body: Vec<u8>,
    /// Whether the body came to its end.
    pub end: End,
}

/// How the body of a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where its framing said that it would.
    Complete,
    /// The connection ended, or was reset, before that.
    Early,
}

/// The first part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
}

/// Why no response could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The server ended the connection before the head was complete.
    #[error("the connection ended before a response did: got {got:?}")]
    Ended {
        /// What had come of the head.
        got: String,
    },
    /// The server reset the connection before the head was complete.
    #[error("the connection was reset before a response came: got {got:?}")]
    Reset {
        /// What had come of the head.
        got: String,
    },
    /// The patience of the client ran out, with the connection still open.
    #[error("nothing came to an end within {patience:?}: got {got:?}")]
    TimedOut {
        /// How long the client waited.
        patience: Duration,
        /// What had come and was not consumed, the first kilobyte of it.
        got: String,
    },
    /// What came is not HTTP/1.1.
    #[error("not an HTTP/1.1 response: {what}: {got:?}")]
    Malformed {
        /// Which part is wrong.
        what: &'static str,
        /// The part.
        got: String,
    },
    /// Any other failure of the connection.
    #[error("the connection failed: {0}")]
    Connection(#[from] std::io::Error),
}

/// How the length of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

impl Response {
    /// The first value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text, with replacement characters where it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON, showing the response.
    pub fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => {
                panic!("the body is not JSON ({error}): {} {}", self.status, self.text())
            }
        }
    }
}

impl Head {
    /// The first value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Parses a head with the empty line that ends it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Head, ReadError> {
        let malformed = |what, got: &str| ReadError::Malformed { what, got: got.to_owned() };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| malformed("head is not UTF-8", &String::from_utf8_lossy(bytes)))?;
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| status_line.strip_prefix("HTTP/1.0 "))
            .and_then(|rest| rest.split(' ').next())
            .filter(|code| code.len() == 3)
            .and_then(|code| code.parse().ok())
            .ok_or_else(|| malformed("status line", status_line))?;
        let headers = lines
            .map(|line| match line.split_once(':') {
                Some((name, value)) => Ok((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => Err(malformed("header", line)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Head { status, headers })
    }

    pub(crate) fn framing(&self) -> Result<Framing, ReadError> {
        if self.status < 200 || self.status == 204 || self.status == 304 {
            return Ok(Framing::Length(0));
        }
        if self.header("transfer-encoding").is_some_and(|value| value.contains("chunked")) {
            return Ok(Framing::Chunked);
        }
        match self.header("content-length") {
            None => Ok(Framing::UntilClosed),
            Some(length) => match length.parse() {
                Ok(length) => Ok(Framing::Length(length)),
                Err(_) => {
                    Err(ReadError::Malformed { what: "content-length", got: length.to_owned() })
                }
            },
        }
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str) -> String {
        match Head::parse(head.as_bytes()).and_then(|head| Ok((head.framing()?, head))) {
            Ok((framing, head)) => format!("{} {:?} {framing:?}", head.status, head.headers),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn reads_heads() {
        assert_eq!(
            check("HTTP/1.1 200 OK\r\nContent-Length:  12 \r\n\r\n"),
            r#"200 [("content-length", "12")] Length(12)"#
        );
        assert_eq!(
            check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            r#"200 [("transfer-encoding", "chunked")] Chunked"#
        );
        assert_eq!(check("HTTP/1.0 500 Oh\r\n\r\n"), "500 [] UntilClosed");
        assert_eq!(check("HTTP/1.1 204 No Content\r\n\r\n"), "204 [] Length(0)");
    }

    #[test]
    fn names_what_is_malformed() {
        assert_eq!(
            check("SSH-2.0-OpenSSH\r\n\r\n"),
            r#"not an HTTP/1.1 response: status line: "SSH-2.0-OpenSSH""#
        );
        assert_eq!(
            check("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
            r#"not an HTTP/1.1 response: header: "no colon""#
        );
        assert_eq!(
            check("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"),
            r#"not an HTTP/1.1 response: content-length: "-1""#
        );
    }

    #[test]
    fn finds_headers_and_json() {
        let response = Response {
            status: 200,
            headers: vec![("retry-after".to_owned(), "3".to_owned())],
            body: br#"{"left":2}"#.to_vec(),
            end: End::Complete,
        };
        assert_eq!(response.header("retry-after"), Some("3"));
        assert_eq!(response.header("etag"), None);
        assert_eq!(response.json()["left"], 2);
    }
}
