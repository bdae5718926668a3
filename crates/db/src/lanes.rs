//! All shared lanes that are open, so that whoever looks sees how full they are together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tenfold_overload::Occupancy;

use crate::database::Shard;

/// The shards that have a lane. A clone is the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes(Arc<Mutex<Vec<Weak<Shard>>>>);

impl Lanes {
    pub(crate) fn add(&self, shard: &Arc<Shard>) {
        let mut shards = self.shards();
        shards.retain(|shard| shard.strong_count() > 0);
        shards.push(Arc::downgrade(shard));
    }

    /// How many statements are in flight and waiting.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let mut all = Occupancy { inside: 0, waiting: 0 };
        for shard in self.open() {
            let Occupancy { inside, waiting } = shard.lane().occupancy();
            all.inside += inside;
            all.waiting += waiting;
        }
        all
    }

    /// How many statements may be in flight.
    pub(crate) fn places(&self) -> usize {
        self.open().iter().map(|shard| shard.lane().places()).sum()
    }

    /// The numbers of Postgres' processes behind their connections, as far as they are known.
    pub(crate) fn backend_pids(&self) -> Vec<i32> {
        self.open()
            .iter()
            .flat_map(|shard| shard.lane().backend_pids().collect::<Vec<_>>())
            .collect()
    }

    /// Held only as long as it takes to look: the last holder of a shard closes its lane.
    fn open(&self) -> Vec<Arc<Shard>> {
        self.shards().iter().filter_map(Weak::upgrade).collect()
    }

    fn shards(&self) -> MutexGuard<'_, Vec<Weak<Shard>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
