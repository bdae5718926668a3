//! Takes connections out of the kernel's queue, as many as there is room for.

use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tenfold_context::{Deadline, Moment};
use tenfold_runtime::ShardHandle;
use tenfold_telemetry::metrics::Gauge;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::connection::Connections;
use crate::handover::Handover;
use crate::metrics::AcceptMetrics;
use crate::per_address::PerAddress;
use crate::proxies::Proxies;

/// How long the end of accepting looks for the next one in the kernel's queue, and in all: under
/// a stream of new connections the queue is never empty.
const QUEUE_LOOK: Duration = Duration::from_millis(10);
const QUEUE_LOOKS_MAX: Duration = Duration::from_millis(100);

/// After a failure to accept: long enough not to spin, short enough not to be felt.
const BACKOFF_FIRST: Duration = Duration::from_millis(5);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// A shard, and what its connections share.
pub(crate) struct Shard {
    pub(crate) handle: ShardHandle,
    pub(crate) connections: Arc<Connections>,
    pub(crate) open: Gauge,
}

/// Takes connections out of the kernel's queue.
pub(crate) struct Acceptor {
    pub(crate) listener: TcpListener,
    pub(crate) handover: Handover,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) per_address: PerAddress,
    pub(crate) proxies: Proxies,
    pub(crate) metrics: AcceptMetrics,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Acceptor {
    /// Lets connections in until it is told to stop, and then those who wait already.
    pub(crate) async fn run(self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = self.accept() => {}
            () = self.handover.look_after() => {}
            // An error means that the server is gone, which stops it as well.
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
        self.empty_queue().await;
        drop(stopped);
        // Those who came last may have been given to a shard that stalls. Ends with the server.
        self.close().look_after().await;
    }

    /// Nobody comes any more.
    fn close(self) -> Handover {
        self.handover
    }

    /// Lets in one after the other, for ever.
    async fn accept(&self) {
        let mut backoff = BACKOFF_FIRST;
        loop {
            // The place first: whoever is accepted must be served.
            let place = self.place().await;
            match self.listener.accept().await.and_then(into_std) {
                Ok((stream, peer)) => {
                    backoff = BACKOFF_FIRST;
                    self.hand_over(stream, peer, place);
                }
                // It had left before its turn.
                Err(error) if is_the_clients(&error) => {}
                // No file descriptors or no memory: the next attempt would fail as well, and
                // the queue stays readable, so a loop without a pause would burn the core.
                Err(error) => {
                    self.metrics.failed.increment();
                    tracing::error!(
                        error = &error as &dyn Error,
                        pause_ms = backoff.as_millis() as u64,
                        "accept failed"
                    );
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_LAST);
                }
            }
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return place;
        }
        self.metrics.full.increment();
        let place = self.places.clone().acquire_owned().await;
        place.expect("nobody closes the semaphore")
    }

    /// Lets in those who wait, as far as there is room, without waiting for more.
    async fn empty_queue(&self) {
        let deadline = Deadline::after(QUEUE_LOOKS_MAX);
        while let Ok(place) = self.places.clone().try_acquire_owned()
            && !deadline.is_past(Moment::now())
        {
            // A timeout, and not a single poll: tokio asks the system only after it was told
            // that somebody waits, which takes a turn of its event loop.
            let accepted = tokio::time::timeout(QUEUE_LOOK, self.listener.accept()).await;
            match accepted.map(|accepted| accepted.and_then(into_std)) {
                Ok(Ok((stream, peer))) => self.hand_over(stream, peer, place),
                Ok(Err(error)) if is_the_clients(&error) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }

    fn hand_over(&self, stream: TcpStream, peer: SocketAddr, permit: OwnedSemaphorePermit) {
        let address = peer.ip().to_canonical();
        // A proxy's address is no client's. Whom it introduces is counted when it has.
        let one_of_address = if self.proxies.trust(address) {
            None
        } else {
            let Some(one_of_address) = self.per_address.connect(address) else {
                // Closed unread: an answer would cost more than one who asks for so many is worth.
                return self.metrics.address.increment();
            };
            Some(one_of_address)
        };
        self.handover.give(stream, address, permit, one_of_address);
    }
}

fn into_std(
    (stream, peer): (tokio::net::TcpStream, SocketAddr),
) -> io::Result<(TcpStream, SocketAddr)> {
    Ok((stream.into_std()?, peer))
}

/// Whether the connection failed and not the port.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
    )
}
