//! Ports that are open already when the service starts, because systemd opened them and hands
//! them over (`sd_listen_fds(3)`). What waits in them while the service is started anew is served
//! by the new one.

use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;
use tenfold_config::Environment;

/// The ports that were handed over, by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) server: Option<TcpListener>,
    pub(crate) redirect: Option<TcpListener>,
    pub(crate) admin: Option<TcpListener>,
}

impl Sockets {
    /// Takes what was handed over: `FileDescriptorName=` in the unit says which is which. The
    /// first that is called neither `admin` nor `redirect` is the service's own port.
    ///
    /// Before any other thread runs, because the variables are taken out of the environment:
    /// a process that this one starts must not take them for its own.
    ///
    /// # Errors
    /// When one of them is no TCP port, or one is too many.
    pub(crate) fn handed_over(environment: &Environment) -> io::Result<Sockets> {
        let names = environment.get("LISTEN_FDNAMES").map(|names| names.to_string_lossy());
        let names = names.unwrap_or_default().into_owned();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut sockets = Sockets::default();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default();
            let wrong = |why: &str| {
                let sentence =
                    format!("the socket number {index} ({name:?}) that was handed over {why}");
                io::Error::new(io::ErrorKind::InvalidInput, sentence)
            };
            let socket = given.take_tcp_listener(index);
            let socket = socket.map_err(|error| wrong(&format!("is no TCP port: {error}")))?;
            let place = match name {
                "admin" => &mut sockets.admin,
                "redirect" => &mut sockets.redirect,
                _ => &mut sockets.server,
            };
            if place.is_some() {
                return Err(wrong("is one too many: call others \"admin\" or \"redirect\""));
            }
            *place = socket;
        }
        Ok(sockets)
    }
}
