//! What can be set about threads: how many run requests, how many run CPU work, and how long
//! the line in front of the latter may be.

use std::time::Duration;

use tenfold_config::{at_most, between};

tenfold_config::settings! {
    /// The threads of the service.
    pub struct RuntimeSettings in "runtime" {
        /// Event loops, each a thread that serves its share of the connections; 0 is one for
        /// each core that the process may use.
        #[check(at_most(1024))]
        pub shards: usize = 0,
        /// Threads for CPU work, beside the event loops; 0 is one for each core that the
        /// process may use.
        #[check(at_most(1024))]
        pub offload_threads: usize = 0,
        /// Jobs that may wait for one of those threads; the next is refused, or displaces one
        /// that matters less.
        #[check(at_most(100_000))]
        pub offload_queue_max: usize = 32,
        /// Time that the event loops, and then the threads for CPU work, have to end once the
        /// service has drained.
        #[check(between(Duration::from_millis(1), Duration::from_secs(60 * 60)))]
        pub stop_timeout: Duration = Duration::from_secs(5),
    }
}

impl RuntimeSettings {
    /// How many shards that is on this machine.
    pub fn shard_count(&self) -> usize {
        or_one_per_core(self.shards)
    }

    /// How many threads for CPU work that is on this machine.
    pub fn offload_thread_count(&self) -> usize {
        or_one_per_core(self.offload_threads)
    }
}

fn or_one_per_core(count: usize) -> usize {
    match count {
        0 => cores(),
        count => count,
    }
}

/// How many cores this process may use.
pub(crate) fn cores() -> usize {
    // The standard library respects the affinity mask and the quota of the control group.
    // When the system does not tell, one thread is right everywhere.
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_one_per_core_and_a_number_is_that_number() {
        let settings = RuntimeSettings { shards: 3, ..RuntimeSettings::default() };
        assert_eq!(settings.shard_count(), 3);
        assert_eq!(settings.offload_threads, 0);
        assert!(settings.offload_thread_count() >= 1);
    }
}
