//! The port of the one who runs the service. It has a thread and a runtime of its own, so that
//! health and metrics answer while every shard is stalled and the machine is drowning.

mod decided;
mod pages;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use crate::bind::{BindError, bind};
use crate::settings::AdminSettings;
use crate::side_port::{SideLimits, SidePort};

pub use decided::Decided;
pub use pages::{AdminPages, BuildInfo};

/// A probe, a scraper and a few people: more than that is a mistake, and waits. Readers who stop
/// do not use up the places, because a whole connection has a time too.
const LIMITS: SideLimits = SideLimits {
    connections_max: 64,
    header_timeout: Duration::from_secs(5),
    connection_timeout: Duration::from_secs(60),
    keep_alive: true,
};

/// The running admin port. Dropping it closes the port.
#[derive(Debug)]
pub struct Admin(SidePort);

/// Why the admin port could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartAdminError {
    /// The port could not be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The system has no thread or no event queue for it.
    #[error("the thread of the admin port cannot be started: {0}")]
    Thread(#[source] io::Error),
}

impl Admin {
    /// Opens the port and answers on it from here on.
    ///
    /// # Errors
    /// Says which address, and why not.
    pub fn start(settings: &AdminSettings, pages: AdminPages) -> Result<Admin, StartAdminError> {
        Admin::adopt(bind(settings.listen, "admin.listen")?, pages)
    }

    /// The same on a port that is open already.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn adopt(listener: TcpListener, pages: AdminPages) -> Result<Admin, StartAdminError> {
        let port = SidePort::start("admin", listener, LIMITS, move |request| {
            pages.answer(request.method(), request.uri().path())
        });
        Ok(Admin(port.map_err(StartAdminError::Thread)?))
    }

    /// Where it listens.
    pub fn local_address(&self) -> SocketAddr {
        self.0.local_address()
    }
}
