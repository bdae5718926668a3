//! Just enough of Postgres's protocol to ask whether it answers and to create a database:
//! its programs for that are not on every machine, and a client library is too much here.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Version 3.0 of the protocol.
const PROTOCOL: i32 = 3 << 16;

/// No answer that is expected here is longer.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What the server says while it recovers or shuts down.
const CANNOT_CONNECT_NOW: &str = "57P03";

/// Why a question had no good answer.
#[derive(Debug)]
pub(crate) enum WireError {
    /// Not up yet, or gone.
    Io(io::Error),
    /// The server's own words.
    Refused { code: String, message: String },
}

impl WireError {
    /// Whether waiting may help.
    pub(crate) fn is_not_yet(&self) -> bool {
        match self {
            WireError::Io(_) => true,
            WireError::Refused { code, .. } => code == CANNOT_CONNECT_NOW,
        }
    }
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> WireError {
        WireError::Io(error)
    }
}

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WireError::Io(error) => error.fmt(f),
            WireError::Refused { message, .. } => f.write_str(message),
        }
    }
}

/// A connection that is ready for a query.
pub(crate) struct Connection {
    stream: UnixStream,
}

impl Connection {
    /// Connects without a password; every wait on the connection ends after `limit`.
    pub(crate) fn open(
        socket: &Path,
        user: &str,
        database: &str,
        limit: Duration,
    ) -> Result<Connection, WireError> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))?;
        let mut connection = Connection { stream };
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        for part in ["user", user, "database", database, ""] {
            body.extend_from_slice(part.as_bytes());
            body.push(0);
        }
        connection.send(None, &body)?;
        connection.until_ready()?;
        Ok(connection)
    }

    /// Runs a statement; says whether it had a row.
    pub(crate) fn query(&mut self, sql: &str) -> Result<bool, WireError> {
        self.send(Some(b'Q'), &[sql.as_bytes(), b"\0"].concat())?;
        self.until_ready()
    }

    fn until_ready(&mut self) -> Result<bool, WireError> {
        let mut had_row = false;
        let mut refused = None;
        loop {
            let (kind, body) = match self.receive() {
                Ok(message) => message,
                // After a fatal error the server hangs up: the error says more than that.
                Err(error) => return Err(refused.unwrap_or(WireError::Io(error))),
            };
            match kind {
                b'R' if body != [0; 4] => {
                    let message = "the server asks for a password".to_owned();
                    return Err(WireError::Refused { code: "28000".to_owned(), message });
                }
                b'D' => had_row = true,
                b'E' => refused = Some(error(&body)),
                b'Z' => return refused.map_or(Ok(had_row), Err),
                _ => {}
            }
        }
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> io::Result<()> {
        let length = i32::try_from(body.len() + 4)
            .map_err(|_| io::Error::other("the statement is too long"))?;
        let mut message = Vec::from_iter(kind);
        message.extend_from_slice(&length.to_be_bytes());
        message.extend_from_slice(body);
        self.stream.write_all(&message)
    }

    fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = usize::try_from(i32::from_be_bytes(length))
            .ok()
            .and_then(|length| length.checked_sub(4))
            .filter(|length| *length <= MESSAGE_BYTES_MAX)
            .ok_or_else(|| io::Error::other("what answers is not Postgres"))?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A courtesy: without it the server notes that the client hung up.
        let _ = self.send(Some(b'X'), &[]);
    }
}

/// An error message is a list of fields: a letter, then text that ends with a zero byte.
fn error(body: &[u8]) -> WireError {
    let (mut code, mut message) = (String::new(), String::new());
    for field in body.split(|byte| *byte == 0) {
        match field {
            [b'C', text @ ..] => code = String::from_utf8_lossy(text).into_owned(),
            [b'M', text @ ..] => message = String::from_utf8_lossy(text).into_owned(),
            _ => {}
        }
    }
    WireError::Refused { code, message }
}

/// Creates a database if it is not there.
pub(crate) fn create_database(connection: &mut Connection, name: &str) -> Result<(), WireError> {
    /// Two that start at once may both have found nothing.
    const DUPLICATE_DATABASE: &str = "42P04";

    let as_text = name.replace('\'', "''");
    if connection.query(&format!("SELECT 1 FROM pg_database WHERE datname = '{as_text}'"))? {
        return Ok(());
    }
    let as_name = name.replace('"', "\"\"");
    match connection.query(&format!("CREATE DATABASE \"{as_name}\"")) {
        Err(WireError::Refused { code, .. }) if code == DUPLICATE_DATABASE => Ok(()),
        created => created.map(|_| ()),
    }
}
