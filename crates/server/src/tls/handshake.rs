//! One handshake, and what keeps handshakes from cornering anybody else.
//!
//! A client that says nothing holds its connection and no more: neither a turn nor a place. After
//! its first message it waits for its turn, because the part that costs a core something (the
//! signature) is done for one client at a time: between two of them everything else on the shard
//! has its turn, so that a wave of new clients does not stop those who are connected. Then it has
//! one of a bounded number of places until it answers. When they are all taken, the one who has
//! waited longest for its client gives way, because an honest client answers within a round trip
//! and one that stalls on purpose does not.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::server::Acceptor;
use tenfold_context::{Deadline, Moment};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout_at;
use tokio_rustls::server::{StartHandshake, TlsStream};
use tokio_rustls::{Accept, LazyConfigAcceptor};

use super::current::Tls;
use super::metrics::Outcome;

/// The handshakes of one shard.
#[derive(Debug)]
pub(crate) struct Handshakes {
    tls: Arc<Tls>,
    under_way: Arc<UnderWay>,
    turn: Semaphore,
}

/// Why a handshake did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the handshake failed: {0}")]
    Failed(#[from] io::Error),
    #[error("the handshake was not done in time")]
    Late,
    #[error("the handshake gave way to a newer one")]
    Displaced,
}

impl HandshakeError {
    fn outcome(&self) -> Outcome {
        match self {
            HandshakeError::Failed(_) => Outcome::Failed,
            HandshakeError::Late => Outcome::Late,
            HandshakeError::Displaced => Outcome::Displaced,
        }
    }
}

impl Handshakes {
    /// At most `at_once` that wait for their client.
    pub(crate) fn new(tls: Arc<Tls>, at_once: usize) -> Handshakes {
        let under_way = Arc::new(UnderWay { at_once, table: Mutex::default() });
        Handshakes { tls, under_way, turn: Semaphore::new(1) }
    }

    /// Shakes hands.
    pub(crate) async fn shake(
        &self,
        stream: TcpStream,
        deadline: Deadline,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let shaken = self.try_shake(stream, deadline).await;
        self.tls.metrics.ended(match &shaken {
            Ok(stream) => stream.get_ref().1.handshake_kind().into(),
            Err(error) => error.outcome(),
        });
        shaken
    }

    async fn try_shake(
        &self,
        stream: TcpStream,
        deadline: Deadline,
    ) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let until = deadline.instant();
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream);
        let hello = timeout_at(until, hello).await.map_err(|_elapsed| HandshakeError::Late)??;
        let begun = Moment::now();
        let handshake = timeout_at(until, self.sign(hello)).await;
        let handshake = handshake.map_err(|_elapsed| HandshakeError::Late)?;
        let (_place, displaced) = self.under_way.enter();
        let stream = tokio::select! {
            done = timeout_at(until, handshake) => {
                done.map_err(|_elapsed| HandshakeError::Late)??
            }
            _ = displaced => return Err(HandshakeError::Displaced),
        };
        self.tls.metrics.took(Moment::now().since(begun));
        Ok(stream)
    }

    /// Answers a client's first message when it is its turn; the answer is yet to be sent.
    async fn sign(&self, hello: StartHandshake<TcpStream>) -> Accept<TcpStream> {
        let turn = self.turn.acquire().await.expect("nobody closes the semaphore");
        // The certificate is chosen and the signature made in this call.
        let handshake = hello.into_stream(self.tls.config());
        tokio::task::yield_now().await;
        drop(turn);
        handshake
    }
}

/// Those that wait for their clients, by their order of coming.
#[derive(Debug)]
struct UnderWay {
    at_once: usize,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// Dropping a sender tells its handshake to give way.
    waiting: BTreeMap<u64, oneshot::Sender<()>>,
}

impl UnderWay {
    /// A place, and word of when it has to be given up.
    fn enter(self: &Arc<UnderWay>) -> (Place, oneshot::Receiver<()>) {
        let (told, displaced) = oneshot::channel();
        let mut table = self.table();
        while table.waiting.len() >= self.at_once {
            table.waiting.pop_first();
        }
        let number = table.next;
        table.next += 1;
        table.waiting.insert(number, told);
        (Place { number, under_way: self.clone() }, displaced)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing under the lock can panic half-way, so a poisoned one is sound still.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places; dropping it frees it.
struct Place {
    number: u64,
    under_way: Arc<UnderWay>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.table().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustls::ClientConnection;
    use tenfold_telemetry::metrics::Registry;
    use tenfold_testkit::SelfSigned;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::settings::ServerSettings;

    /// As many clients that have said hello.
    async fn hellos(signed: &SelfSigned, count: usize) -> Vec<StartHandshake<TcpStream>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut hellos = Vec::new();
        for _ in 0..count {
            let name = "localhost".try_into().unwrap();
            let mut session = ClientConnection::new(signed.client_config(&[]), name).unwrap();
            let mut hello = Vec::new();
            session.write_tls(&mut hello).unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&hello).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            hellos.push(LazyConfigAcceptor::new(Acceptor::default(), server).await.unwrap());
        }
        hellos
    }

    #[tokio::test]
    async fn between_two_signatures_everything_else_has_its_turn() {
        const COUNT: usize = 20;
        let signed = SelfSigned::new().unwrap();
        let settings = ServerSettings {
            tls_certificate: Some(signed.certificate()),
            tls_key: Some(signed.key()),
            ..ServerSettings::default()
        };
        let tls = Tls::load(&settings, &Registry::new()).unwrap().unwrap();
        let handshakes = Arc::new(Handshakes::new(tls, COUNT));
        let turns = Arc::new(AtomicUsize::new(0));
        let counting = turns.clone();
        let others = tokio::spawn(async move {
            loop {
                counting.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let hellos = hellos(&signed, COUNT).await;
        let before = turns.load(Ordering::Relaxed);
        let signing = hellos.into_iter().map(|hello| {
            let handshakes = handshakes.clone();
            tokio::spawn(async move { drop(handshakes.sign(hello).await) })
        });
        for signed in signing.collect::<Vec<_>>() {
            signed.await.unwrap();
        }
        let turns = turns.load(Ordering::Relaxed) - before;
        assert!(turns >= COUNT - 1, "others had {turns} turns during {COUNT} signatures");
        others.abort();
    }

    #[test]
    fn the_oldest_gives_way_when_there_are_too_many() {
        let under_way = Arc::new(UnderWay { at_once: 2, table: Mutex::default() });
        let (first, mut first_displaced) = under_way.enter();
        let (second, mut second_displaced) = under_way.enter();
        let empty = Err(oneshot::error::TryRecvError::Empty);
        assert_eq!(first_displaced.try_recv(), empty);
        let (_third, mut third_displaced) = under_way.enter();
        assert_eq!(first_displaced.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert_eq!(second_displaced.try_recv(), empty);
        // The place of one that was displaced is another's now: its end frees none.
        drop(first);
        drop(second);
        let (_fourth, _fourth_displaced) = under_way.enter();
        assert_eq!(third_displaced.try_recv(), empty);
    }
}
