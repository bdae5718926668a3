//! A network that fails when told to: it stands between a client and a server, and cuts, stalls,
//! delays or throttles what passes.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream, tcp};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

mod pump;

use pump::pump;

/// Where a proxy passes its connections on to.
#[derive(Clone, Debug)]
pub enum Upstream {
    /// A server on TCP.
    Tcp(SocketAddr),
    /// A server on a Unix socket, such as Postgres' `…/.s.PGSQL.5432`.
    Unix(PathBuf),
}

/// Which way bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// A TCP proxy on loopback; at first it passes everything on as it comes.
///
/// It holds at most 64 KiB per connection and direction beyond the kernel's buffers, so
/// backpressure gets through. Faults act on connections that are open and on those that come.
/// Dropped, it resets every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    faults: watch::Sender<Faults>,
    open: AtomicUsize,
    accepted: AtomicUsize,
    to_server: Way,
    to_client: Way,
}

/// What is counted of one direction, over all connections.
#[derive(Debug)]
struct Way {
    passed: AtomicU64,
    /// Bytes that may still pass before every connection is cut; `u64::MAX` for no end.
    until_cut: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    to_server: Flow,
    to_client: Flow,
    refusing: bool,
    /// How often everything was cut: a connection ends when this is more than when it came.
    cuts: u64,
}

/// How bytes flow in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    stalled: bool,
    delay: Duration,
    bytes_per_second: Option<u32>,
}

impl Proxy {
    /// Listens on a free loopback port, on the runtime of the caller.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start(upstream: Upstream) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            faults: watch::Sender::new(Faults::default()),
            open: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            to_server: Way::new(),
            to_client: Way::new(),
        });
        let accepting = tokio::spawn(accept(listener, upstream, shared.clone())).abort_handle();
        Ok(Proxy { address, shared, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every open connection, on both ends. New ones are passed on again.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Lets that many more bytes pass in one direction, over all connections, and then cuts once.
    pub fn cut_after(&self, side: Side, bytes: u64) {
        self.shared.way(side).until_cut.store(bytes, Ordering::Relaxed);
    }

    /// Stops all bytes of one direction, connections staying open: what a dead machine or a lost
    /// route looks like.
    pub fn stall(&self, side: Side) {
        self.shared.change(side, |flow| flow.stalled = true);
    }

    /// Ends a stall; nothing was lost.
    pub fn resume(&self, side: Side) {
        self.shared.change(side, |flow| flow.stalled = false);
    }

    /// Lets bytes of one direction arrive that much later from now on.
    pub fn delay(&self, side: Side, delay: Duration) {
        self.shared.change(side, |flow| flow.delay = delay);
    }

    /// Lets at most that many bytes per second and connection pass in one direction; `None` for
    /// no limit.
    pub fn throttle(&self, side: Side, bytes_per_second: Option<u32>) {
        self.shared.change(side, |flow| flow.bytes_per_second = bytes_per_second);
    }

    /// Resets new connections at once, as if nobody could be reached, until [`Proxy::admit`].
    pub fn refuse(&self) {
        self.shared.faults.send_modify(|faults| faults.refusing = true);
    }

    /// Passes new connections on again.
    pub fn admit(&self) {
        self.shared.faults.send_modify(|faults| faults.refusing = false);
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }

    /// Connections that ever came, those that were refused included.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Bytes that were passed on in one direction so far.
    pub fn passed(&self, side: Side) -> u64 {
        self.shared.way(side).passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.cut();
        self.accepting.abort();
    }
}

impl Shared {
    fn cut(&self) {
        self.faults.send_modify(|faults| faults.cuts += 1);
    }

    fn change(&self, side: Side, change: impl FnOnce(&mut Flow)) {
        self.faults.send_modify(|faults| change(faults.flow_mut(side)));
    }

    fn way(&self, side: Side) -> &Way {
        match side {
            Side::ToServer => &self.to_server,
            Side::ToClient => &self.to_client,
        }
    }
}

impl Faults {
    fn flow(&self, side: Side) -> Flow {
        match side {
            Side::ToServer => self.to_server,
            Side::ToClient => self.to_client,
        }
    }

    fn flow_mut(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::ToServer => &mut self.to_server,
            Side::ToClient => &mut self.to_client,
        }
    }
}

impl Way {
    fn new() -> Way {
        Way { passed: AtomicU64::new(0), until_cut: AtomicU64::new(u64::MAX) }
    }
}

/// Counts an open connection for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: Arc<Shared>) -> Open {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Open(shared)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn accept(listener: TcpListener, upstream: Upstream, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors, most likely: whatever it is, it must not become a busy loop.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        shared.accepted.fetch_add(1, Ordering::Relaxed);
        let _ = client.set_nodelay(true);
        if shared.faults.borrow().refusing {
            reset_when_closed(&client, true);
            continue;
        }
        while connections.try_join_next().is_some() {}
        connections.spawn(pass(client, upstream.clone(), Open::new(shared.clone())));
    }
}

/// One connection from its first byte to its last.
async fn pass(mut client: TcpStream, upstream: Upstream, open: Open) {
    let shared = &open.0;
    let cuts_before = shared.faults.borrow().cuts;
    let mut faults = shared.faults.subscribe();
    let cut = async move {
        let _ = faults.wait_for(|faults| faults.cuts > cuts_before).await;
    };
    // However this task ends, it resets, unless both sides have said goodbye.
    reset_when_closed(&client, true);
    let passing = async {
        match &upstream {
            Upstream::Tcp(address) => {
                let mut server = TcpStream::connect(address).await?;
                server.set_nodelay(true)?;
                reset_when_closed(&server, true);
                both(client.split(), server.split(), shared).await?;
                reset_when_closed(&server, false);
            }
            Upstream::Unix(path) => {
                let mut server = UnixStream::connect(path).await?;
                both(client.split(), server.split(), shared).await?;
            }
        }
        io::Result::Ok(())
    };
    let ended = tokio::select! {
        ended = passing => ended,
        () = cut => return,
    };
    if ended.is_ok() {
        reset_when_closed(&client, false);
    }
}

/// Passes on both directions until both have come to their end, or one has failed.
async fn both<Reader: AsyncRead + Unpin, Writer: AsyncWrite + Unpin>(
    client: (tcp::ReadHalf<'_>, tcp::WriteHalf<'_>),
    server: (Reader, Writer),
    shared: &Shared,
) -> io::Result<()> {
    tokio::try_join!(
        pump(client.0, server.1, Side::ToServer, shared),
        pump(server.0, client.1, Side::ToClient, shared),
    )?;
    Ok(())
}

fn reset_when_closed(stream: &TcpStream, reset: bool) {
    // Closing a socket that has no time to linger sends RST. It can only fail on a socket that is
    // gone already.
    let _ = SockRef::from(stream).set_linger(reset.then_some(Duration::ZERO));
}

#[cfg(test)]
mod tests;
