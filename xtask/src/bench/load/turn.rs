//! One generator's turn, with what it and the server took of their cores: who of the two had
//! nothing left to give is what a rate means.

use std::time::Duration;

use super::servers::Server;
use crate::Error;
use crate::bench::{Load, cpu_time, cpu_time_of_ended_children};

/// One turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) load: Load,
    /// Processor time of the generator's whole process.
    generator: Duration,
    /// As much of it as the kernel took.
    generator_in_kernel: Duration,
    /// Processor time of the server, meanwhile.
    server: Duration,
}

/// Takes one figure out of a turn.
pub(super) type Take = fn(&Turn) -> f64;

impl Turn {
    /// The turn of who could not do what was asked.
    pub(super) const NOTHING: Turn = Turn {
        load: Load { requests: 0.0, seconds: 1.0, latency_mean_ms: f64::NAN },
        generator: Duration::from_secs(1),
        generator_in_kernel: Duration::from_secs(1),
        server: Duration::ZERO,
    };

    /// Lets a generator run, as a program that ends; whatever else it tells is given back.
    ///
    /// # Errors
    /// When it fails, or the server is gone.
    pub(super) fn of<Said>(
        server: &Server,
        load: impl Fn(&Said) -> Load,
        generate: impl FnOnce() -> Result<Said, Error>,
    ) -> Result<(Turn, Said), Error> {
        let times =
            || Ok::<_, Error>((cpu_time_of_ended_children()?, cpu_time(server.running.id())?));
        let before = times()?;
        let said = generate()?;
        let after = times()?;
        let turn = Turn {
            load: load(&said),
            generator: after.0.0.saturating_sub(before.0.0),
            generator_in_kernel: after.0.1.saturating_sub(before.0.1),
            server: after.1.saturating_sub(before.1),
        };
        Ok((turn, said))
    }

    pub(super) fn rate(&self) -> f64 {
        self.load.requests / self.load.seconds
    }

    pub(super) fn generator_us(&self) -> f64 {
        self.generator.as_secs_f64() * 1e6 / self.load.requests
    }

    /// What the kernel took of that: reading and writing, which nobody is spared.
    pub(super) fn kernel_us(&self) -> f64 {
        self.generator_in_kernel.as_secs_f64() * 1e6 / self.load.requests
    }

    /// The share of its core that the generator used.
    pub(super) fn generator_share(&self) -> f64 {
        self.generator.as_secs_f64() / self.load.seconds
    }

    /// The share of its core that the server used.
    pub(super) fn server_share(&self) -> f64 {
        self.server.as_secs_f64() / self.load.seconds
    }

    pub(super) fn shown(&self) -> String {
        format!(
            "{:>7.0} requests/s, {:.2} µs/request; of their cores: generator {:.0} %, server {:.0} %",
            self.rate(),
            self.generator_us(),
            self.generator_share() * 100.0,
            self.server_share() * 100.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_per_request_and_per_second() {
        let turn = Turn {
            load: Load { requests: 200_000.0, seconds: 2.0, latency_mean_ms: 0.6 },
            generator: Duration::from_millis(1500),
            generator_in_kernel: Duration::from_millis(1000),
            server: Duration::from_millis(2000),
        };
        assert_eq!((turn.rate(), turn.generator_us(), turn.kernel_us()), (100_000.0, 7.5, 5.0));
        assert_eq!((turn.generator_share(), turn.server_share()), (0.75, 1.0));
        assert_eq!(
            turn.shown(),
            " 100000 requests/s, 7.50 µs/request; of their cores: generator 75 %, server 100 %"
        );
    }
}
