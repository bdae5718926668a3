//! What the servers of these tests have in common: a thread that takes connections on loopback.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Takes connections until it is dropped, which ends all that was begun with them.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    _end: oneshot::Sender<()>,
}

impl Listener {
    /// `each` has every connection, on a thread with a runtime of its own.
    pub(crate) fn start(mut each: impl FnMut(TcpStream) + Send + 'static) -> Listener {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                let accept = async {
                    loop {
                        let (stream, _) = listener.accept().await.unwrap();
                        each(stream);
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = ended => {}
                }
            });
        });
        Listener { address, _end: end }
    }
}
