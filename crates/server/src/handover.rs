//! Connections on their way from the port to a shard. A shard that stalls before it has begun with
//! a connection loses it to another one: nobody waits behind a handler that has nothing to do with
//! him.
//!
//! What a shard has begun with stays there, because its state is there: those connections wait
//! until the shard is free again. When no shard is well, everybody waits.

use std::collections::VecDeque;
use std::net::{IpAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tenfold_telemetry::metrics::Counter;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::accept::Shard;
use crate::per_address::OneOfAddress;
use crate::socket::Place;

/// A shard whose event loop is this late gets no new connection while another one is well.
const LAG_MAX: Duration = Duration::from_millis(100);

/// How often those who have been given to a shard are looked after.
const LOOK: Duration = Duration::from_millis(25);

/// Gives connections to shards, and takes them back from one that stalls.
pub(crate) struct Handover {
    shards: Vec<Shard>,
    /// The oldest first; each has its place, so there are no more than connections may be open.
    on_their_way: Mutex<VecDeque<OnItsWay>>,
    some: Notify,
    moved: Counter,
}

struct OnItsWay {
    shard: usize,
    parcel: Parcel,
}

/// A connection that nobody has begun with, until its shard takes it, or another.
#[derive(Clone)]
struct Parcel(Arc<Mutex<Option<Content>>>);

struct Content {
    stream: TcpStream,
    address: IpAddr,
    place: Place,
}

impl Handover {
    pub(crate) fn new(shards: Vec<Shard>, moved: Counter) -> Handover {
        Handover { shards, on_their_way: Mutex::default(), some: Notify::new(), moved }
    }

    /// Gives a new connection to the shard that has the fewest.
    pub(crate) fn give(
        &self,
        stream: TcpStream,
        address: IpAddr,
        permit: OwnedSemaphorePermit,
        one_of_address: Option<OneOfAddress>,
    ) {
        let Some(least) = self.least() else { return };
        let shard = &self.shards[least];
        let on_its_shard = shard.handle.connect();
        let place = Place::take(permit, one_of_address, on_its_shard, shard.open.clone());
        self.send(least, Content { stream, address, place });
    }

    /// Looks after those who are on their way, for ever.
    pub(crate) async fn look_after(&self) {
        loop {
            // First of all, because somebody may have begun to look and been stopped.
            while self.take_back() {
                tokio::time::sleep(LOOK).await;
            }
            self.some.notified().await;
        }
    }

    /// Moves those whose shard has stalled; whether any are still on their way.
    fn take_back(&self) -> bool {
        let waiting = std::mem::take(&mut *self.on_their_way());
        for OnItsWay { shard, parcel } in waiting {
            let is_well = |shard: &usize| self.shards[*shard].handle.lag() <= LAG_MAX;
            let other = if is_well(&shard) { None } else { self.least().filter(is_well) };
            match other {
                // It may have been begun with this very moment.
                Some(other) => {
                    let Some(mut content) = parcel.take() else { continue };
                    let target = &self.shards[other];
                    content.place.moves(target.handle.connect(), target.open.clone());
                    self.moved.increment();
                    self.send(other, content);
                }
                None if parcel.is_taken() => {}
                None => self.on_their_way().push_back(OnItsWay { shard, parcel }),
            }
        }
        !self.on_their_way().is_empty()
    }

    fn send(&self, shard: usize, content: Content) {
        let parcel = Parcel(Arc::new(Mutex::new(Some(content))));
        // With one shard there is nobody to move to.
        if self.shards.len() > 1 {
            self.on_their_way().push_back(OnItsWay { shard, parcel: parcel.clone() });
            self.some.notify_one();
        }
        let Shard { handle, connections, .. } = &self.shards[shard];
        let connections = connections.clone();
        handle.spawn(async move {
            if let Some(Content { stream, address, place }) = parcel.take() {
                connections.serve(stream, address, place).await;
            }
        });
    }

    /// The shard that has the fewest connections among those that are well; if none is, among all.
    fn least(&self) -> Option<usize> {
        let least = |index: &usize| {
            let handle = &self.shards[*index].handle;
            (handle.lag() > LAG_MAX, handle.connections())
        };
        (0..self.shards.len()).min_by_key(least)
    }

    fn on_their_way(&self) -> MutexGuard<'_, VecDeque<OnItsWay>> {
        // Nothing under the lock can panic half-way, so a poisoned one is sound still.
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parcel {
    fn take(&self) -> Option<Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn is_taken(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
