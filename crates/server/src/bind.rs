//! Opens a port, and says in a sentence why it cannot.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait in the kernel. It takes fewer if `net.core.somaxconn` says so.
const BACKLOG: i32 = 4096;

/// Why the port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process has it.
    #[error("{address} is in use: another process listens there; choose another `{setting}`")]
    InUse {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
    },
    /// The system does not let this user have it.
    #[error(
        "{address} is not permitted: ports below 1024 need a privilege; choose another `{setting}`"
    )]
    NotPermitted {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
    },
    /// The machine has no such address.
    #[error(
        "{address} is not available: this machine has no such address; choose another `{setting}`"
    )]
    NotAvailable {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
    },
    /// Something else.
    #[error("cannot listen on {address} (`{setting}`): {cause}")]
    Other {
        /// What was asked for.
        address: SocketAddr,
        /// The setting that asked for it.
        setting: &'static str,
        /// What the system said.
        cause: io::Error,
    },
}

/// Opens a port; `setting` is the key that a message tells to change.
pub(crate) fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, BindError> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait until the connections of the last run are forgotten.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(socket.into())
    };
    listen().map_err(|cause| match cause.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { address, setting },
        io::ErrorKind::PermissionDenied => BindError::NotPermitted { address, setting },
        io::ErrorKind::AddrNotAvailable => BindError::NotAvailable { address, setting },
        _ => BindError::Other { address, setting, cause },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let taken = bind(([127, 0, 0, 1], 0).into(), "server.listen").unwrap();
        let address = taken.local_addr().unwrap();
        let said = bind(address, "server.listen").unwrap_err().to_string();
        assert!(said.starts_with(&format!("{address} is in use")), "{said}");
        assert!(said.ends_with("`server.listen`"), "{said}");
    }

    #[test]
    fn an_address_of_another_machine_is_not_available() {
        let error = bind(([192, 0, 2, 1], 0).into(), "server.listen").unwrap_err();
        assert!(matches!(error, BindError::NotAvailable { .. }), "{error}");
    }
}
