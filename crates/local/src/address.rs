//! Where the server is reached: the path of its socket, and a URL that every client reads alike.

use std::io;
use std::path::{Path, PathBuf};

use crate::cluster::{USER, files};
use crate::error::StartError;

/// Where nothing listens on TCP only the name of the socket's file depends on it.
pub(crate) const PORT: u16 = 5432;

/// The address of a Unix socket has room for no more (103 on macOS, 107 on Linux).
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// An error if no client could reach a socket in that folder.
pub(crate) fn check_socket(socket_directory: &Path, port: u16) -> Result<(), StartError> {
    let socket = socket_of(socket_directory, port);
    let path = socket.as_os_str();
    let error = if path.len() > SOCKET_PATH_BYTES_MAX {
        format!("the path of a socket has at most {SOCKET_PATH_BYTES_MAX} bytes")
    } else if path.as_encoded_bytes().contains(&b',') {
        "the path of a socket has no comma, because clients take it for the end of it".to_owned()
    } else {
        return Ok(());
    };
    Err(files(&socket)(io::Error::other(error)))
}

/// The socket that Postgres makes in the folder.
pub(crate) fn socket_of(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// The address of a database. It names the port, because libpq would take another one from
/// the user's environment.
pub(crate) fn url(socket_directory: &Path, port: u16, database: &str) -> String {
    let host = socket_directory.to_string_lossy();
    format!(
        "postgres:///{}?host={}&port={port}&user={USER}",
        percent_encoded(database),
        percent_encoded(&host)
    )
}

/// For the path and the query of a URL: everything but the plainest characters.
fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
